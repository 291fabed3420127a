"""Where generated images go: a folder of PNGs, or one array file.

Either is written so that a run that is killed leaves whole images only, and can say which are missing. A
file is written beside its place and gets its name when it is whole. Next to the images lies the manifest
of the run, see `gpu_runs.generation.manifest`.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpu_runs.errors import printable
from gpu_runs.files.arrays import ArrayError, Npz
from gpu_runs.files.images import open_images, write_png
from gpu_runs.files.inputs import read_whole, reason
from gpu_runs.files.pictures import ImageError
from gpu_runs.files.whole import OutputError, blamed_on, whole_file
from gpu_runs.generation.images_of_run import seed_name
from seeds_theory.extras import optional_imports

with optional_imports():
    from filelock import FileLock, Timeout
    from PIL import Image

SHOWN = 64
"""So many images are in the picture of a run, or fewer if they are large."""
_LOCK = ".lock"
_MOST_BYTES = 2**40  # of a picture or a batch, which our own run has written
_MARK = "seeds-run"
"""The keyword of the text in a PNG that says of which run and number it is."""
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


Columns = Mapping[str, Sequence[Any]]
"""What is known of images, as `gpu_runs.generation.images_of_run.ImagesOfRun.columns` gives it."""


def mark_of(identity: Mapping[str, Any]) -> str:
    """A short text that tells the images of a run from those of any other, by what determines them."""
    return sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """For as long as no other run writes to this folder; raises OutputError if one does."""
    with blamed_on(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK, timeout=0)  # the system's: it ends with the process
    try:
        lock.acquire()
    except Timeout:
        raise OutputError(f"another run is writing to {folder}: wait for its end") from None
    except (OSError, NotImplementedError):
        pass  # a file system without locks
    try:
        yield
    finally:
        lock.release()


class PngFolder:
    """PNGs in folders of 1000: the image of seed 1234 is ``001000/001234.png``.

    The classes are in ``dataset.json``, as in EDM's and StyleGAN's: {"labels": [[file, class], ...]}. Prompts
    are in ``metadata.jsonl``, as in Hugging Face's: {"file_name": ..., "text": ..., "seed": ...} a line.

    Each file says in its own text, as long as it is there, of which run and number it is.

    Attributes
    ----------
    name_of : where the image of a number lies, without the suffix. mark : of the run, see `mark_of`.
    work : the folder that a run writes to. manifest : the file that describes the run.
    picture : a file for the first images in a grid; outside, as it is not one of the images.
    extendable : whether a later run may add seeds.
    """

    extendable = True

    def __init__(self, folder: Path) -> None:
        self.name_of: Callable[[int], str] = seed_name
        self.mark = ""
        self.work = folder
        self.manifest = folder / "run.json"
        self.picture = folder.with_name(folder.name + "-grid.png")

    @property
    def in_use(self) -> bool:
        """Whether there is something of a run, or of whatever else."""
        return self.work.is_dir() and any(
            file.suffix != ".part" and file.name != _LOCK for file in self.work.iterdir()
        )

    def path(self, number: int) -> Path:
        """The file of an image."""
        return self.work / f"{self.name_of(number)}.png"

    def missing(self, numbers: Sequence[int]) -> list[int]:
        """Those that have no whole image. Raises OutputError for a picture of something else."""
        return [n for n in numbers if not self._has(n)]

    def _has(self, number: int) -> bool:
        path = self.path(number)
        data, mark = b"", None
        try:
            data = read_whole(path, _MOST_BYTES)
            with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
                mark = picture.info.get(_MARK)
                picture.verify()  # the checksums of its chunks
        except (OSError, SyntaxError):  # SyntaxError is Pillow's word for a damaged PNG
            return False
        except (ValueError, Image.DecompressionBombError):
            pass  # a picture, but none of ours
        if not data.endswith(_PNG_END):
            return False
        if mark != self._mark(number):
            raise OutputError(
                f"{path} is not a picture of this run: remove it, or choose another --out"
            )
        return True

    def _mark(self, number: int) -> str:
        return f"{self.mark} {number}"

    def write(self, numbers: Sequence[int], images: Tensor) -> None:
        """Add the images uint8 (n, channels, height, width) of these numbers. Raises OutputError."""
        for number, image in zip(numbers, images, strict=True):
            # Not durable, which takes longer than to write: `missing` finds what a power failure damaged.
            with whole_file(self.path(number), durable=False) as part:
                write_png(image, part, {_MARK: self._mark(number)})

    def finish(self, numbers: Sequence[int], columns: Columns) -> Tensor:
        """Once none is missing: write what is known of them; returns the first `SHOWN` images.

        Raises
        ------
        OutputError : it cannot be written, or there are other pictures.
        """
        files = [self.path(number).relative_to(self.work).as_posix() for number in numbers]
        if "classes" in columns:
            listed = list(zip(files, columns["classes"], strict=True))
            with whole_file(self.work / "dataset.json") as part:
                part.write_text(json.dumps({"labels": listed}))
        if "texts" in columns:
            rows = zip(files, columns["texts"], columns["seeds"], strict=True)
            lines = [
                json.dumps({"file_name": file, "text": text, "seed": seed}) + "\n"
                for file, text, seed in rows
            ]
            with whole_file(self.work / "metadata.jsonl") as part:
                part.write_text("".join(lines))
        try:
            pictures = []
            for number in numbers[:SHOWN]:
                with Image.open(self.path(number), formats=["PNG"]) as picture:
                    pictures.append(np.asarray(picture))
            stacked = np.stack(pictures)
        except (OSError, SyntaxError, ValueError) as error:
            raise OutputError(
                f"{self.work} holds pictures that are not of this run ({reason(error)}): remove them"
            ) from None
        return torch.from_numpy(stacked.reshape(*stacked.shape[:3], -1)).permute(0, 3, 1, 2)


class ArrayFile:
    """One .npy, uint8 (n, channels, height, width), or .npz: "images", the same, "seeds", "classes" (n,).

    Of a pipeline an .npz has "prompts" (n,), the places of the prompts in their file, instead of classes;
    "run" is the mark of the run. Rows are in the order of the numbers. Until the last batch is there each is
    a file of its own, so that processes, also on several nodes, share none. Attributes as of `PngFolder`.
    """

    extendable = False

    def __init__(self, file: Path) -> None:
        self.name_of: Callable[[int], str] = seed_name
        self.mark = ""
        self.file = file
        self.work = file.with_name(file.name + ".parts")
        self.manifest = file.with_name(file.name + ".json")
        self.picture = file.with_name(file.name + "-grid.png")

    @property
    def in_use(self) -> bool:
        """As of `PngFolder`."""
        return self.file.exists() or any(self.work.glob("*.npz"))

    def missing(self, numbers: Sequence[int]) -> list[int]:
        """Those that have no image; of a run that ended, none. Raises OutputError for another's file."""
        if self.file.exists():
            if numbers:
                self._require_ours(len(numbers))
            return []
        done = {number for (part,) in self._parts("numbers") for number in part.tolist()}
        return [number for number in numbers if number not in done]

    def write(self, numbers: Sequence[int], images: Tensor) -> None:
        """As of `PngFolder`."""
        with whole_file(self.work / f"{numbers[0]}.npz") as part, part.open("wb") as file:
            np.savez(
                file,
                numbers=np.array(numbers, np.uint64),
                images=images.numpy(),
                run=np.array(self.mark),
            )

    def finish(self, numbers: Sequence[int], columns: Columns) -> Tensor:
        """As of `PngFolder`; joins the batches, in memory."""
        if not self.file.exists():
            self._join(np.array(numbers, np.uint64), columns)
        shutil.rmtree(self.work, ignore_errors=True)
        images = open_images(self.file)
        return torch.from_numpy(images.read(np.arange(min(SHOWN, len(images)))))

    def _require_ours(self, count: int) -> None:
        """What can be seen of it: an .npz has the mark of the run, both have so many images."""
        try:
            found = len(open_images(self.file))
            mark = str(_arrays(self.file, "run")[0]) if self.file.suffix == ".npz" else self.mark
        except (ImageError, OutputError):
            found, mark = 0, None
        if found != count or mark != self.mark:
            raise OutputError(
                f"{self.file} does not hold the images of this run: remove it, or choose another --out"
            )

    def _parts(self, *names: str) -> Iterator[list[np.ndarray]]:
        for path in sorted(self.work.glob("*.npz")):
            mark, *arrays = _arrays(path, "run", *names)
            if str(mark) != self.mark:
                raise OutputError(f"{path} is not of this run: remove it, or choose another --out")
            yield arrays

    def _join(self, numbers: np.ndarray, columns: Columns) -> None:
        parts = list(self._parts("numbers", "images"))
        images = np.empty((len(numbers), *parts[0][1].shape[1:]), np.uint8)
        for part_numbers, part_images in parts:
            images[np.searchsorted(numbers, part_numbers)] = part_images
        with whole_file(self.file) as whole, whole.open("wb") as file:
            if self.file.suffix == ".npy":
                np.save(file, images)
            else:
                arrays: dict[str, Any] = {"images": images, "run": np.array(self.mark)}
                for name, kind in _COLUMNS.items():
                    if name in columns:
                        arrays[name] = np.array(columns[name], kind)
                np.savez(file, allow_pickle=False, **arrays)


_COLUMNS = {"seeds": np.uint64, "classes": np.int64, "prompts": np.int64}
"""The columns that an .npz has, and their types; texts are in the manifest."""


def _arrays(path: Path, *names: str) -> list[np.ndarray]:
    """Arrays of an .npz by their names. Raises OutputError for what has not all of them."""
    try:
        arrays = Npz(path, _MOST_BYTES)
        return [arrays[name] for name in names]
    except (ArrayError, KeyError) as error:
        raise OutputError(
            f"{path} is not of this run ({reason(error)}): remove it, or choose another --out"
        ) from None


Output = PngFolder | ArrayFile


def open_output(out: Path) -> Output:
    """The output of that name: an .npy or .npz file, or else a folder. Nothing is written yet.

    Raises
    ------
    OutputError : a file that is no folder, or the other way round, or no name for either.
    """
    try:
        out = out.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a null byte
        raise OutputError(f"no place is called {printable(out)}: {reason(error)}") from None
    if not out.name:
        raise OutputError(f"images go to a folder of their own, not to {out}: name one in it")
    is_array = out.suffix in (".npy", ".npz")
    is_picture = out.suffix.lower() in (".png", ".jpg", ".jpeg") and not out.is_dir()
    if is_picture or (out.is_dir() if is_array else out.exists() and not out.is_dir()):
        raise OutputError(f"images go to a folder, an .npy or an .npz file; got {out}")
    return ArrayFile(out) if is_array else PngFolder(out)

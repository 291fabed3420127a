"""Where generated images go: a folder of PNGs, or one array file.

Either is written so that a run that is killed leaves whole images only, and can say which are missing. A
file is written beside its place and gets its name when it is whole. Next to the images lies the manifest
of the run, see `gpu_runs.generation.manifest`.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gpu_runs.errors import printable
from gpu_runs.files.images import open_images, write_png
from gpu_runs.files.inputs import reason
from gpu_runs.files.whole import OutputError, blamed_on, whole_file
from seeds_theory.extras import optional_imports

with optional_imports():
    from filelock import FileLock, Timeout
    from PIL import Image

SHOWN = 64
"""So many images are in the picture of a run."""
_LOCK = ".lock"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


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

    The classes are in ``dataset.json``, as in EDM's and StyleGAN's: {"labels": [[file, class], ...]}.

    Attributes
    ----------
    work : the folder that a run writes to. manifest : the file that describes the run.
    picture : a file for the first images in a grid; outside, as it is not one of the images.
    extendable : whether a later run may add seeds.
    """

    extendable = True

    def __init__(self, folder: Path) -> None:
        self.work = folder
        self.manifest = folder / "run.json"
        self.picture = folder.with_name(folder.name + "-grid.png")

    @property
    def in_use(self) -> bool:
        """Whether there is something of a run, or of whatever else."""
        return self.work.is_dir() and any(
            file.suffix != ".part" and file.name != _LOCK for file in self.work.iterdir()
        )

    def path(self, seed: int) -> Path:
        """The file of a seed's image."""
        return self.work / f"{seed - seed % 1000:06d}" / f"{seed:06d}.png"

    def missing(self, seeds: Sequence[int]) -> list[int]:
        """Those of these seeds that have no whole image."""
        return [seed for seed in seeds if not _is_whole_png(self.path(seed))]

    def write(self, seeds: Sequence[int], images: Tensor) -> None:
        """Add the images uint8 (n, channels, height, width) of these seeds. Raises OutputError."""
        for seed, image in zip(seeds, images, strict=True):
            # Not durable, which takes longer than to write: `missing` finds what a power failure damaged.
            with whole_file(self.path(seed), durable=False) as part:
                write_png(image, part)

    def finish(self, seeds: Sequence[int], classes: Sequence[int] | None) -> Tensor:
        """Once none is missing: write the classes; returns the first `SHOWN` images. Raises OutputError."""
        if classes is not None:
            files = [self.path(seed).relative_to(self.work).as_posix() for seed in seeds]
            with whole_file(self.work / "dataset.json") as part:
                part.write_text(json.dumps({"labels": list(zip(files, classes, strict=True))}))
        try:
            pictures = []
            for seed in seeds[:SHOWN]:
                with Image.open(self.path(seed), formats=["PNG"]) as picture:
                    pictures.append(np.asarray(picture))
            stacked = np.stack(pictures)
        except (OSError, SyntaxError, ValueError) as error:
            raise OutputError(
                f"{self.work} holds pictures that are not of this run ({reason(error)}): remove them"
            ) from None
        return torch.from_numpy(stacked.reshape(*stacked.shape[:3], -1)).permute(0, 3, 1, 2)


def _is_whole_png(path: Path) -> bool:
    """Whether the checksums of its chunks are right, and its end is there."""
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            picture.verify()
    except (OSError, SyntaxError):  # SyntaxError is Pillow's word for a damaged PNG
        return False
    return data.endswith(_PNG_END)


class ArrayFile:
    """One .npy, uint8 (n, channels, height, width), or .npz: "images", the same, "seeds", "classes" (n,).

    Rows are in the order of the seeds. Until the last batch is there each is a file of its own, so that
    processes, also on several nodes, share none. Attributes as of `PngFolder`.
    """

    extendable = False

    def __init__(self, file: Path) -> None:
        self.file = file
        self.work = file.with_name(file.name + ".parts")
        self.manifest = file.with_name(file.name + ".json")
        self.picture = file.with_name(file.name + "-grid.png")

    @property
    def in_use(self) -> bool:
        """As of `PngFolder`."""
        return self.file.exists() or any(self.work.glob("*.npz"))

    def missing(self, seeds: Sequence[int]) -> list[int]:
        """Those of these seeds that have no image; of a run that ended, none."""
        if self.file.exists():
            return []
        done = {seed for part in self.work.glob("*.npz") for seed in _load(part, "seeds").tolist()}
        return [seed for seed in seeds if seed not in done]

    def write(self, seeds: Sequence[int], images: Tensor) -> None:
        """As of `PngFolder`."""
        with whole_file(self.work / f"{seeds[0]}.npz") as part, part.open("wb") as file:
            np.savez(file, seeds=np.array(seeds, np.uint64), images=images.numpy())

    def finish(self, seeds: Sequence[int], classes: Sequence[int] | None) -> Tensor:
        """As of `PngFolder`; joins the batches, in memory."""
        if not self.file.exists():
            self._join(np.array(seeds, np.uint64), classes)
        shutil.rmtree(self.work, ignore_errors=True)
        images = open_images(self.file)
        return torch.from_numpy(images.read(np.arange(min(SHOWN, len(images)))))

    def _join(self, seeds: np.ndarray, classes: Sequence[int] | None) -> None:
        parts = [(_load(part, "seeds"), _load(part, "images")) for part in self.work.glob("*.npz")]
        images = np.empty((len(seeds), *parts[0][1].shape[1:]), np.uint8)
        for part_seeds, part_images in parts:
            images[np.searchsorted(seeds, part_seeds)] = part_images
        with whole_file(self.file) as part, part.open("wb") as file:
            if self.file.suffix == ".npy":
                np.save(file, images)
            else:
                arrays = {"images": images, "seeds": seeds}
                if classes is not None:
                    arrays["classes"] = np.array(classes)
                np.savez(file, allow_pickle=False, **arrays)


def _load(part: Path, name: str) -> np.ndarray:
    with np.load(part, allow_pickle=False) as arrays:
        return arrays[name]


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

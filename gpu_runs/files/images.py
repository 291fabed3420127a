"""Sets of uint8 images: a folder or zip of pictures, an .npz or an .npy file, read when they are needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from gpu_runs.errors import printable, shown
from gpu_runs.files.arrays import ArrayError, Npz, map_npy
from gpu_runs.files.picture_files import PictureFiles, files_of_folder, files_of_zip
from gpu_runs.files.pictures import ImageError
from seeds_theory.extras import optional_imports

with optional_imports():
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

_IMAGES, _CLASSES = ("images", "arr_0"), ("classes", "labels", "arr_1")  # arrays of an .npz
_MOST_BYTES = 2**34  # of the arrays in an .npz, which is unpacked into memory; an .npy is not
_NAMES = 5  # of other arrays, in a message


def no_labels() -> None:
    """Of images without classes."""


@dataclass(frozen=True)
class ImageSet:
    """Images of one size: uint8 (n, channels, height, width), channels 1 or 3.

    read : gives the images with these indices as an array (k, channels, height, width).
    labels : reads the classes, int64 (n,), or None if the images have none; raises ImageError.
    """

    shape: tuple[int, int, int, int]
    read: Callable[[np.ndarray], np.ndarray]
    labels: Callable[[], np.ndarray | None] = no_labels

    def __len__(self) -> int:
        return self.shape[0]

    @classmethod
    def of(cls, images: Tensor | np.ndarray, source: str = "the array") -> ImageSet:
        """Of uint8 images (n, c, h, w), (n, h, w, c) or (n, h, w); c is 1 or 3.

        Raises ImageError for other types and shapes, and where two readings fit.
        """
        array = images.cpu().numpy() if isinstance(images, Tensor) else images
        if array.dtype != np.uint8:
            raise ImageError(f"images are uint8, 0 to 255; {source} holds {array.dtype}")
        if array.ndim == 3:
            array = array[:, None]
        if array.ndim != 4 or 0 in array.shape:
            raise ImageError(
                "images are (n, channels, height, width) or (n, height, width, channels), none of "
                f"them 0; {source} has the shape {array.shape}"
            )
        first, last = array.shape[1] in (1, 3), array.shape[3] in (1, 3)
        if first == last:
            why = "both 1 or 3" if first else "neither 1 nor 3"
            raise ImageError(
                f"the second or the last size is that of 1 or 3 channels; {source} has the shape "
                f"{array.shape}, where they are {why}"
            )
        if last:
            array = array.transpose(0, 3, 1, 2)
        n, c, h, w = array.shape
        return cls((n, c, h, w), lambda indices: array[indices])

    def subset(self, count: int, seed: int = 0) -> ImageSet:
        """A random subset of that many images, in their order. Raises ImageError for too few."""
        if not 1 <= count <= len(self):
            raise ImageError(f"{count} images were asked for; there are {len(self)}")
        chosen = np.sort(np.random.default_rng(seed).permutation(len(self))[:count])

        def labels() -> np.ndarray | None:
            found = self.labels()
            return None if found is None else found[chosen]

        return ImageSet(
            (count, *self.shape[1:]), lambda indices: self.read(chosen[indices]), labels
        )

    def batches(
        self, size: int, *, rank: int = 0, world: int = 1
    ) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Every world-th batch from that of this rank: indices (k,) and images (k, c, h, w).

        The batches are the same for any number of processes: only who takes them differs.
        """
        for start in range(rank * size, len(self), world * size):
            indices = np.arange(start, min(start + size, len(self)))
            yield indices, torch.from_numpy(np.ascontiguousarray(self.read(indices)))


def open_images(path: str | Path) -> ImageSet:
    """The images in a folder of PNGs and JPEGs, a .zip of them, an .npz or an .npy file.

    A folder is read with those below it, in the order of the relative paths, and so is a zip, EDM's format of
    data sets. An .npz has an array "images", ADM's "arr_0", or no other. Classes are those of a
    ``dataset.json``, or of an array "classes", "labels" or ADM's "arr_1".

    Raises
    ------
    ImageError : for all else; a damaged picture, or one of another size than the first, is found when it is
        read, as is one that would have to be converted with a loss.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if path.is_dir():
        return _of_files(files_of_folder(path))
    if not path.exists():
        raise ImageError(f"there is no file or folder {printable(path)}")
    if suffix not in (".zip", ".npz", ".npy") or not path.is_file():
        raise ImageError(
            "images are a folder of PNGs and JPEGs, a .zip of them, an .npz or an .npy file; got "
            f"{printable(path)}"
        )
    if suffix == ".zip":
        return _of_files(files_of_zip(path))
    try:
        if suffix == ".npy":
            return ImageSet.of(map_npy(path), printable(path))
        arrays = Npz(path, _MOST_BYTES)
        images = ImageSet.of(_images_of(arrays, path), printable(path))
    except ArrayError as error:
        raise ImageError(str(error)) from None
    return replace(images, labels=lambda: _labels_of(arrays, len(images), path))


def _images_of(arrays: Npz, path: Path) -> np.ndarray:
    names = list(arrays)  # to ask a mapping for a name would read the array
    name = next((name for name in _IMAGES if name in names), names[0] if len(names) == 1 else None)
    if name is None:
        there = ", ".join(map(shown, names[:_NAMES])) + (" ..." if len(names) > _NAMES else "")
        raise ImageError(
            f'an .npz has an array "images" or "arr_0", or only one; {printable(path)} has {there or "none"}'
        )
    return arrays[name]


def _labels_of(arrays: Npz, count: int, path: Path) -> np.ndarray | None:
    names = list(arrays)
    name = next((name for name in _CLASSES if name in names), None)
    if name is None:
        return None
    try:
        labels = arrays[name]
    except ArrayError as error:
        raise ImageError(str(error)) from None
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ImageError(
            f"{printable(path)} has {shown(name)} {labels.dtype} {labels.shape} for {count} images: classes "
            "are whole numbers, one for each"
        )
    return labels.astype(np.int64)


def _of_files(files: PictureFiles) -> ImageSet:
    names = files.names
    shape = files.picture(0).shape

    def read(indices: np.ndarray) -> np.ndarray:
        pictures = np.empty((len(indices), *shape), np.uint8)
        for place, index in enumerate(indices.tolist()):
            picture = files.picture(index)
            if picture.shape != shape:
                raise ImageError(
                    f"the images of a set have one size; in {printable(files.place)} {printable(names[0])} "
                    f"has (channels, height, width) {shape}, {printable(names[index])} has {picture.shape}"
                )
            pictures[place] = picture
        return pictures

    return ImageSet((len(names), *shape), read, files.labels)


def to_uint8(x: Tensor) -> Tensor:
    """States with pixels in [-1, 1] as uint8: 127.5 x + 128, clipped to 0..255 and truncated.

    The rule of Karras et al. (2022), whose scores include this rounding.
    """
    return (x * 127.5 + 128).clamp(0, 255).to(torch.uint8)


def write_png(
    image: Tensor, path: str | Path, texts: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Write one uint8 image (channels, height, width), channels 1 or 3, with texts by keyword in the file.

    Raises
    ------
    ImageError : no such image.
    """
    if image.ndim != 3 or image.shape[0] not in (1, 3) or image.dtype != torch.uint8:
        raise ImageError(
            f"a picture is uint8 (1 or 3, height, width); got {image.dtype} {tuple(image.shape)}"
        )
    pixels = image.permute(1, 2, 0).cpu().numpy()
    chunks = PngInfo()
    for keyword, text in texts.items():
        chunks.add_text(keyword, text)
    picture = Image.fromarray(pixels[:, :, 0] if len(image) == 1 else pixels)
    picture.save(path, format="PNG", pnginfo=chunks)


def write_grid(images: Tensor, path: str | Path, columns: int | None = None) -> None:
    """Write uint8 images (n, channels, height, width) as one picture, row by row.

    Without `columns` the grid is as square as it gets; places that are left over stay black.
    Raises ImageError for what is no set of images.
    """
    if images.ndim != 4 or 0 in images.shape:
        raise ImageError(f"a grid shows images (n, channels, h, w); got {tuple(images.shape)}")
    n, c, h, w = images.shape
    across = columns or math.ceil(math.sqrt(n))
    down = -(-n // across)
    grid = images.new_zeros((down * across, c, h, w))
    grid[:n] = images
    rows = grid.reshape(down, across, c, h, w).permute(2, 0, 3, 1, 4)
    write_png(rows.reshape(c, down * h, across * w), path)

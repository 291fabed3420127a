"""Sets of uint8 images: a folder of PNGs, an .npz or an .npy file, read when they are needed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gpu_runs.errors import printable, shown
from gpu_runs.files.arrays import ArrayError, Npz, map_npy
from gpu_runs.files.inputs import open_regular, reason
from seeds_theory.errors import SeedsError
from seeds_theory.extras import optional_imports

with optional_imports():
    from PIL import Image

_MODES = ("L", "RGB")  # Pillow's, of 1 and 3 channels of 8 bits
_MOST_BYTES = 2**34  # of the arrays in an .npz, which is unpacked into memory; an .npy is not
_NAMES = 5  # of other arrays, in a message


class ImageError(SeedsError):
    """Images that cannot be read, or that are not what was asked for."""


@dataclass(frozen=True)
class ImageSet:
    """Images of one size: uint8 (n, channels, height, width), channels 1 or 3.

    read : gives the images with these indices as an array (k, channels, height, width).
    """

    shape: tuple[int, int, int, int]
    read: Callable[[np.ndarray], np.ndarray]

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
        return ImageSet((count, *self.shape[1:]), lambda indices: self.read(chosen[indices]))

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
    """The images in a folder of PNGs (recursive, by relative path), an .npz or an .npy file.

    An .npz has an array "images" or no other. Raises ImageError for all else; a damaged picture,
    or one of another size than the first, is found when it is read.
    """
    path = Path(path)
    if path.is_dir():
        return _open_folder(path)
    if path.suffix not in (".npz", ".npy") or not path.is_file():
        raise ImageError(
            f"images are a folder of PNGs, an .npz or an .npy file; got {printable(path)}"
        )
    try:
        array = map_npy(path) if path.suffix == ".npy" else _images_of(Npz(path, _MOST_BYTES), path)
    except ArrayError as error:
        raise ImageError(str(error)) from None
    return ImageSet.of(array, printable(path))


def _images_of(arrays: Npz, path: Path) -> np.ndarray:
    names = list(arrays)
    if "images" not in names and len(names) != 1:
        there = ", ".join(map(shown, names[:_NAMES])) + (" ..." if len(names) > _NAMES else "")
        raise ImageError(
            f'an .npz has an array "images", or only one; {printable(path)} has {there or "none"}'
        )
    return arrays["images" if "images" in names else names[0]]


def _open_folder(folder: Path) -> ImageSet:
    files = sorted(
        (file for file in folder.rglob("*") if file.suffix.lower() == ".png"),
        key=lambda file: file.relative_to(folder).as_posix(),
    )
    if not files:
        raise ImageError(f"no .png file in {printable(folder)} or below")
    shape = _read_png(files[0]).shape

    def read(indices: np.ndarray) -> np.ndarray:
        pictures = np.empty((len(indices), *shape), np.uint8)
        for place, index in enumerate(indices):
            picture = _read_png(files[index])
            if picture.shape != shape:
                raise ImageError(
                    f"the images of a set have one size; {printable(files[0])} has (channels, "
                    f"height, width) {shape}, {printable(files[index])} has {picture.shape}"
                )
            pictures[place] = picture
        return pictures

    return ImageSet((len(files), *shape), read)


def _read_png(path: Path) -> np.ndarray:
    """One picture, (channels, height, width)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Pillow only warns of a picture up to twice too large.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with open_regular(path) as file, Image.open(file, formats=["PNG"]) as picture:
                mode, pixels = picture.mode, np.asarray(picture)
    except Exception as error:  # of Pillow: a damaged PNG is a SyntaxError, or any other
        raise ImageError(f"cannot read {printable(path)}: {reason(error)}") from None
    if mode not in _MODES:
        raise ImageError(
            f"pictures are gray or RGB, 8 bits; {printable(path)} has Pillow's mode {mode}"
        )
    return pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)


def to_uint8(x: Tensor) -> Tensor:
    """States with pixels in [-1, 1] as uint8: 127.5 x + 128, clipped to 0..255 and truncated.

    The rule of Karras et al. (2022), whose scores include this rounding.
    """
    return (x * 127.5 + 128).clamp(0, 255).to(torch.uint8)


def write_png(image: Tensor, path: str | Path) -> None:
    """Write one uint8 image (channels, height, width), channels 1 or 3. Raises ImageError."""
    if image.ndim != 3 or image.shape[0] not in (1, 3) or image.dtype != torch.uint8:
        raise ImageError(
            f"a picture is uint8 (1 or 3, height, width); got {image.dtype} {tuple(image.shape)}"
        )
    pixels = image.permute(1, 2, 0).cpu().numpy()
    Image.fromarray(pixels[:, :, 0] if len(image) == 1 else pixels).save(path, format="PNG")


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

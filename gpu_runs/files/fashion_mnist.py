"""Fashion-MNIST as uint8 images of 32x32 pixels, read from its four idx files.

The files are not downloaded: they come with Debian's package dataset-fashion-mnist, or from a folder.
"""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from gpu_runs.errors import printable
from gpu_runs.files.inputs import reason
from gpu_runs.files.pictures import ImageError

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SIDE = 32

_PARTS: dict[str, tuple[str, int]] = {"train": ("train", 60_000), "test": ("t10k", 10_000)}
_UINT8 = 0x08  # the element type in an idx header


def load_fashion_mnist(
    folder: str | Path | None = None, split: Literal["train", "test"] = "train"
) -> tuple[torch.Tensor, torch.Tensor]:
    """The images, uint8 (n, 1, 32, 32), and their labels, int64 (n,); n is 60,000 or 10,000.

    The 28x28 pictures get a border of two black pixels, so that a U-Net can halve them five times.
    `folder` holds the idx files, as .gz or not; without it the environment variable FASHION_MNIST
    or Debian's folder does. Raises ImageError for files that are missing or are not these.
    """
    if split not in _PARTS:
        raise ImageError(f"Fashion-MNIST has the splits {', '.join(_PARTS)}; got {split!r}")
    source = Path(folder or os.environ.get("FASHION_MNIST") or DEBIAN_FOLDER)
    stem, count = _PARTS[split]
    pictures = _read_idx(_find(source, f"{stem}-images-idx3-ubyte"), (count, 28, 28))
    labels = _read_idx(_find(source, f"{stem}-labels-idx1-ubyte"), (count,))
    if labels.max() >= len(CLASSES):
        raise ImageError(f"labels run from 0 to 9; {printable(source)} holds {labels.max()}")
    border = (SIDE - 28) // 2
    padded = np.pad(pictures, ((0, 0), (border, border), (border, border)))
    return torch.from_numpy(padded[:, None]), torch.from_numpy(labels.astype(np.int64))


def _find(folder: Path, name: str) -> Path:
    for candidate in (folder / f"{name}.gz", folder / name):
        if candidate.is_file():
            return candidate
    raise ImageError(
        f"no {name}[.gz] in {printable(folder)}: install Debian's dataset-fashion-mnist, or name a folder "
        "with the four idx files of Fashion-MNIST (argument, or environment FASHION_MNIST)"
    )


def _read_idx(path: Path, shape: Sequence[int]) -> np.ndarray:
    """The uint8 array in an idx file, which must have this shape; reads no byte more than that."""
    head = struct.pack(f">BBBB{len(shape)}I", 0, 0, _UINT8, len(shape), *shape)
    length = len(head) + int(np.prod(shape))
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(length + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ImageError(f"cannot read {printable(path)}: {reason(error)}") from None
    if data[: len(head)] != head:
        raise ImageError(f"{printable(path)} is no idx file of uint8 {'x'.join(map(str, shape))}")
    if len(data) != length:
        raise ImageError(
            f"{printable(path)} must hold {length} bytes; "
            f"it holds {'more' if len(data) > length else len(data)}"
        )
    return np.frombuffer(data, np.uint8, offset=len(head)).reshape(shape)

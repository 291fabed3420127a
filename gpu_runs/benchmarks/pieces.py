"""The batches of a benchmark's cells on disk: a cell is made of them, whoever makes them and when.

A batch is a file of its own, whole or not there: its images, and what the scores need of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpu_runs.benchmarks.plans import Cell
from gpu_runs.benchmarks.results import ResultsError
from gpu_runs.errors import printable
from gpu_runs.files.arrays import ArrayError, Npz
from gpu_runs.files.whole import whole_file

_MOST_BYTES = 2**32  # of a batch


@dataclass(frozen=True)
class Piece:
    """Images of consecutive seeds.

    images : uint8 (n, channels, height, width). features : float32 (n, d). probabilities : float32
    (n, classes), or None if the feature network has no classes. seconds : that making the images took.
    """

    images: np.ndarray
    features: np.ndarray
    probabilities: np.ndarray | None
    seconds: float

    @classmethod
    def joined(cls, pieces: Sequence[Piece]) -> Piece:
        """All of them as one, in their order."""
        probabilities = [p.probabilities for p in pieces if p.probabilities is not None]
        return cls(
            np.concatenate([piece.images for piece in pieces]),
            np.concatenate([piece.features for piece in pieces]),
            np.concatenate(probabilities) if probabilities else None,
            sum(piece.seconds for piece in pieces),
        )


class Pieces:
    """The files of all batches of a benchmark in its folder.

    image : (channels, height, width). dim : how many features there are.
    """

    def __init__(self, folder: Path, image: tuple[int, int, int], dim: int) -> None:
        self.folder = folder / "images"
        self._shapes = {"images": image, "features": (dim,)}

    def path(self, cell: Cell, seeds: Sequence[int]) -> Path:
        """The file of a batch of seeds: what it holds depends on the method, its options and steps."""
        options = hashlib.sha256(cell.curve.options_text.encode()).hexdigest()[:8]
        name = f"{cell.curve.method}-{cell.steps}-{options}"
        return self.folder / name / f"{seeds[0]:09d}.npz"

    def lock(self, cell: Cell, seeds: Sequence[int]) -> Path:
        """The lock for making it."""
        return self.path(cell, seeds).with_suffix(".lock")

    def write(self, cell: Cell, seeds: Sequence[int], piece: Piece) -> None:
        """Put a batch in its place. Raises OutputError."""
        arrays: dict[str, Any] = {"images": piece.images, "features": piece.features}
        if piece.probabilities is not None:
            arrays["probabilities"] = piece.probabilities
        with whole_file(self.path(cell, seeds)) as part, part.open("wb") as file:
            np.savez_compressed(
                file, seeds=np.array(seeds, np.uint64), seconds=np.array(piece.seconds), **arrays
            )

    def read(self, cell: Cell, seeds: Sequence[int]) -> Piece:
        """The batch of these seeds. Raises ResultsError for a file that is not it."""
        path = self.path(cell, seeds)
        try:
            arrays = Npz(path, _MOST_BYTES)
            found = {name: arrays[name] for name in _KINDS if name in arrays}
            _require(found, seeds)
            for name, shape in self._shapes.items():
                if found[name].shape[1:] != shape:
                    raise ValueError(f"its {name} are {found[name].shape[1:]}, not {shape}")
        except (ArrayError, ValueError) as error:
            raise ResultsError(
                f"{printable(path)} is not the batch that it should be ({error}): remove it, and it "
                "is made again"
            ) from None
        return Piece(
            found["images"], found["features"], found.get("probabilities"), float(found["seconds"])
        )


_KINDS = {
    "seeds": ("u", 1),
    "images": ("u", 4),
    "features": ("f", 2),
    "probabilities": ("f", 2),
    "seconds": ("f", 0),
}
"""The arrays of a batch: the kinds of their numbers and how many dimensions they have."""


def _require(arrays: dict[str, np.ndarray], seeds: Sequence[int]) -> None:
    """Raises ValueError for arrays that are not a batch of these seeds."""
    for name, (kind, dimensions) in _KINDS.items():
        if name == "probabilities" and name not in arrays:
            continue
        if name not in arrays:
            raise ValueError(f"it has no {name}")
        array = arrays[name]
        if array.dtype.kind != kind or array.ndim != dimensions:
            raise ValueError(f"its {name} are {array.dtype} {array.shape}")
        if dimensions and len(array) != len(seeds):
            raise ValueError(f"its {name} are {len(array)}, of {len(seeds)} seeds")
        if kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"its {name} are not finite")
    if arrays["images"].dtype != np.uint8:
        raise ValueError(f"its images are {arrays['images'].dtype}")
    if arrays["seeds"].tolist() != list(seeds):
        raise ValueError("it is of other seeds")

"""Statistics of real images on disk: what generated images are scored against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from gpu_runs.errors import printable, shown
from gpu_runs.files.arrays import ArrayError, Npz
from gpu_runs.files.whole import whole_file
from gpu_runs.names import FASHION_MNIST
from gpu_runs.scores.features import FeatureNetwork
from gpu_runs.scores.statistics import FrechetReference, ScoreError
from gpu_runs.scores.summary import Summary
from seeds_theory.errors import did_you_mean

REFERENCE_FILE = Path(__file__).parents[1] / "models" / "fashion-mnist-reference.npz"
"""Of the 60,000 training images of Fashion-MNIST, in the features of this package."""

_MOST_BYTES = 2**30  # of the arrays in a reference; Inception's are 34 MB
_OPTIONAL = ("count", "features", "digest", "sample")
_LARGEST = 1e100  # of a number, whose square is to be one
_LONGEST = 300  # of a text, in characters


@dataclass(frozen=True)
class Reference:
    """Statistics of real images: mean (d,), covariance (d, d), and what else the file says.

    count : of images. features, digest : of the network. sample : (k, d), features of
    images at random, in random order. None where the file does not say, as EDM's files.
    """

    mean: np.ndarray
    covariance: np.ndarray
    count: int | None = None
    features: str | None = None
    digest: str | None = None
    sample: np.ndarray | None = None

    @property
    def is_short(self) -> bool:
        """Whether it is of no more images than it has features, so that its covariance is singular."""
        return self.count is not None and self.count <= len(self.mean)

    @cached_property
    def gaussian(self) -> FrechetReference:
        """The Gaussian of mean and covariance, decomposed. Raises ScoreError for what is not a covariance."""
        return FrechetReference(self.mean, self.covariance)

    @classmethod
    def of(cls, summary: Summary, network: FeatureNetwork) -> Reference:
        """The statistics of images in the features of this network."""
        statistics = summary.statistics
        return cls(
            statistics.mean,
            statistics.covariance,
            statistics.count,
            network.name,
            network.digest,
            summary.sample,
        )

    def save(self, path: Path) -> None:
        """Write the npz file that `load_reference` reads; `mu` and `sigma` are named as in EDM's.

        The sample is written in float16, unless that would change a feature by a thousandth of its spread: a
        kernel distance then keeps five digits. Raises OutputError if the file cannot be written.
        """
        parts = {"mu": self.mean, "sigma": self.covariance} | {
            name: getattr(self, name) for name in _OPTIONAL if getattr(self, name) is not None
        }
        if self.sample is not None:
            parts["sample"] = _short(self.sample)
        with whole_file(path) as part, part.open("wb") as file:
            np.savez_compressed(file, **parts)

    def require_features_of(self, network: FeatureNetwork, dim: int) -> None:
        """Raises ScoreError if the features are not those of this network, which gives `dim`.

        A network is known by the SHA-256 of its file; by name only where the reference has none.
        """
        same_file = self.digest == network.digest
        if not same_file and self.features not in (None, network.name):
            raise ScoreError(
                f"the reference has features of {shown(self.features)}, the images get those of "
                f"{network.name!r}: scores compare features of one network"
            )
        if not same_file and self.digest is not None:
            raise ScoreError(
                f"the reference was made with another file of {network.name} (SHA-256 "
                f"{shown(self.digest[:12])}, now {shown(network.digest[:12])}): make it again with "
                "seeds-fid stats"
            )
        if len(self.mean) != dim:
            raise ScoreError(
                f"the reference has {len(self.mean)} features, {network.name} gives {dim}: "
                "scores compare features of one network"
            )


def load_reference(path: str | Path) -> Reference:
    """Reference statistics, of a file or by the name "fashion-mnist"; only numbers and text are read.

    Raises ScoreError for a file that is missing, or whose parts are missing or do not fit.
    """
    path = REFERENCE_FILE if str(path) == FASHION_MNIST else Path(path)
    try:
        arrays = Npz(path, _MOST_BYTES)
        parts = {name: arrays[name] for name in ("mu", "sigma", *_OPTIONAL) if name in arrays}
    except ArrayError as error:
        hint = "" if path.exists() else did_you_mean(str(path), [FASHION_MNIST])
        raise _no_reference(f"{error}{hint}") from None
    try:
        return _reference(parts)
    except ValueError as error:
        raise _no_reference(f"{printable(path)}: {error}") from None


def _reference(parts: Mapping[str, np.ndarray]) -> Reference:
    """The reference of these arrays. Raises ValueError for one that is missing or does not fit."""
    if missing := [name for name in ("mu", "sigma") if name not in parts]:
        raise ValueError(f"it has no {' and no '.join(missing)}")
    reference = Reference(
        mean=_numbers(parts["mu"], 1),
        covariance=_numbers(parts["sigma"], 2),
        count=_count(parts["count"]) if "count" in parts else None,
        features=_text(parts["features"]) if "features" in parts else None,
        digest=_text(parts["digest"]) if "digest" in parts else None,
        sample=_numbers(parts["sample"], 2) if "sample" in parts else None,
    )
    d = len(reference.mean)
    if reference.covariance.shape != (d, d):
        raise ValueError(f"d is {d}, sigma has the shape {reference.covariance.shape}")
    if (
        np.abs(reference.covariance - reference.covariance.T).max()
        > 1e-5 * np.abs(reference.covariance).max()
    ):
        raise ValueError("sigma is not symmetric")
    if reference.sample is not None and reference.sample.shape[1] != d:
        raise ValueError(f"d is {d}, sample has the shape {reference.sample.shape}")
    return reference


def _short(sample: np.ndarray) -> np.ndarray:
    """Features (k, d) in float16, where its rounding is small beside the spread of each of them."""
    with np.errstate(over="ignore"):
        short = sample.astype(np.float16)
    error = np.sqrt(np.square(short - sample.astype(np.float64)).mean(axis=0))
    return short if (error <= 1e-3 * sample.std(axis=0, dtype=np.float64)).all() else sample


def _numbers(array: np.ndarray, dimensions: int) -> np.ndarray:
    """The array, if it is finite floats of that many dimensions; in float64."""
    if array.dtype.kind != "f" or array.ndim != dimensions or not array.size:
        raise ValueError(f"{array.dtype} {array.shape} are no floats of {dimensions} dimensions")
    with np.errstate(over="ignore"):
        values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("values are not finite")
    if np.abs(values).max() > _LARGEST:
        raise ValueError(f"values are larger than {_LARGEST:g}")
    return values


def _count(array: np.ndarray) -> int:
    """Of images, at least 2."""
    if array.dtype.kind not in "iu" or array.ndim or array < 2:
        raise ValueError("its count of images is no whole number of 2 or more")
    return int(array)


def _text(array: np.ndarray) -> str:
    if array.dtype.kind != "U" or array.ndim or array.dtype.itemsize > 4 * _LONGEST:
        raise ValueError(f"{array.dtype} {array.shape} is no text of at most {_LONGEST} characters")
    return str(array)


def _no_reference(why: str) -> ScoreError:
    return ScoreError(
        f"a reference is an .npz with mu (d,) and sigma (d, d), as seeds-fid stats makes it; {why}"
    )

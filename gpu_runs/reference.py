"""Statistics of real images on disk: what generated images are scored against."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpu_runs.features import FASHION_MNIST, FeatureNetwork
from gpu_runs.images import reason
from gpu_runs.statistics import ScoreError
from gpu_runs.summary import Summary

REFERENCE_FILE = Path(__file__).parent / "models" / "fashion-mnist-reference.npz"
"""Of the 60,000 training images of Fashion-MNIST, in the features of this package."""

_MOST_BYTES = 2**30  # of the arrays in a reference; Inception's are 34 MB
_OPTIONAL = ("count", "features", "digest", "sample")
_READ_ERRORS = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    MemoryError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What zipfile and numpy raise for damaged or foreign files."""


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
        """Write the npz file that `load_reference` reads; `mu` and `sigma` are named as in EDM's."""
        parts = {"mu": self.mean, "sigma": self.covariance} | {
            name: getattr(self, name) for name in _OPTIONAL if getattr(self, name) is not None
        }
        with open(path, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **parts)

    def require_features_of(self, network: FeatureNetwork, dim: int) -> None:
        """Raises ScoreError if the features are not those of this network, which gives `dim`."""
        if self.features is not None and self.features != network.name:
            raise ScoreError(
                f"the reference has features of {self.features!r}, the images get those of "
                f"{network.name!r}: scores compare features of one network"
            )
        if self.digest is not None and self.digest != network.digest:
            raise ScoreError(
                f"the reference was made with another file of {network.name} (SHA-256 "
                f"{self.digest[:12]}, now {network.digest[:12]}): make it again with seeds-fid stats"
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
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > _MOST_BYTES:
                raise ScoreError(f"reference statistics have at most {_MOST_BYTES} bytes: {path}")
        with np.load(path, allow_pickle=False) as arrays:
            parts = {name: arrays[name] for name in _OPTIONAL if name in arrays}
            reference = Reference(
                mean=_numbers(arrays["mu"], 1),
                covariance=_numbers(arrays["sigma"], 2),
                count=int(parts["count"]) if "count" in parts else None,
                features=str(parts["features"]) if "features" in parts else None,
                digest=str(parts["digest"]) if "digest" in parts else None,
                sample=_numbers(parts["sample"], 2) if "sample" in parts else None,
            )
    except ScoreError:
        raise
    except _READ_ERRORS as error:
        raise _no_reference(path, reason(error)) from None
    d = len(reference.mean)
    if reference.covariance.shape != (d, d):
        raise _no_reference(path, f"d is {d}, sigma has the shape {reference.covariance.shape}")
    if reference.sample is not None and reference.sample.shape[1] != d:
        raise _no_reference(path, f"d is {d}, sample has the shape {reference.sample.shape}")
    if reference.count is not None and reference.count < 2:
        raise _no_reference(path, f"its count of images is {reference.count}")
    return reference


def _numbers(array: np.ndarray, dimensions: int) -> np.ndarray:
    """The array, if it is finite floats of that many dimensions; in float64."""
    if array.dtype.kind != "f" or array.ndim != dimensions or not array.size:
        raise ValueError(f"{array.dtype} {array.shape} are no floats of {dimensions} dimensions")
    if not np.isfinite(array).all():
        raise ValueError("values are not finite")
    return array.astype(np.float64)


def _no_reference(path: Path, why: str) -> ScoreError:
    return ScoreError(
        f"a reference is an .npz with mu (d,) and sigma (d, d), as seeds-fid stats makes it; "
        f"{path}: {why}"
    )

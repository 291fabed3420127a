r"""A Gaussian model of real images: the mean and covariance of Fashion-MNIST's training images.

The spectrum of real images without a network: its diffusion model is exact (`toy_models.gaussian`).
`fashion_mnist` reads it from a file of about 1 MB, made from the published idx file
(Debian package dataset-fashion-mnist) by::

    python -m toy_models.images train-images-idx3-ubyte.gz fashion_mnist_gaussian.npz

The moments are exact: of n images with integer pixels p, the sums of p and of p p' and
:math:`n^2 C = n \sum p p^T - (\sum p)(\sum p)^T` are integers below :math:`2^{53}`, so nothing
is rounded before the division. What is rounded is the eigenbasis, kept in half precision; loading
takes the orthogonal matrix nearest to it. The error this leaves is measured and kept in the file.
"""

from __future__ import annotations

import functools
import gzip
import importlib.resources
import math
import struct
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from seeds_theory.errors import ParameterError, SeedsError
from toy_models.gaussian import Gaussian, frechet_distance

SHAPE = (28, 28)
"""Rows and columns of an image of `fashion_mnist`."""

_MAGIC = b"\x00\x00\x08\x03"  # idx: two zeros, unsigned bytes, three dimensions
_MOST_BYTES = 2**30  # of pixels: larger than any file this is meant for
_MOST_PIXELS = 4096  # an image; the basis has the square of it
_CHUNK = 4096  # images turned to float64 at a time


@dataclass(frozen=True)
class StoredGaussian:
    """A Gaussian fitted to images, as it is kept in a file; d pixels, row by row.

    mean : (d,) float32. variances : (d,) float32, the eigenvalues of the covariance, descending.
    basis : (d, d) float16, eigenvectors in columns. shape : rows and columns of an image.
    pixel_range : the values of a black pixel (0) and of a white one (255).
    count : the number of images.
    frobenius_error : of the covariance, relative to the exact one in the Frobenius norm.
    frechet_error : the W2 distance to the exact Gaussian, relative to the root of its trace.
    Both to three digits, so that rounding in the linear algebra does not change the file.
    """

    mean: np.ndarray
    variances: np.ndarray
    basis: np.ndarray
    shape: tuple[int, int]
    pixel_range: tuple[float, float]
    count: int
    frobenius_error: float = math.nan
    frechet_error: float = math.nan

    def gaussian(self) -> Gaussian:
        """The Gaussian, with the orthogonal matrix nearest to the rounded basis.

        Raises
        ------
        ParameterError : parts that do not fit, or a basis farther than rounding from orthogonal.
        """
        d = math.prod(self.shape)
        shapes = self.mean.shape, self.variances.shape, self.basis.shape
        if shapes != ((d,), (d,), (d, d)):
            raise ParameterError(f"mean, variances and basis of {d} pixels; got shapes {shapes}")
        basis = _nearest_orthogonal(self.basis.astype(np.float64))
        mean, variances = (
            torch.from_numpy(part.astype(np.float64)) for part in (self.mean, self.variances)
        )
        return Gaussian(mean, variances, torch.from_numpy(basis))

    def save(self, path: Path) -> None:
        """Write the npz file, the same bytes for the same numbers; `load` reads it."""
        with open(path, "wb") as file:
            np.savez_compressed(file, **{name: getattr(self, name) for name in _FIELDS})


_FIELDS = tuple(StoredGaussian.__dataclass_fields__)


def _nearest_orthogonal(matrix: np.ndarray) -> np.ndarray:
    """The orthogonal factor of the polar decomposition, by Newton-Schulz iteration.

    With e the spectral norm of X'X - 1 a step leaves at most (3 e^2 + e^3) / 4, so from 0.5 six
    steps reach rounding.
    """
    one = np.eye(len(matrix))
    defect = float(np.linalg.norm(matrix.T @ matrix - one))  # bounds the spectral norm
    if not defect <= 0.5:
        raise ParameterError(
            f"a stored basis is orthogonal up to rounding, |Q'Q - 1| <= 0.5; got {defect:.3g}: "
            "make the file again"
        )
    for _ in range(6):
        matrix = matrix @ (1.5 * one - 0.5 * (matrix.T @ matrix))
    return matrix


def load(file: Path | IO[bytes]) -> StoredGaussian:
    """Read a file that `StoredGaussian.save` wrote; only numbers are read, never pickled objects.

    Raises
    ------
    ParameterError : not such a file, or one with a part missing or of the wrong type.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            parts = {name: archive[name] for name in _FIELDS}
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ParameterError(
            f"an image Gaussian is an npz file with {', '.join(_FIELDS)}; {error}: make it again "
            "with python -m toy_models.images"
        ) from error
    dtypes = {"mean": np.float32, "variances": np.float32, "basis": np.float16}
    sizes = {"shape": 2, "pixel_range": 2, "count": 1, "frobenius_error": 1, "frechet_error": 1}
    for name, dtype in dtypes.items():
        if parts[name].dtype != dtype:
            raise ParameterError(
                f"{name} is stored as {np.dtype(dtype)}; got {parts[name].dtype}: make it again"
            )
    for name, size in sizes.items():
        if parts[name].size != size or parts[name].dtype.kind not in "if":
            raise ParameterError(f"{name} is stored as {size} numbers; got {parts[name]!r}")
    rows, columns = (int(n) for n in parts["shape"])
    black, white = (float(value) for value in parts["pixel_range"])
    return StoredGaussian(
        mean=parts["mean"],
        variances=parts["variances"],
        basis=parts["basis"],
        shape=(rows, columns),
        pixel_range=(black, white),
        count=int(parts["count"].item()),
        frobenius_error=float(parts["frobenius_error"].item()),
        frechet_error=float(parts["frechet_error"].item()),
    )


@functools.cache
def fashion_mnist() -> Gaussian:
    """The Gaussian with the moments of Fashion-MNIST's 60 000 training images, pixels in [-1, 1].

    784 pixels, row by row; black is -1. Variances descend, from 79.2 to 4.0e-07; their sum is 272.9.
    Against the exact moments the file's rounding leaves, as measured when it was made, an error of
    2.0e-04 in the covariance (relative, Frobenius norm) and a W2 distance of 1.4e-04 of the root of
    the trace. One object is shared by all callers: do not change its tensors in place.
    """
    resource = importlib.resources.files("toy_models") / "data" / "fashion_mnist_gaussian.npz"
    with resource.open("rb") as file:
        return load(file).gaussian()


def as_images(x: Tensor) -> Tensor:
    """States (batch, 784) of `fashion_mnist` as pictures (batch, 28, 28) on the CPU, in [0, 1].

    What lies outside [-1, 1] is clipped.

    Raises
    ------
    ParameterError : any other shape.
    """
    if x.ndim != 2 or x.shape[1] != math.prod(SHAPE):
        raise ParameterError(f"images are rows of {math.prod(SHAPE)} pixels; got {tuple(x.shape)}")
    return ((x.detach().cpu() + 1) / 2).clamp(0, 1).unflatten(1, SHAPE)


def read_idx(path: Path) -> np.ndarray:
    """The images of an idx file, plain or gzip-compressed: (count, rows, columns) bytes.

    Raises
    ------
    ParameterError : not an idx file of images, an empty one, one cut short or with bytes left over.
    OSError : no such file.
    """
    with open(path, "rb") as plain:
        compressed = plain.read(2) == b"\x1f\x8b"
    opener = gzip.open if compressed else open
    try:
        with opener(path, "rb") as file:
            header = file.read(16)
            if len(header) < 16 or header[:4] != _MAGIC:
                raise ParameterError(
                    f"a file of images begins with {_MAGIC.hex()} and three sizes; "
                    f"{path} begins with {header.hex() or 'nothing'}: pass an idx3-ubyte file"
                )
            sizes = struct.unpack(">3I", header[4:])
            size = math.prod(sizes)
            if not 0 < size <= _MOST_BYTES:
                raise ParameterError(f"1 to 2^30 pixels in all can be read; {path} has {sizes}")
            pixels = file.read(size + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ParameterError(f"{path} is a damaged gzip file ({error}): fetch it again") from error
    if len(pixels) != size:
        found = "more" if len(pixels) > size else f"{len(pixels)}"
        raise ParameterError(f"{path} declares {size} bytes of pixels; got {found}: fetch it again")
    return np.frombuffer(pixels, dtype=np.uint8).reshape(sizes)


def moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and covariance (d, d) of images (count, rows, columns) in bytes, scaled to [-1, 1].

    The covariance is the population's, divided by the count.
    """
    count, d = len(images), math.prod(images.shape[1:])
    total, products = np.zeros(d), np.zeros((d, d))
    for start in range(0, count, _CHUNK):
        chunk = images[start : start + _CHUNK].reshape(-1, d).astype(np.float64)
        total += chunk.sum(axis=0)
        products += chunk.T @ chunk
    covariance = (count * products - np.outer(total, total)) / count**2
    return 2 * total / (255 * count) - 1, covariance * (2 / 255) ** 2


def fit(idx_path: Path) -> StoredGaussian:
    """The Gaussian of the images of an idx file, rounded for storage, its errors measured.

    Raises
    ------
    ParameterError : see `read_idx`; images of more than 4096 pixels, or all the same.
    """
    images = read_idx(idx_path)
    count, *shape = images.shape
    if math.prod(shape) > _MOST_PIXELS:
        raise ParameterError(f"an image has at most {_MOST_PIXELS} pixels; got {tuple(shape)}")
    mean, covariance = moments(images)
    if not covariance.any():
        raise ParameterError(f"a covariance needs two different images; got {count} the same")
    # Pixels that never change give eigenvalues 0, which from_covariance keeps from being negative.
    exact = Gaussian.from_covariance(torch.from_numpy(mean), torch.from_numpy(covariance))
    assert exact.basis is not None
    basis = exact.basis.flip(1).numpy()
    # An eigenvector's sign is arbitrary: make its largest entry positive.
    largest = np.abs(basis).argmax(axis=0)
    basis = basis * np.sign(basis[largest, np.arange(len(basis))])
    stored = StoredGaussian(
        mean=mean.astype(np.float32),
        variances=exact.variances.flip(0).numpy().astype(np.float32),
        basis=basis.astype(np.float16),
        shape=(shape[0], shape[1]),
        pixel_range=(-1.0, 1.0),
        count=count,
    )
    kept = stored.gaussian()
    difference = torch.linalg.norm(kept.covariance - exact.covariance)
    frobenius = float(difference / torch.linalg.norm(exact.covariance))
    frechet = frechet_distance(exact, kept) / float(exact.variances.sum().sqrt())
    return replace(
        stored, frobenius_error=float(f"{frobenius:.2e}"), frechet_error=float(f"{frechet:.2e}")
    )


def main(
    idx_file: Annotated[Path, typer.Argument(help="Images in idx format, plain or gzip.")],
    out: Annotated[Path, typer.Argument(help="The npz file to write.")],
) -> None:
    """Fit a Gaussian to a file of images and store it."""
    try:
        stored = fit(idx_file)
        stored.save(out)
    except (SeedsError, OSError) as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(
        f"{out}: {stored.count} images of {stored.shape[0]} x {stored.shape[1]}, "
        f"{out.stat().st_size} bytes\n"
        f"error of the covariance (relative, Frobenius): {stored.frobenius_error:.1e}\n"
        f"W2 distance relative to the root of the trace: {stored.frechet_error:.1e}"
    )


if __name__ == "__main__":
    typer.run(main)

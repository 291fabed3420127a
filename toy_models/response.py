r"""The exact error of a sampler on Gaussian data, without sampling.

On Gaussian data the denoiser is affine, and so is every sampler in use:

.. math::  x_{end} = \mathrm{offset} + \mathrm{gain} \cdot x_T + \sum_m \mathrm{weight}_m z_m .

`probe` finds these numbers by running the sampler on basis vectors; it knows nothing of the method.
Each :math:`z_m` is the standardised noise of a known stretch of the Brownian path, so the sampler is a
linear functional of the path with a *response kernel*, as is the exact solution, and

.. math::  \mathrm{strong}^2 = (\mathrm{gain}^* - \mathrm{gain})^2\,\mathrm{Var}\,x_T
           + (\Delta\,\mathrm{mean})^2 + \int |k^*(u) - k(u)|^2\,du .

The kernels are subtracted pointwise at Gauss-Legendre points, before squaring: no cancellation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from seeds_theory.brownian import distinct_levels
from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import ParameterError, SeedsError
from seeds_theory.forms import GAUSSIAN
from seeds_theory.plan import Interval
from seeds_theory.sources import NoiseSource
from toy_models.gaussian import Gaussian

Sampler = Callable[[Denoiser, Tensor, NoiseSource], Tensor]
"""Anything that takes (denoiser, initial states, noise source) to final states, (batch, d)."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_LONGEST = 1.0  # length times (1 + eta) of a piece: the quadrature error is then below rounding


class NotAffineError(SeedsError):
    """A sampler that is not affine in state and noise has no response."""


@dataclass(frozen=True)
class Response:
    """A sampler as an affine map, one per eigen-coordinate.

    offset, gain : (d,). weights : (m, d), of the standardised noises of the m intervals.
    """

    offset: Tensor
    gain: Tensor
    weights: Tensor
    intervals: tuple[Interval, ...]

    def variance(self, start: Tensor | float) -> Tensor:
        """The final variance (d,), for independent noises, from initial states of variance `start`."""
        return self.gain.square() * start + self.weights.square().sum(0)

    @property
    def foreign(self) -> Tensor:
        """The variance (d,) from noise that is independent of the solution's own path."""
        own = torch.tensor([interval.path == 0 for interval in self.intervals], dtype=torch.bool)
        return self.weights[~own].square().sum(0)

    def kernel(self, points: np.ndarray) -> np.ndarray:
        """The response to dW at log-SNRs (pieces, nodes), each piece inside one interval: (..., d)."""
        total = np.zeros((*points.shape, len(self.gain)))
        middle = points.mean(axis=1)
        for weight, interval in zip(self.weights.numpy(), self.intervals, strict=True):
            if interval.path != 0:
                continue
            start, stop = -np.log(interval.sigma), -np.log(interval.sigma_next)
            inside = slice(*np.searchsorted(middle, (start, stop)))
            total[inside] += interval.kernel(points[inside])[..., None] * weight
        return total


@dataclass(frozen=True)
class ExactResponse:
    """The exact solution of the reverse SDE, as the same kind of affine map.

    offset, gain : (d,). end : the final log-SNR. variances : (d,), of the data.
    intervals : empty, its kernel is smooth over the whole path. foreign : it has no other noise.
    """

    offset: Tensor
    gain: Tensor
    end: float
    eta: float
    variances: Tensor
    intervals: tuple[Interval, ...] = ()
    foreign: float = 0.0

    def kernel(self, points: np.ndarray) -> np.ndarray:
        """The response to dW at log-SNRs (pieces, nodes): (pieces, nodes, d)."""
        values = GAUSSIAN.noise_kernel(
            self.end, points[..., None], self.eta, self.variances.numpy()
        )
        return np.broadcast_to(values, (*points.shape, len(self.gain)))


def exact_response(
    gaussian: Gaussian, sigma: float, sigma_next: float, eta_value: float
) -> ExactResponse:
    """The exact solution from sigma to sigma_next on Gaussian data with a diagonal covariance."""
    gain = gaussian.propagator(sigma, sigma_next, eta_value)
    offset = (1 - gain) * gaussian.mean
    return ExactResponse(offset, gain, -np.log(sigma_next), eta_value, gaussian.variances)


class _Recorder:
    """A noise source that writes down what is asked and answers zero, or one unit vector a row."""

    def __init__(self, first_row: int | None = None, mixed: Tensor | None = None) -> None:
        self.intervals: list[Interval] = []
        self._first_row, self._mixed = first_row, mixed

    def __call__(self, intervals: Sequence[Interval], like: Tensor) -> Tensor:
        normals = like.new_zeros((len(intervals), *like.shape))
        if self._first_row is not None and self._mixed is not None:
            for m in range(len(intervals)):
                index = len(self.intervals) + m
                normals[m, self._first_row + index] = 1.0
                normals[m, -1] = self._mixed[index]
        self.intervals.extend(intervals)
        return normals


def asked_intervals(sampler: Sampler, event: Sequence[int] = (1,)) -> tuple[Interval, ...]:
    """What a sampler asks of its noise source, found by running it once, on a model that returns 0."""
    recorder = _Recorder()
    still = torch.zeros(1, *event, dtype=torch.float64)
    sampler(lambda x, _: torch.zeros_like(x), still, recorder)
    return tuple(recorder.intervals)


class LinearDenoiser(Protocol):
    """A denoiser that is affine in the state, coordinate by coordinate: of Gaussian data or a sum of such."""

    @property
    def basis(self) -> Tensor | None:
        """The eigenbasis, (d, d), in which it is; None: its own coordinates."""

    @property
    def dimension(self) -> int:
        """The number d of coordinates."""

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """The estimate of states (batch, d)."""


def probe(sampler: Sampler, gaussian: LinearDenoiser) -> Response:
    """Find the response of a sampler on Gaussian data with a diagonal covariance.

    Raises
    ------
    ParameterError : the covariance is not diagonal.
    NotAffineError : a random combination of inputs, another in each coordinate, does not give the
        combination of the outputs: the sampler is nonlinear, or it mixes coordinates.
    """
    if gaussian.basis is not None:
        raise ParameterError("a response is per eigen-coordinate: probe gaussian.in_eigenbasis()")
    intervals = asked_intervals(sampler, (gaussian.dimension,))
    count = len(intervals)
    mixed = torch.randn(
        (count + 1, gaussian.dimension),
        generator=torch.Generator().manual_seed(0),
        dtype=torch.float64,
    )
    # Rows: the offset, the state, each noise, and a combination of all to check that it is affine.
    x = torch.zeros(count + 3, gaussian.dimension, dtype=torch.float64)
    x[1], x[-1] = 1.0, mixed[-1]
    result = sampler(gaussian, x, _Recorder(first_row=2, mixed=mixed))
    offset = result[0]
    linear = result[1:-1] - offset
    predicted = offset + mixed[-1] * linear[0] + (mixed[:-1] * linear[1:]).sum(0)
    size = offset.abs() + linear.abs().sum(0) + 1.0
    if not ((predicted - result[-1]).abs() <= 1e-10 * size).all():
        raise NotAffineError(
            "the sampler is not affine in state and noise, coordinate by coordinate, off by "
            f"{float((predicted - result[-1]).abs().max()):.2g}: measure it on coupled paths instead"
        )
    return Response(offset, linear[0], linear[1:], intervals)


def strong_errors(
    response: Response, gaussian: Gaussian, sigma: float, sigma_next: float, eta_value: float
) -> Tensor:
    r"""RMS distance at sigma_next to the exact solution on the same path, :math:`x_T` from the marginal.

    One per eigen-coordinate, (d,): their Euclidean norm is the distance in R^d.
    """
    exact = exact_response(gaussian, sigma, sigma_next, eta_value)
    return path_distances(response, exact, gaussian, sigma, sigma_next)


def path_distances(
    first: Response,
    second: Response | ExactResponse,
    gaussian: Gaussian,
    sigma: float,
    sigma_next: float,
) -> Tensor:
    """RMS distances (d,) of two solutions on one Brownian path, from one initial state of the marginal."""
    gain = first.gain - second.gain
    mean = first.offset - second.offset + gain * gaussian.mean
    points, weights = _quadrature([*first.intervals, *second.intervals], sigma, sigma_next)
    difference = first.kernel(points) - second.kernel(points)
    square = (
        gain.square() * (gaussian.variances + sigma**2)
        + mean.square()
        + first.foreign
        + second.foreign
        + torch.as_tensor(np.einsum("pn,pnd->d", weights, difference**2))
    )
    return square.sqrt()


def weak_errors(response: Response, gaussian: Gaussian, sigma: float, sigma_next: float) -> Tensor:
    """W2 distance of the sampler's final law to the exact marginal, for independent noises.

    One per eigen-coordinate, (d,): their Euclidean norm is the W2 distance in R^d.
    """
    spread = response.variance(gaussian.variances + sigma**2).sqrt()
    difference = spread - (gaussian.variances + sigma_next**2).sqrt()
    mean = response.offset + (response.gain - 1) * gaussian.mean
    return (difference.square() + mean.square()).sqrt()


def least_strong_errors(
    intervals: Sequence[Interval],
    gaussian: Gaussian,
    sigma: float,
    sigma_next: float,
    eta_value: float,
) -> Tensor:
    """The least strong error (d,) of any sampler that knows of the path these intervals' noises only.

    What is left of the exact kernel after regression on the kernel of each interval. The intervals are
    disjoint and cover the path.
    """
    points, weights = _quadrature(intervals, sigma, sigma_next)
    exact = exact_response(gaussian, sigma, sigma_next, eta_value).kernel(points)
    middle, square = points.mean(axis=1), np.zeros(gaussian.dimension)
    for interval in intervals:
        start, stop = -np.log(interval.sigma), -np.log(interval.sigma_next)
        inside = slice(*np.searchsorted(middle, (start, stop)))
        known = interval.kernel(points[inside])
        mass = (weights[inside] * known**2)[..., None]
        ratio = exact[inside] / known[..., None]
        centre = (ratio * mass).sum((0, 1)) / mass.sum((0, 1))
        square += ((ratio - centre) ** 2 * mass).sum((0, 1))
    return torch.as_tensor(np.sqrt(square))


def _quadrature(
    intervals: Sequence[Interval], sigma: float, sigma_next: float
) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre points and weights in log-SNR, (pieces, nodes), no piece across an interval's end."""
    if not np.isfinite(sigma):
        raise ParameterError("a strong error needs a finite first noise level; got infinity")
    levels = [sigma, sigma_next, *(s for i in intervals for s in (i.sigma, i.sigma_next))]
    edges = -np.log(distinct_levels(levels))
    sharpest = 1 + max((interval.eta for interval in intervals), default=0.0)
    counts = np.ceil(np.diff(edges) * sharpest / _LONGEST).astype(int)
    ends = zip(edges, edges[1:], counts, strict=False)
    pieces = [np.linspace(start, stop, n + 1)[:-1] for start, stop, n in ends]
    cuts = np.append(np.concatenate(pieces), edges[-1])
    half = 0.5 * np.diff(cuts)[:, None]
    return cuts[:-1, None] + half * (1 + _NODES), half * _WEIGHTS

r"""The exact error of a sampler on Gaussian data, without sampling.

On Gaussian data the denoiser is affine, and so is every sampler in use:

.. math::  x_{end} = \mathrm{offset} + \mathrm{gain} \cdot x_T + \sum_m \mathrm{weight}_m z_m .

`probe` finds these numbers by running the sampler on basis vectors; it knows nothing of the method.
Each :math:`z_m` is the standardised noise of a known stretch of the Brownian path, so the sampler is a
linear functional of the path with a *response kernel*, as is the exact solution, and

.. math::  \mathrm{strong}^2 = (\mathrm{gain}^* - \mathrm{gain})^2\,\mathrm{Var}\,x_T + (\Delta\,\mathrm{mean})^2
           + \int |k^*(u) - k(u)|^2\,du .

The kernels are subtracted pointwise at Gauss-Legendre points, before squaring: no cancellation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from seeds_theory.brownian import interval_points
from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import ParameterError, SeedsError
from seeds_theory.exact import GAUSSIAN, SemilinearForm, eta, lam_s, lam_t, variance
from seeds_theory.plan import Interval
from seeds_theory.sources import NoiseSource
from toy_models.gaussian import Gaussian

Sampler = Callable[[Denoiser, Tensor, NoiseSource], Tensor]
"""Anything that takes (denoiser, initial states, noise source) to final states, (batch, d)."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_LONGEST = 0.5  # log-SNR: pieces this short leave the quadrature error below rounding


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


def probe(sampler: Sampler, gaussian: Gaussian) -> Response:
    """Find the response of a sampler on Gaussian data with a diagonal covariance.

    Raises
    ------
    ParameterError : the covariance is not diagonal.
    NotAffineError : a random combination of inputs does not give the combination of the outputs.
    """
    if gaussian.basis is not None:
        raise ParameterError("a response is per eigen-coordinate: probe gaussian.in_eigenbasis()")
    recorder = _Recorder()
    sampler(gaussian, torch.zeros(1, gaussian.dimension, dtype=torch.float64), recorder)
    count = len(recorder.intervals)
    mixed = torch.randn(count + 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # Rows: the offset, the state, each noise, and a combination of all to check that it is affine.
    x = torch.zeros(count + 3, gaussian.dimension, dtype=torch.float64)
    x[1], x[-1] = 1.0, mixed[-1]
    result = sampler(gaussian, x, _Recorder(first_row=2, mixed=mixed))
    offset = result[0]
    linear = result[1:-1] - offset
    predicted = offset + mixed[-1] * linear[0] + mixed[:-1] @ linear[1:]
    size = offset.abs() + linear.abs().sum(0) + 1.0
    if not ((predicted - result[-1]).abs() <= 1e-10 * size).all():
        raise NotAffineError(
            "the sampler is not affine in state and noise, off by "
            f"{float((predicted - result[-1]).abs().max()):.2g}: measure it on coupled paths instead"
        )
    return Response(offset, linear[0], linear[1:], tuple(recorder.intervals))


def strong_error(
    response: Response, gaussian: Gaussian, sigma: float, sigma_next: float, eta_value: float
) -> float:
    r"""RMS distance at sigma_next to the exact solution on the same path, :math:`x_T` from the marginal."""
    exact_gain = gaussian.propagator(sigma, sigma_next, eta_value)
    gain_part = (exact_gain - response.gain).square() * (gaussian.variances + sigma**2)
    mean_part = _mean_error(response, gaussian).square()
    noise_part = _kernel_distance(response, gaussian, sigma, sigma_next, eta_value)
    return float((gain_part + mean_part + noise_part).sum().sqrt())


def weak_error(response: Response, gaussian: Gaussian, sigma: float, sigma_next: float) -> float:
    """W2 distance of the sampler's final law to the exact marginal, for independent noises."""
    start = gaussian.variances + sigma**2
    spread = (response.gain.square() * start + response.weights.square().sum(0)).sqrt()
    difference = spread - (gaussian.variances + sigma_next**2).sqrt()
    return float((difference.square() + _mean_error(response, gaussian).square()).sum().sqrt())


def _mean_error(response: Response, gaussian: Gaussian) -> Tensor:
    return response.offset + (response.gain - 1) * gaussian.mean


def _kernel_distance(
    response: Response, gaussian: Gaussian, sigma: float, sigma_next: float, eta_value: float
) -> Tensor:
    if eta_value == 0 and not response.intervals:
        return torch.zeros_like(response.gain)
    if not np.isfinite(sigma):
        raise ParameterError("a strong error needs a finite first noise level; got infinity")
    whole = Interval(sigma, sigma_next, GAUSSIAN, eta_value)
    edges = -np.log(interval_points([*response.intervals, whole]))
    cuts = [np.linspace(a, b, 1 + int(np.ceil((b - a) / _LONGEST)))[:-1] for a, b in _pairs(edges)]
    pieces = np.append(np.concatenate(cuts), edges[-1])
    half = 0.5 * np.diff(pieces)[:, None]
    points = pieces[:-1, None] + half * (1 + _NODES)  # (pieces, nodes)
    end = -np.log(sigma_next)
    exact = _noise_kernel(GAUSSIAN)(
        end, points[..., None], eta_value, gaussian.variances.numpy()
    )  # (pieces, nodes, d)
    difference = np.broadcast_to(exact, (*points.shape, gaussian.dimension)).copy()
    middle = points.mean(axis=1)
    weights = response.weights.numpy()
    for weight, interval in zip(weights, response.intervals, strict=True):
        start, stop = -np.log(interval.sigma), -np.log(interval.sigma_next)
        inside = slice(*np.searchsorted(middle, (start, stop)))
        kernel = _noise_kernel(interval.form)(stop, points[inside], interval.eta, np.nan)
        difference[inside] -= (kernel / interval.deviation)[..., None] * weight
    return torch.as_tensor(np.einsum("pn,pnd->d", half * _WEIGHTS, difference**2))


def _pairs(edges: np.ndarray) -> list[tuple[float, float]]:
    return list(zip(edges.tolist(), edges[1:].tolist(), strict=False))


def _noise_kernel(form: SemilinearForm) -> Callable[..., np.ndarray]:
    if form not in _KERNELS:
        expression = form.noise_kernel(lam_t, lam_s)
        _KERNELS[form] = sp.lambdify((lam_t, lam_s, eta, variance), expression, modules="numpy")
    return _KERNELS[form]


_KERNELS: dict[SemilinearForm, Callable[..., np.ndarray]] = {}

r"""The error in the mean on the simplest curved problem, exactly and without sampling.

The denoiser :math:`D(y) = (0, y_1^2)` leaves in :math:`y_1` the noise alone, and :math:`y_2` collects its
square. From :math:`y = 0` a sampler's :math:`y_2` is a quadratic form in the normals that it draws, so its
mean follows from runs on unit vectors. The exact one is the integral of the variance of the noise,

.. math::  \mathbb{E}\,y_2 = \int_{\lambda_s}^{\lambda_t} E(l)\,\mathrm{Var}\,N_l\,dl .

What it shows is the condition of :math:`\varphi'(f''(e_a, e_a))`, on which weak order 2 hangs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from seeds_theory.plan import Interval
from toy_models.response import Sampler


def parabola(x: Tensor, sigma: float) -> Tensor:
    """The denoiser, for states (batch, 2)."""
    return torch.stack([torch.zeros_like(x[:, 0]), x[:, 0].square()], dim=1)


def exact_mean(sigma: float, sigma_next: float, eta: float) -> float:
    """The mean of y_2 at sigma_next, from y = 0 at sigma."""
    length = np.log(sigma / sigma_next)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    x = length * (1 + nodes) / 2  # the distance to the end
    variances = (sigma_next * np.exp(x)) ** 2 * -np.expm1(-2 * eta * (length - x))
    return float(length / 2 * weights @ ((1 + eta) * np.exp(-(1 + eta) * x) * variances))


def mean_error(sampler: Sampler, sigma: float, sigma_next: float, eta: float) -> float:
    """The sampler's mean of y_2 from y = 0, less the exact one."""
    counter, start = UnitNormals(0), torch.zeros(1, 2, dtype=torch.float64)
    sampler(parabola, start, counter)
    end = sampler(parabola, start.repeat(counter.asked, 1), UnitNormals(counter.asked))
    # At y = 0 without noise nothing moves, and a unit vector's image is its share of the quadratic form.
    return float(end[:, 1].sum()) - exact_mean(sigma, sigma_next, eta)


class UnitNormals:
    """A noise source: the k-th normal of a run is 1 for y_1 in the k-th of `rows` rows, else 0."""

    def __init__(self, rows: int) -> None:
        self.rows, self.asked = rows, 0

    def __call__(self, intervals: Sequence[Interval], like: Tensor) -> Tensor:
        """The normals of these intervals, (intervals, rows, d)."""
        normals = like.new_zeros((len(intervals), *like.shape))
        for normal in normals:
            if self.rows:
                normal[self.asked, 0] = 1.0
            self.asked += 1
        return normals

r"""How far the law of a sampler's path is from the exact one, in KL divergence, for a wrong denoiser.

With the signal-to-noise ratio :math:`\gamma = \sigma^{-2}` and the least mean-square error
:math:`m(\gamma) = \mathbb{E}|x_0 - D|^2`, a run of SEEDS-1 at :math:`\eta = 1` whose denoiser errs by
:math:`\epsilon_k` (root mean square, over the exact states) at the level k has

.. math::  \mathrm{KL} = \tfrac12 \sum_k \Big[ (\gamma_{k+1} - \gamma_k)(m_k + \epsilon_k^2)
           - \int_{\gamma_k}^{\gamma_{k+1}} m\,d\gamma \Big]

beside that of its start. Everything here is for Gaussian data, where m is a sum over the eigenvalues c of
the covariance, in nats. Claims: ``wrong-*``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def ratios(sigmas: Sequence[float] | np.ndarray) -> np.ndarray:
    """The signal-to-noise ratios of noise levels, 0 for an infinite one."""
    return 1 / np.asarray(sigmas, dtype=float) ** 2


def least_error(variances: np.ndarray, gamma: np.ndarray | float) -> np.ndarray:
    """The least mean-square error m of N(0, diag(variances)) at each ratio: the shape of gamma."""
    gamma = np.asarray(gamma, dtype=float)
    return (variances / (1 + gamma[..., None] * variances)).sum(-1)


def information(variances: np.ndarray, gamma: np.ndarray | float) -> np.ndarray:
    """The information about the data in the state at each ratio, half the integral of m from 0."""
    return 0.5 * np.log1p(np.asarray(gamma, dtype=float)[..., None] * variances).sum(-1)


def discretisation(variances: np.ndarray, sigmas: Sequence[float] | np.ndarray) -> float:
    """The divergence of SEEDS-1 at eta = 1 with the exact denoiser: half the excess of the left sum of m."""
    gamma = ratios(sigmas)
    jump = np.diff(gamma)[:, None] * variances / (1 + gamma[:-1, None] * variances)
    return float(0.5 * (jump - np.log1p(jump)).sum())


def model_part(sigmas: Sequence[float] | np.ndarray, errors: np.ndarray) -> float:
    """What the denoiser's errors add at eta = 1: mean squares (n,) at the levels where it is called."""
    return float(0.5 * (np.diff(ratios(sigmas)) * errors).sum())


def energy(
    variances: np.ndarray,
    sigmas: Sequence[float] | np.ndarray,
    eta: float,
    errors: np.ndarray | float = 0.0,
    points: int = 12,
) -> float:
    """The divergence of SEEDS-1 at any eta > 0, by quadrature, for a denoiser with a constant shift.

    variances : (d,). errors : (n, d) or 0, the shift of each call in each coordinate; a shift is uncorrelated
    with the movement of D along the path, so that its square is added.
    """
    v = np.asarray(sigmas, dtype=float)[:, None] ** 2
    nodes, weights = np.polynomial.legendre.leggauss(points)
    total, lengths = 0.0, 0.5 * np.log(v[:-1] / v[1:])
    for node, weight in zip(0.5 + 0.5 * nodes, 0.5 * weights, strict=True):
        now = v[:-1] * np.exp(-2 * node * lengths)
        moved = movement(variances, v[:-1], now, eta) + np.square(errors)
        total += float((weight * lengths * moved / now).sum())
    return (1 + eta) ** 2 / (4 * eta) * total


def movement(c: Any, start: Any, now: Any, eta: Any) -> Any:
    """The mean square of D(Y) - D(Y_s) along the exact path, from the squared level `start` to `now`.

    Of numbers, arrays or symbols; c is the data's variance.
    """
    both = 1 / (c + now) + 1 / (c + start)
    return c**2 * (both - 2 * (c + now) ** ((eta - 1) / 2) / (c + start) ** ((eta + 1) / 2))


def gaussian_divergence(
    mean: np.ndarray, variance: np.ndarray, other_mean: np.ndarray, other: np.ndarray
) -> float:
    """KL of N(mean, diag(variance)) from N(other_mean, diag(other))."""
    ratio = variance / other
    return float(0.5 * (ratio - 1 - np.log(ratio) + (mean - other_mean) ** 2 / other).sum())


def bound_by_dimension(
    sigmas: Sequence[float] | np.ndarray, dimension: float, start: float
) -> float:
    """The bound on `discretisation` for data in that many dimensions; start is gamma m at the first level."""
    gamma = ratios(sigmas)
    grow = float(np.max(gamma[1:] / gamma[:-1]))
    return 0.5 * (grow - 1) * (start + (1 - 1 / grow) * dimension * (len(gamma) - 2))


def bound_by_information(
    sigmas: Sequence[float] | np.ndarray, start: float, gained: float
) -> float:
    """The bound by the information that is gained from the first level to the last but one."""
    gamma = ratios(sigmas)
    return (float(np.max(gamma[1:] / gamma[:-1])) - 1) * (0.5 * start + gained)

r"""A bound on the strong error of SEEDS-1 that does not grow exponentially, and needs no smoothness.

In a step of length h with :math:`q = 1 - e^{-(1+\eta)h}` let :math:`\ell_k` be the Lipschitz constant of
:math:`y \mapsto (1 - q) y + q \hat D(y)`, :math:`\epsilon_k` the model's error and :math:`m_k` the least
mean-square error at its start. The errors :math:`a_k` in the mean square obey

.. math::  a_{k+1} \le \sqrt{(\ell_k a_k + q_k\,\epsilon_k)^2 + \eta\,q_k^2\,(m_k - m_{k+1})}
           + |\eta - 1|\,q_k \int \|\mathcal{M} D\|\,dl .

On data that are log-concave, as N(0, c) or more so, :math:`\ell_k = (c + v_{k+1})/(c + v_k)` at
:math:`\eta = 1` with the exact denoiser, and the product telescopes. Claims: ``wrong-*``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def strong_bound(
    sigmas: Sequence[float] | np.ndarray,
    lipschitz: np.ndarray,
    model: np.ndarray,
    least: np.ndarray,
    start: float = 0.0,
    eta: float = 1.0,
    drifts: np.ndarray | None = None,
) -> float:
    """The recursion's last error.

    Parameters
    ----------
    sigmas : (n + 1,). lipschitz : (n,), of the steps.
    model : (n,), root mean squares of the denoiser's errors.
    least : (n + 1,), the least mean-square errors at the levels. start : the first state's error.
    drifts : (n,), the integrals of the norm of MD over the steps; they count away from eta = 1.
    """
    levels = np.asarray(sigmas, dtype=float)
    pulls = 1 - (levels[1:] / levels[:-1]) ** (1 + eta)
    bent = np.zeros_like(pulls) if drifts is None else abs(eta - 1) * pulls * drifts
    error = start
    for pull, constant, wrong, drop, shift in zip(
        pulls, lipschitz, model, -np.diff(least), bent, strict=True
    ):
        spread = pull * math.sqrt(eta * max(drop, 0.0))
        error = math.hypot(constant * error + pull * wrong, spread) + shift
    return error


def log_concave(sigmas: Sequence[float] | np.ndarray, c: float) -> np.ndarray:
    """The Lipschitz constants of the steps on data at least as log-concave as N(0, c): (n,)."""
    v = np.asarray(sigmas, dtype=float) ** 2
    return (c + v[1:]) / (c + v[:-1])


def bounded_and_smoothed(
    sigmas: Sequence[float] | np.ndarray, c: float, radius: float
) -> np.ndarray:
    """Those of data in a ball of that radius, with N(0, c) added: (n,)."""
    v = np.asarray(sigmas, dtype=float) ** 2
    return log_concave(sigmas, c) * (1 + radius**2 * (1 / (c + v[1:]) - 1 / (c + v[:-1])))

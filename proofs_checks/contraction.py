r"""A bound on the strong error of SEEDS-1 that does not grow exponentially, and needs no smoothness.

In a step with :math:`r = e^{-2h}`, at :math:`\eta = 1`, let :math:`\ell_k` be the Lipschitz constant of
:math:`y \mapsto r y + (1 - r) \hat D(y)`, :math:`\epsilon_k` the model's error and :math:`m_k` the least
mean-square error at its start. The errors :math:`a_k` in the mean square obey

.. math::  a_{k+1}^2 \le (\ell_k a_k + (1-r_k)\,\epsilon_k)^2 + (1-r_k)^2\,(m_k - m_{k+1}) .

On data that are log-concave, as N(0, c) or more so, :math:`\ell_k = (c + v_{k+1})/(c + v_k)` with the exact
denoiser, and the product telescopes. Claims: ``wrong-*``.
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
) -> float:
    """The recursion's last error.

    Parameters
    ----------
    sigmas : (n + 1,). lipschitz : (n,), of the steps.
    model : (n,), root mean squares of the denoiser's errors.
    least : (n + 1,), the least mean-square errors at the levels. start : the first state's error.
    """
    pulls = 1 - (np.asarray(sigmas)[1:] / np.asarray(sigmas)[:-1]) ** 2
    error = start
    for pull, constant, wrong, drop in zip(pulls, lipschitz, model, -np.diff(least), strict=True):
        error = math.hypot(constant * error + pull * wrong, pull * math.sqrt(max(drop, 0.0)))
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

"""Exercises of the chapter on wrong networks."""

from __future__ import annotations

import itertools
import math

import numpy as np

from proofs_checks.exercises.answers import Key
from proofs_checks.path_divergence import discretisation, model_part
from seeds_theory import uniform_log_snr

_DATA = np.array([1.0])


def exercise_1() -> Key:
    """What a network's error costs."""
    right = model_part([1.0, 0.1], np.array([0.01]))
    return Key(
        right,
        (
            (2 * right, "the divergence has a factor 1/2"),
            (0.5 * 0.01 * (1 - 0.1**2), "the step is measured in gamma = 1/sigma^2"),
            (0.5 * 0.01 * math.log(10), "the step is measured in gamma, not in the log-SNR"),
        ),
        "(gamma_1 - gamma_0) epsilon^2/2 with gamma = 1/sigma^2",
    )


def exercise_2() -> Key:
    """What freezing costs."""
    right = discretisation(_DATA, [1.0, 3**-0.5])
    return Key(
        right,
        (
            (2 * right, "the divergence has a factor 1/2"),
            (
                0.5 - right,
                "that is the information gained; what is asked for is what the left sum has above it",
            ),
            (0.5, "that is the left sum alone; subtract the integral of m"),
        ),
        "half of (gamma_1 - gamma_0) m(gamma_0) less the integral of m = 1/(1 + gamma) between",
    )


def _first_below(bound: float) -> int:
    grids = (uniform_log_snr(10.0, 0.1, n) for n in itertools.count(1))
    return next(len(grid) - 1 for grid in grids if discretisation(_DATA, grid) < bound)


def exercise_3() -> Key:
    """How many steps a bound takes."""
    right = _first_below(0.1)
    return Key(
        right,
        (
            (
                _first_below(0.05),
                "the divergence has a factor 1/2, which makes it reach the bound earlier",
            ),
            (_first_below(0.2), "the factor 1/2 stands in the divergence once, not twice"),
            (right - 1, "with one step less it is above 0.1"),
        ),
        "add up half of (gamma_(k+1) - gamma_k) m_k less the integral of m over the grid",
        within=1e-9,
    )

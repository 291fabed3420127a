"""Exercises of the chapter on few steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from proofs_checks.exercises.answers import Key, Task
from seeds_theory import few_steps, make_plan, rho_grid, uniform_log_snr
from seeds_theory.errors import SeedsError
from toy_models import Gaussian, weak_errors
from toy_models.convergence import plan_response


def exercise_1() -> Key:
    """What is left of a wrong start."""
    data, sigma = Gaussian.scalar(1.0), 10.0
    right = tuple(float(data.propagator(sigma, 1e-9, eta)) for eta in (0.0, 1.0))
    return Key(
        right,
        (
            (right[::-1], "the ODE's comes first, and is the larger one"),
            (
                (0.1, 0.01),
                "that is for data narrow beside the level; the data's variance is in it too",
            ),
            ((right[1], right[1]), "the exponent is (1 + eta)/2, and differs"),
        ),
        "(c/(c + sigma^2))^((1 + eta)/2) with c = 1 and sigma = 10",
    )


def exercise_2() -> Key:
    """How high a tuned grid starts."""
    settings = [few_steps(20, eta=eta) for eta in (0.0, 1.0)]
    highest = [float(setting.sigmas()[0]) for setting in settings]
    right = highest[0] / highest[1]
    return Key(
        right,
        (
            (1, "they are tuned apart, and the SDE forgets the start"),
            (highest[0], "divide it by the SDE's"),
        ),
        "the first of `few_steps(20, eta=0).sigmas()` over that of `few_steps(20, eta=1).sigmas()`",
    )


_ENDS, _STEPS = (80.0, 0.002), 10


def _w2(sigmas: Any) -> float:
    data = Gaussian.scalar(0.25)
    response = plan_response(make_plan("seeds-2", sigmas), data)
    return float(weak_errors(response, data, *_ENDS).norm())


def _judged(answer: Any) -> str:
    try:
        levels = np.asarray(answer, dtype=float)
        if levels.shape != (_STEPS + 1,) or not np.allclose(levels[[0, -1]], _ENDS, rtol=1e-12):
            return f"{_STEPS + 1} levels are asked for, from {_ENDS[0]:g} down to {_ENDS[1]:g}"
        found = _w2(levels)
    except (TypeError, ValueError, SeedsError) as error:
        return f"that is no grid: {error}"
    limit = _w2(uniform_log_snr(*_ENDS, _STEPS)) / 2
    if found > limit:
        return f"its W2 error is {found:.4f}, and at most {limit:.4f} is asked for: where are steps wasted?"
    return ""


def exercise_3() -> Task:
    """A grid that is twice as good."""
    grids = (uniform_log_snr(*_ENDS, _STEPS), rho_grid(*_ENDS, _STEPS))
    said = "where are steps wasted?"
    return Task(_judged, (*((grid, said) for grid in grids), ([math.inf, 1.0], "11 levels")))

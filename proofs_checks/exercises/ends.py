"""Exercises of the chapter on the two ends."""

from __future__ import annotations

import math

from scipy.optimize import brentq

from proofs_checks.exercises.answers import Key
from seeds_theory import make_plan
from toy_models import Gaussian
from toy_models.convergence import plan_response


def exercise_1() -> Key:
    """The first step from infinite noise."""
    data, first = Gaussian.scalar(0.25), 2.0
    variance = float(plan_response(make_plan("seeds-2", [math.inf, first]), data).variance(1.0))
    return Key(
        variance,
        (
            (
                variance + 0.25,
                "that is the exact law; from infinite noise the estimate is the mean alone",
            ),
            (first, "that is the deviation"),
            (0.25, "that is what is missing"),
        ),
        "the step ends in N(mu, sigma_1^2): the variance of the data is missing",
    )


def exercise_2() -> Key:
    """How high the first level has to be."""
    data = Gaussian.scalar(1.0)

    def excess(level: float, eta: float = 1.0) -> float:
        return float(data.propagator(level, 1e-9, eta)) ** 2 - 0.01

    right = brentq(excess, 0.5, 50.0, xtol=1e-12)
    return Key(
        right,
        (
            (
                brentq(lambda s: excess(s, 0.0), 0.5, 50.0, xtol=1e-12),
                "that is for the ODE, which forgets less",
            ),
            (right**2, "that is sigma_1^2"),
            (
                math.sqrt(10),
                "the propagator is c/(c + sigma_1^2): the data's variance is in it too",
            ),
        ),
        "the missing c = 1 is multiplied by the propagator's square, 1/(1 + sigma_1^2)^2, to be 1/100",
    )


def exercise_3() -> Key:
    """The last step."""
    data, last = Gaussian.scalar(1.0), 0.5
    response = plan_response(make_plan("seeds-1", [last, 0.0]), data)
    return Key(
        float(response.variance(1.0 + last**2)),
        (
            (1.0, "that is the variance of the data; the estimate lacks a part of it"),
            (1.25, "that is the state's before the step, which has the noise in it"),
            (0.64, "that is the squared gain; the state's variance is 1.25, not 1"),
        ),
        "the estimate multiplies a deviation by c/(c + v), and the state's variance is c + v",
    )

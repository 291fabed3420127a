"""Exercises of the chapter on emitted code."""

from __future__ import annotations

import math

from proofs_checks.exercises.answers import Key
from seeds_theory import make_plan


def exercise_1() -> Key:
    """A row of numbers."""
    row = make_plan("seeds-1", [2.0, 1.0]).steps[0].rows[0]
    return Key(
        (row.state, row.drift[0], row.noise[0]),
        (
            (
                (0.5, 0.5, math.sqrt(0.75)),
                "that is the ODE's state and drift: at eta = 1 the exponent is 2",
            ),
            ((0.25, 0.75, 0.75), "a row has the deviation of its noise, not the variance"),
            (
                (0.25, 0.75, 2 * math.sqrt(0.75)),
                "the noise is in units of the level where the step ends",
            ),
        ),
        "(t/s)^2, 1 - (t/s)^2 and t sqrt(1 - (t/s)^2) with s = 2 and t = 1",
    )


def exercise_2() -> Key:
    """What expm1 is for."""
    small = 2.0**-40
    lost = abs(math.exp(small) - 1 - math.expm1(small)) / math.expm1(small)
    right = round(-math.log2(lost))
    return Key(
        right,
        (
            (53, "those are all digits of a double; the subtraction keeps the absolute error only"),
            (40, "those are the digits that are lost"),
            (
                12,
                "that is what is left of any u of this size; here 1 + u is a double, and only u^2/2 is lost",
            ),
        ),
        "1 + u has 52 digits after the point, of which u begins at the 40th; what comes next is u^2/2",
    )

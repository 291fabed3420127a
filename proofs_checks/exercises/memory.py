"""Exercises of the chapter on methods with memory."""

from __future__ import annotations

import sympy as sp

from proofs_checks.exercises.answers import Key
from seeds_theory.baselines.adams import adams_weights


def exercise_1() -> Key:
    """Two estimates, unequal steps."""
    right = tuple(adams_weights([0.0, -2.0]))
    return Key(
        right,
        (
            ((1.5, -0.5), "that is for equal steps; the older estimate is twice as far away here"),
            ((2, -1), "the slope is (D_n - D_(n-1))/2, and the mean of theta is 1/2"),
            (right[::-1], "the newest comes first"),
        ),
        "the line through both estimates, at 0 and -2, integrated from 0 to 1",
    )


def exercise_2() -> Key:
    """Three estimates, equal steps."""
    right = tuple(adams_weights([0.0, -1.0, -2.0]))
    third = sp.Rational(1, 3)
    return Key(
        right,
        (
            ((third, third, third), "that is their mean; the parabola through them goes on to 1"),
            ((1.5, -0.5, 0), "that is the line through the newest two"),
            (right[::-1], "the newest comes first"),
        ),
        "the parabola through the estimates at 0, -1 and -2, integrated from 0 to 1",
    )

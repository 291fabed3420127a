"""Exercises of the chapter on the linear part."""

from __future__ import annotations

import sympy as sp
import torch

from proofs_checks.exercises.answers import Key
from proofs_checks.leading import level, local_defect
from seeds_theory import method
from seeds_theory.exact import DATA, variance
from seeds_theory.shifted import Shifted, shifted_levels
from toy_models import Gaussian


def exercise_1() -> Key:
    """A level on the shifted clock."""
    right, _ = shifted_levels([0.75, 0.5], 1.0)
    return Key(
        float(right),
        (
            (1.75, "levels are deviations; what adds up is their squares"),
            (1.25**2, "that is tau^2"),
        ),
        "tau^2 = c + sigma^2",
    )


def exercise_2() -> Key:
    """An estimate that leads away."""
    data = Shifted(Gaussian.scalar(1.0), 2.0)
    right = float(
        data(torch.ones(1, 1, dtype=torch.float64), float(shifted_levels([1.0, 0.5], 2.0)[0]))
    )
    return Key(
        right,
        (
            (0.5, "that is D; G - y is tau^2/sigma^2 = 3 times D - y"),
            (1 - 0.5 / 3, "the factor of D - y is tau^2/sigma^2, not its reciprocal"),
        ),
        "G = y + (tau^2/sigma^2) (D - y) with D = y/2 and tau^2 = 3",
    )


def exercise_3() -> Key:
    """What a shift does to the leading error."""
    c, v, square = 3, 1, 1
    defect = local_defect(method("seeds-2"), DATA)[-1]
    plain = defect.subs({variance: v, level: square})
    shifted = defect.subs({variance: v - c, level: c + square})
    right = shifted * sp.Rational(square, c + square) ** 3 / plain
    return Key(
        right,
        (
            (-right, "the data have the variance v - c < 0 there: the sign changes"),
            (4 * right, "SEEDS-2 has p = 2"),
        ),
        "(1 - c/v) (sigma^2/(c + sigma^2))^p with p = 2",
    )

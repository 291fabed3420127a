"""Exercises of the chapter on the published code."""

from __future__ import annotations

import math

import sympy as sp

from proofs_checks import trees
from proofs_checks.exercises.answers import Key
from proofs_checks.order_conditions import weak_defects
from proofs_checks.published import (
    independent_stages,
    seeds_3_published_phi,
    sign_moment,
    with_noise,
)
from seeds_theory import method
from seeds_theory.exact import DATA
from toy_models import Gaussian, gaussian_study


def exercise_1() -> Key:
    """What a misplaced argument costs."""
    study = gaussian_study(
        seeds_3_published_phi(), Gaussian.scalar(1.0), (64, 128, 256), sigma_max=4.0, sigma_min=0.5
    )
    assert study.weak_fit.order is not None
    right = round(study.weak_fit.order)
    return Key(
        right,
        (
            (2, "that is the order of the exact method"),
            (3, "that is the order for the ODE of the exact method"),
            (0, "it converges, only more slowly"),
        ),
        "the third stage is displaced by a multiple of F_2 - F_1 that does not shrink with h",
    )


def exercise_2() -> Key:
    """What independent stage noises cost."""
    tableau = with_noise(method("seeds-2"), independent_stages, "independent")
    forest = ((1,), 1)
    found = {d.forest: d.value for d in weak_defects(tableau, DATA, 2)}
    return Key(
        found[trees.canonical(tuple(forest))],
        (
            (0, "the covariance kappa_2t of the stage's noise and the step's is 0 instead of c_2"),
            (-1, "the exact weight is 1/2, not 1"),
            (-sp.Rational(1, 4), "the sum is b_2 kappa_2t, and b_2 = 1 at the node 1/2"),
        ),
        "the condition is sum b_i kappa_it = 1/2; what does the sum give if kappa_2t = 0?",
    )


def exercise_3() -> Key:
    """The mean of a two-point noise."""
    right = sign_moment(1, sp.Rational(1, 2))
    return Key(
        float(right),
        (
            (0, "the threshold is not 0: -1 is more likely than 1"),
            (0.5 * math.erfc(0.5 / math.sqrt(2)), "that is the probability of 1"),
            (-math.erf(0.5), "the argument of erf is a/sqrt(2)"),
        ),
        "P(z > 1/2) - P(z < 1/2)",
    )

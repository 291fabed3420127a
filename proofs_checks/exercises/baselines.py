"""Exercises of the chapter on baselines."""

from __future__ import annotations

import sympy as sp

from proofs_checks.exercises.answers import Key
from seeds_theory.baselines.adams import adams_weights
from seeds_theory.exact import DATA, eta, lam_t
from seeds_theory.noise import deviation, h
from seeds_theory.policies import POLICIES


def exercise_1() -> Key:
    """The eta of Flow-SDE."""
    right = POLICIES["flow-sde"].eta(0.8, 2.0, 1.0)
    return Key(
        right,
        (
            (2 * right, "a^2 = 2 eta"),
            (0.8, "the parameter is a root of an eta"),
        ),
        "compare g^2: a^2 = 2 eta",
    )


def exercise_2() -> Key:
    """DDIM's variance beside the exact one."""
    exact = (deviation(DATA) ** 2).subs(lam_t, 0).doit()
    right = sp.series(exact - eta * (1 - sp.exp(-2 * h)), h, 0, 3).removeO().coeff(h, 2)
    return Key(
        sp.factor(right),
        (
            (0, "they agree at eta = 0 and 1 only"),
            (2 * eta * (eta - 1), "that is DDIM's less the exact one"),
            (-2 * eta**2, "DDIM's has a term in h^2 as well"),
        ),
        "expand 1 - e^(-2 eta h) - eta (1 - e^(-2h)) up to h^2",
    )


def exercise_3() -> Key:
    """A multistep method with two estimates."""
    right = tuple(adams_weights([0.0, -1.0]))
    return Key(
        right,
        (
            (right[::-1], "the newest estimate has the larger weight"),
            (
                (0.5, 0.5),
                "that is the mean of both, as if the step went back; it goes on beyond the newest",
            ),
            ((1, 0), "that is Euler's step; the older estimate gives the slope"),
        ),
        "the line through both estimates, integrated from 0 to 1: D_n + (D_n - D_(n-1))/2",
    )

"""Exercises of the chapter on exact denoisers."""

from __future__ import annotations

import numpy as np
import sympy as sp

from proofs_checks.claims.martingale import TWO, three_calls
from proofs_checks.exercises.answers import Key
from seeds_theory import Tableau, method
from seeds_theory.tableau import z


def exercise_1() -> Key:
    """The denoiser from infinite noise."""
    return Key(
        float(TWO.denoiser(np.array([0.5]), 3.0)[0]),
        (
            (float(np.tanh(0.5)), "the masses are not equal: artanh of the mean is added"),
            (0.4, "that is the mean, at Z = 0"),
            (float(np.tanh(0.5 + 0.4)), "artanh 0.4, not 0.4, is added to Z"),
        ),
        "tanh(Z + artanh t) with the mean t = 0.7 - 0.3; gamma drops out, as both points have |x| = 1",
    )


def exercise_2() -> Key:
    """Whether three calls meet the one condition of order 2 that is left."""
    method_ = three_calls()
    with_end = np.array(method_.covariance)[:-1, -1]
    right = float(np.dot(method_.weights, with_end))
    return Key(
        right,
        (
            (
                float(np.dot(method_.weights, method_.nodes)),
                "the first stage's noise is not correlated with the end's",
            ),
        ),
        "b_2 kappa_2 + b_3 kappa_3 with b = (-1/4, 1/2, 3/4), kappa_2 = 0 and kappa_3 = 2/3",
    )


def _third_condition(tableau: Tableau) -> sp.Expr:
    """The last condition of weak order 3, left side less right, with the path's noise at the nodes."""
    c = tableau.nodes
    b = [sp.sympify(weight).subs(z, 0) for weight in tableau.weights]
    a = [[sp.sympify(weight).subs(z, 0) for weight in row] for row in tableau.stages]
    both = sum(b[i] * b[j] * min(c[i], c[j]) for i in range(len(c)) for j in range(len(c)))
    nested = sum(b[i] * a[i][j] * c[j] for i in range(len(c)) for j in range(i))
    return both + 2 * nested - 2 * sum(w * node**2 for w, node in zip(b, c, strict=True))


def exercise_3() -> Key:
    """By how much SEEDS-3 misses weak order 3."""
    right = _third_condition(method("seeds-3"))
    return Key(
        right,
        (
            (0, "SEEDS gains nothing: with the path's noise the conditions exclude each other"),
            (-sp.Rational(7, 24), "the sum with a_32 stands on the left side too"),
            (sp.Rational(1, 12), "that is the strong constant of SEEDS-2"),
        ),
        "at z = 0: b = (., 0, 3/4), a_32 = c_3^2/(2 c_2) = 2/3, kappa_ij = min(c_i, c_j), kappa_i = c_i",
    )

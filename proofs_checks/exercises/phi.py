"""Exercises of the chapter on phi-functions."""

from __future__ import annotations

import sympy as sp

from proofs_checks.exercises.answers import Key
from seeds_theory.phi import Phi, closed_form

z = sp.Symbol("z", real=True)


def exercise_1() -> Key:
    """A value at 0."""
    return Key(
        Phi(3, sp.Integer(0)),
        (
            (0, "0/0 is not 0: the closed form has no value there, the integral has"),
            (sp.Rational(1, 3), "the weight is theta^2/2!, and its mass is 1/3!"),
        ),
        "put z = 0 into the integral: what is left is the mass of the weight theta^(k-1)/(k-1)!",
    )


def exercise_2() -> Key:
    """Doubling the argument."""
    return Key(
        sp.cancel(closed_form(1, 2 * z) / closed_form(1, z)),
        (
            (1 + sp.exp(z), "phi_1(2z) divides by 2z, not by z"),
            (sp.exp(z), "that is the ratio for phi_0"),
        ),
        "write phi_1(2z) = (e^(2z) - 1)/(2z), and factor the difference of squares",
    )


def exercise_3() -> Key:
    """A derivative at 0."""
    return Key(
        Phi(3, z).diff(z).subs(z, 0),
        (
            (sp.Rational(1, 6), "that is the value, not the slope"),
            (sp.Rational(1, 4), "the factorial counts n + k: the term of z is z/4!"),
            (sp.Rational(1, 24) * 3, "phi_3' is the difference phi_3 - 3 phi_4"),
        ),
        "phi_3' = phi_3 - 3 phi_4 at 0, or read the slope off the Taylor series",
    )

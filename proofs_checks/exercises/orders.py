"""Exercises of the chapter on orders of convergence."""

from __future__ import annotations

import sympy as sp

from proofs_checks.exercises.answers import Key
from proofs_checks.leading import leading_constant, local_defect, v_end, v_start
from proofs_checks.order_conditions import strong_constant
from seeds_theory import method
from seeds_theory.exact import DATA, NOISE, variance
from seeds_theory.methods import seeds_2a
from toy_models.convergence import fit_exact


def exercise_1() -> Key:
    """An order read off two errors."""
    return Key(
        fit_exact([20, 40], [8e-3, 1e-3]).order,
        (
            (8, "that is the ratio of the errors; the order is its logarithm"),
            (2, "the ratio of the steps is 2; two to which power is the ratio of the errors?"),
            (-3, "the slope of the curve is -3; the order is its size"),
        ),
        "the logarithm of the ratio of the errors over that of the ratio of the steps",
    )


def exercise_2() -> Key:
    """What one step of SEEDS-1 leaves out."""
    right = local_defect(method("seeds-1"), DATA)[-1]
    return Key(
        right,
        (
            (right / 4, "(1 - e^(-2h))^2 begins with (2h)^2 = 4 h^2"),
            (right / 2, "(1 - e^(-2h))^2 begins with 4 h^2"),
            (
                right / sp.Symbol("v", positive=True),
                "K = v D', with D' = c/(c + v): the v is missing",
            ),
        ),
        "the covariance lacks (1 - e^(-2h))^2 K with K = v D' = c v/(c + v)",
    )


def exercise_3() -> Key:
    """Where an order is an accident."""
    constant = leading_constant(method("seeds-1"), NOISE).subs(
        {v_start: 64, v_end: sp.Rational(1, 4)}
    )
    (right,) = sp.solve(sp.numer(sp.together(constant)), variance)
    return Key(
        right,
        (
            (sp.sqrt(right), "that is the deviation; c is the variance"),
            (right**2, "that is v_S v_T = c^2"),
        ),
        "K vanishes where v_S v_T = c^2, and v is the square of a level",
    )


def exercise_4() -> Key:
    """The node that is best along paths."""
    node = sp.Symbol("c_2", positive=True)
    (right,) = sp.solve(sp.diff(strong_constant(seeds_2a(node), DATA), node), node)
    return Key(
        right,
        (
            (sp.Rational(1, 2), "that is the default; it makes other terms small"),
            (sp.Rational(2, 3), "that is best if the weight is free; SEEDS-2 has b_2 = 1/(2 c_2)"),
            (1, "delta^2 falls towards larger nodes, but not all the way"),
        ),
        "delta^2 = 1/(4c) + c/2 - 2/3 with b_2 = 1/(2c); find its least value",
    )

"""Exercises of the chapter on order conditions."""

from __future__ import annotations

import sympy as sp

from proofs_checks import trees
from proofs_checks.exercises.answers import Key
from proofs_checks.order_conditions import stiff_order
from proofs_checks.published import lawson_2
from proofs_checks.taylor import exact_weight

_SQUARE = (((1,), (1,)), ((1,), 1), (((),),))
"""phi''(f'(e_a), f'(e_a)), phi''(f'(e_a), e_a), phi'(f'(f)): forests of two, two trees and one."""


def exercise_1() -> Key:
    """A tree's power of h."""
    return Key(
        int(trees.grade(_SQUARE[0])),
        (
            (2, "the two noise leaves count 1/2 each, beside the two nodes"),
            (4, "a noise leaf counts half a power"),
            (sp.Rational(5, 2), "both leaves of the pair count"),
        ),
        "each node f counts one, each noise leaf one half; the root phi counts nothing",
    )


def exercise_2() -> Key:
    """A tree expanded by hand."""
    return Key(
        exact_weight(_SQUARE[2], sp.Integer(0), 2)[2],
        (
            (1, "integrate over k < l < h, a triangle, not over the square"),
            (sp.Rational(1, 6), "two nodes are two integrals; 1/6 is that of f'(f'(f))"),
            (0, "that is the weight in Euler's step; the exact solution has the term"),
        ),
        "insert x_l = x_s + (l - s) f into f and integrate over the step",
    )


def exercise_3() -> Key:
    """How many conditions weak order 2 has."""
    right = sum(len(trees.forests(grade)) for grade in (1, 2))
    return Key(
        right,
        (
            (7, "those of the second power; the first power has conditions as well"),
            (5, "that many SEEDS-1 fails; the question is how many there are"),
            (2, "those of the first power"),
        ),
        "count the forests of grade 1 and of grade 2 in the table, or ask `trees.forests`",
    )


def exercise_4() -> Key:
    """The order that does not see the linear part."""
    return Key(
        stiff_order(lawson_2(sp.Rational(1, 2))),
        (
            (2, "that is its classical order; ask whether it integrates a constant exactly"),
            (1, "order 1 asks that a constant F is integrated exactly for every z, and it is not"),
        ),
        "does a row of Lawson's method have the weight phi_1(z) in all for a constant F?",
    )

"""Exercises of the chapter on convergence."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy as sp

from proofs_checks.exercises.answers import Key, Task
from proofs_checks.order_conditions import strong_constant
from proofs_checks.taylor import PLAIN
from seeds_theory import Orders, Tableau, method
from seeds_theory.methods import seeds_2a
from seeds_theory.phi import Phi
from seeds_theory.tableau import z


def exercise_1() -> Key:
    """The weight at a node."""
    weight = seeds_2a(sp.Rational(1, 4)).weights[0].subs(z, 0)
    return Key(
        weight,
        (
            (sp.Rational(1, 2), "that is b_2 c_2; divide by the node"),
            (1, "that is the weight at the node 1/2"),
            (4, "the condition asks for 1/2, not for 1"),
        ),
        "one stage leaves one term: b_2 c_2 = 1/2",
    )


def _trapezoidal(count: int) -> Tableau:
    """The best nodes and weights for the average of a path, as a method without a linear part."""
    gap = sp.Rational(2, 2 * count + 1)
    nodes = tuple(gap * i for i in range(1, count + 1))
    stages = tuple((sp.Integer(0),) * i for i in range(count))
    return Tableau(
        "average", nodes, stages, (gap,) * count, Orders(Fraction(1), 1, 1), "trapezoidal rule"
    )


def exercise_2() -> Key:
    """The barrier with two nodes."""
    right, one, three = (strong_constant(_trapezoidal(n), PLAIN) for n in (2, 1, 3))
    return Key(
        right,
        (
            (one, "that is for one node; SEEDS-3 has two"),
            (three, "that is for three nodes: the start, which is known, does not count"),
            (strong_constant(method("seeds-2"), PLAIN), "that is what SEEDS-2 has"),
            (
                strong_constant(method("seeds-3"), PLAIN),
                "that is what SEEDS-3 has; two nodes can do better",
            ),
        ),
        "two bridges of length D and a free end of length 1 - 2D have 2 D^3/12 + (1 - 2D)^3/3; minimise it",
    )


def _judged(answer: Any) -> str:
    try:
        nodes, weights = (tuple(map(sp.nsimplify, part)) for part in answer)
        stages = tuple((sp.Integer(0),) * i for i in range(len(nodes)))
        tableau = Tableau("answer", nodes, stages, weights, Orders(Fraction(1), 1, 1), "an answer")
    except (TypeError, ValueError, sp.SympifyError):
        return "two pairs are asked for, ((c_2, c_3), (b_2, b_3)), with distinct nodes in (0, 1]"
    if len(nodes) != 2:
        return f"two nodes are asked for; got {len(nodes)}"
    condition = sum(b * c for b, c in zip(weights, nodes, strict=True))
    if condition != sp.Rational(1, 2):
        return f"its weak order is 1: the sum of b_i c_i is {condition}, and 1/2 is asked for"
    found, best = strong_constant(tableau, PLAIN), strong_constant(_trapezoidal(2), PLAIN)
    if found > best * sp.Rational(21, 20):
        return f"delta^2 is {found}, {float(found / best):.2f} times the bound; 1.05 is asked for"
    return ""


def exercise_3() -> Task:
    """As near to the barrier as weak order 2 lets."""
    third = sp.Rational(1, 3)
    thirds = ((third, 2 * third), (sp.Integer(0), sp.Rational(3, 4)))
    fifths = ((sp.Rational(2, 5), sp.Rational(4, 5)), (sp.Rational(2, 5),) * 2)
    return Task(
        _judged, ((thirds, "times the bound"), (fifths, "weak order is 1"), (Phi(1, z), "pairs"))
    )

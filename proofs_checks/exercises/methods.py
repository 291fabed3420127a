"""Exercises of the chapter on the methods."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy as sp

from proofs_checks.exercises.answers import Key, Task
from proofs_checks.order_conditions import weak_order
from seeds_theory import Tableau, make_plan, method, uniform_log_snr
from seeds_theory.exact import DATA
from seeds_theory.methods import seeds_2a
from seeds_theory.phi import Phi
from seeds_theory.tableau import Orders, z


def exercise_1() -> Key:
    """What a budget buys."""
    plan = next(
        p
        for n in range(1, 31)
        if (p := make_plan("seeds-3", uniform_log_snr(80.0, 0.002, n))).nfe == 30
    )
    right = (len(plan.steps), plan.normals)
    return Key(
        right,
        (
            ((30, 30), "a step of SEEDS-3 calls the network three times"),
            ((10, 10), "each stage has noise: a normal for each interval between the nodes"),
            ((10, 20), "two nodes cut a step into three intervals"),
        ),
        "a step has three calls, and three intervals: up to c_2, up to c_3, up to the end",
    )


def exercise_2() -> Key:
    """The weight of the first estimate."""
    right = sp.simplify(method("seeds-2").rows[-1][1][0])
    return Key(
        right,
        (
            (
                Phi(1, z),
                "that is the weight of F_1 beside the difference F_2 - F_1; sort by F_1 and F_2",
            ),
            (Phi(1, z) / 2, "the difference F_2 - F_1 has the weight phi_1/(2 c_2) = phi_1 here"),
        ),
        "phi_1 F_1 + phi_1/(2 c_2) (F_2 - F_1) at c_2 = 1/2, sorted by F_1 and F_2",
    )


def _judged(answer: Any) -> str:
    if not isinstance(answer, Tableau):
        return (
            f"a Tableau is asked for, as in the chapter's last section; got {type(answer).__name__}"
        )
    if answer.nodes != (sp.Rational(1, 4),):
        return f"its one node is to be 1/4; it has the nodes {answer.nodes}"
    condition = sum(b * c for b, c in zip(answer.weights, answer.nodes, strict=True))
    if weak_order(answer, DATA) < 2:
        found = sp.sympify(condition).subs(z, 0)
        return f"its weak order is 1: b_2 c_2 is {found} at z = 0, where 1/2 is asked for"
    if sp.simplify((answer.weights[0] - Phi(1, z) * 2).doit()) == 0:
        return "that is SEEDS-2 itself, at this node: find another one"
    return ""


def exercise_3() -> Task:
    """A method of one's own."""
    node = sp.Rational(1, 4)
    slip = Tableau("slip", (node,), ((),), (Phi(1, z),), Orders(Fraction(1), 1, 1), "an error")
    return Task(
        _judged,
        ((slip, "b_2 c_2 is 1/4"), (seeds_2a(node), "SEEDS-2 itself"), (method("seeds-2"), "node")),
    )

"""The SEEDS family. A method is a dozen lines of data; its name may carry nodes: ``seeds-2@0.7``.

The noise-prediction forms are Algorithms 2-4 of the SEEDS paper (arXiv 2305.14267); the same tableaux
serve data prediction, and at eta = 0 they are exponential Runge-Kutta methods of DPM-Solver's kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import sympy as sp

from seeds_theory.errors import TableauError, UnknownNameError
from seeds_theory.phi import Phi
from seeds_theory.tableau import Orders, Tableau, require_nodes, z


def seeds_1() -> Tableau:
    """Exponential Euler-Maruyama: F frozen at the start of the step."""
    return Tableau("seeds-1", (), (), (), Orders(Fraction(1), 1, 1), "SEEDS, Algorithm 2")


def seeds_2a(c2: sp.Expr) -> Tableau:
    """Two stages; the correction is weighted as by a classical Runge-Kutta method."""
    weights = (Phi(1, z) / (2 * c2),)
    return Tableau(
        "seeds-2", (c2,), ((),), weights, Orders(Fraction(1), 2, 2), "SEEDS, Algorithm 3, type 2a"
    )


def seeds_2b(c2: sp.Expr) -> Tableau:
    """Two stages; F is interpolated linearly and integrated exactly."""
    weights = (Phi(2, z) / c2,)
    return Tableau(
        "seeds-2b", (c2,), ((),), weights, Orders(Fraction(1), 2, 2), "SEEDS, Algorithm 3, type 2b"
    )


def seeds_3a(c2: sp.Expr, c3: sp.Expr) -> Tableau:
    """Three stages; the last line interpolates F at the nodes 0 and c3."""
    return _seeds_3("seeds-3", c2, c3, (sp.Integer(0), Phi(2, z) / c3), "type 3a")


def seeds_3b(c2: sp.Expr, c3: sp.Expr) -> Tableau:
    """Three stages; the last line interpolates F quadratically at all nodes."""
    weights = (
        (2 * Phi(3, z) - c3 * Phi(2, z)) / (c2 * (c2 - c3)),
        (2 * Phi(3, z) - c2 * Phi(2, z)) / (c3 * (c3 - c2)),
    )
    return _seeds_3("seeds-3b", c2, c3, weights, "type 3b")


def _seeds_3(
    name: str, c2: sp.Expr, c3: sp.Expr, weights: tuple[sp.Expr, ...], kind: str
) -> Tableau:
    stages = ((), (c3**2 / c2 * Phi(2, c3 * z),))
    # sum b c^2 = 1/3 and sum b a c = 1/6 both ask for c3 = 2/3.
    orders = Orders(Fraction(1), 2, 3 if c3 == sp.Rational(2, 3) else 2)
    return Tableau(name, (c2, c3), stages, weights, orders, f"SEEDS, Algorithm 4, {kind}")


@dataclass(frozen=True)
class Family:
    """A registered method: its constructor from nodes and the default nodes."""

    build: Callable[..., Tableau]
    nodes: tuple[sp.Expr, ...]


_half, _third = sp.Rational(1, 2), sp.Rational(1, 3)

METHODS: dict[str, Family] = {
    "seeds-1": Family(seeds_1, ()),
    "seeds-2": Family(seeds_2a, (_half,)),
    "seeds-2b": Family(seeds_2b, (_half,)),
    "seeds-3": Family(seeds_3a, (_third, 2 * _third)),
    "seeds-3b": Family(seeds_3b, (_third, 2 * _third)),
}
"""The registry: name to `Family`."""


def symbolic(name: str) -> Tableau:
    """A registered method at symbolic nodes c_2, c_3, ..., which ascend and end before 1."""
    family = METHODS[name]
    nodes = (sp.Symbol(f"c_{j}", positive=True) for j in range(2, 2 + len(family.nodes)))
    return family.build(*nodes)


def method(name: str) -> Tableau:
    """The tableau of a name, with nodes after ``@`` if they are not the default ones.

    >>> method("seeds-2@0.7").nodes
    (7/10,)

    Raises
    ------
    UnknownNameError : the name is not registered; lists those that are.
    TableauError : the nodes are unreadable, too few or many, outside (0, 1] or repeated.
    """
    base, at, listed = name.partition("@")
    if base not in METHODS:
        raise UnknownNameError(
            f"unknown method {name!r}; known: {', '.join(METHODS)}, with nodes as in 'seeds-2@0.7'"
        )
    family = METHODS[base]
    if not at:
        return family.build(*family.nodes)
    try:
        nodes = tuple(sp.Rational(Fraction(node)) for node in listed.split(","))
    except (ValueError, ZeroDivisionError):
        raise TableauError(
            f"nodes are numbers such as 0.7 or 2/3, separated by commas; got {listed!r}"
        ) from None
    if len(nodes) != len(family.nodes):
        raise TableauError(
            f"{base!r} takes {len(family.nodes)} node(s) after '@'; got {len(nodes)} in {name!r}"
        )
    require_nodes(nodes)
    return replace(family.build(*nodes), name=name)

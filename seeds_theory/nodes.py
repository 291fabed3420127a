"""Nodes of a method: fractions in (0, 1], as they are written after a method's name."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from seeds_theory.errors import TableauError


def exact_node(node: float | str) -> Fraction:
    """The fraction that a node is meant as: 1/3 of the double nearest to it, 7/10 of 0.7.

    A fraction with a denominator up to 1000 is taken if its double is the node's; else the node's digits.
    Raises ValueError, ZeroDivisionError or OverflowError for what is no number.
    """
    digits = Fraction(str(node))
    simple = digits.limit_denominator(1000)
    return simple if float(simple) == float(digits) else digits


def listed_nodes(name: str, listed: str, count: int) -> tuple[Fraction, ...]:
    """The nodes after the ``@`` of a name.

    name : with the nodes, for errors. count : how many the method takes.

    Raises
    ------
    TableauError : they are unreadable, too few or many, outside (0, 1] or repeated, or make no method.
    """
    base = name.partition("@")[0]
    try:
        nodes = tuple(map(exact_node, listed.split(",")))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise TableauError(
            f"nodes are numbers such as 0.7 or 2/3, separated by commas; got {listed!r}"
        ) from None
    if len(nodes) != count:
        raise TableauError(
            f"{base!r} takes {count} node(s) after '@'; got {len(nodes)} in {name!r}"
        )
    require_nodes(nodes)
    refuse_nodes(base, nodes)
    return nodes


def require_nodes(nodes: Sequence[Any]) -> None:
    """Nodes lie in (0, 1] and differ; a symbol of sympy is taken to be admissible."""
    for node in nodes:
        if getattr(node, "is_number", True) and not 0 < node <= 1:
            raise TableauError(f"nodes lie in (0, 1]; got {node}: choose for example 1/2 or 2/3")
    if len(set(nodes)) < len(nodes):
        given = ", ".join(str(node) for node in nodes)
        raise TableauError(
            f"nodes differ from each other; got {given}: choose for example 1/3, 2/3"
        )


def refuse_nodes(method: str, nodes: Sequence[Any]) -> None:
    """Raise TableauError for a node at which a method of that name is none, or so near that it explodes.

    nodes : fractions, or numbers or symbols of sympy; a symbol is taken to be admissible.
    """
    if method == "seeds-3s" and _is_near(nodes[0], Fraction(2, 3)):
        raise TableauError(
            "seeds-3s has no node 2/3, where its last weight vanishes and its stage's noise has no bound: "
            "choose 1/2"
        )


def _is_near(node: Any, number: Fraction) -> bool:
    return getattr(node, "is_number", True) and abs(float(node) - float(number)) < 1e-3

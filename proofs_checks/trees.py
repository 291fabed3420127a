r"""Rooted trees with noise: the terms of a stochastic Taylor expansion, and what their means pair up.

For :math:`dx = f(x, l)\,dl + \text{noise}` every term of the expansion of :math:`\varphi(x_t)` is a tree:

* a node ``f`` with its children, a derivative of f applied to them (a tuple of trees),
* a leaf `TIME`, one derivative of f in time,
* a leaf of noise, a positive number.

A *forest* is the tuple of trees below the root :math:`\varphi`, an arbitrary smooth function. In the
mean, noise leaves pair up (Wick's formula): two leaves with the same number are one such pair, and the
elementary differential is contracted over it, :math:`\sum_a \dots e_a \dots e_a \dots`. Leaves are
paired inside a tree and across trees; this is what conditions for systems have beyond those for one
equation. A node counts 1, a time leaf 1, a noise leaf 1/2 of the power of h: the *grade*.

Reference: Roessler, SIAM J. Numer. Anal. 48 (2010); Debrabant and Kvaernoe, SIAM J. Numer. Anal. 47 (2008).
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cache
from typing import Any

Tree = Any  # int | tuple["Tree", ...]: mypy has no recursive alias that sympy-free code could use
Forest = tuple[Tree, ...]

TIME = 0
NOISE = 1
"""Any noise leaf, before leaves are paired."""


def grade(forest: Forest) -> Fraction:
    """The power of h that a forest starts with."""
    return Fraction(sum(_cost(tree) for tree in forest), 2)


def _cost(tree: Tree) -> int:
    """Twice the power of h: 1 for noise, 2 for time, 2 and its children for a node."""
    if isinstance(tree, tuple):
        return 2 + sum(map(_cost, tree))
    return 2 if tree == TIME else 1


def noise_leaves(tree: Tree) -> int:
    """The number of noise leaves of a tree or forest."""
    if isinstance(tree, tuple):
        return sum(map(noise_leaves, tree))
    return int(tree != TIME)


@cache
def _bags(cost: int, largest: int) -> tuple[Forest, ...]:
    """Sorted tuples of trees and leaves of that total cost, each at most the `largest`-th item."""
    if cost == 0:
        return ((),)
    items = _items(cost)
    return tuple(
        (*rest, items[i])
        for i in range(min(largest + 1, len(items)))
        if _cost(items[i]) <= cost
        for rest in _bags(cost - _cost(items[i]), i)
    )


@cache
def _items(cost: int) -> tuple[Tree, ...]:
    """Noise, time, and all trees up to that cost, cheap ones first."""
    nodes = (bag for c in range(2, cost + 1) for bag in _bags(c - 2, 10**9))
    return (NOISE, TIME, *nodes)


def trees(half_grades: int) -> tuple[Tree, ...]:
    """All nodes f with children, of that grade in halves, noise leaves not yet paired."""
    return _bags(half_grades - 2, 10**9) if half_grades >= 2 else ()


def forests(grade_: int) -> tuple[Forest, ...]:
    """All contracted forests of that grade: every way in which the noise leaves pair up, once."""
    found: dict[Forest, None] = {}
    for bag in _bags(2 * grade_, 10**9):
        if TIME not in bag:  # phi does not depend on time
            found |= dict.fromkeys(_contracted(bag))
    return tuple(found)


def multiplicity(forest: Forest) -> Fraction:
    r"""How often a contracted forest comes in :math:`\mathbb{E}\varphi`: pairings over symmetries."""
    bare = _bare(forest)
    pairings = Counter(_contract(bare))
    return Fraction(pairings[forest], _symmetry(bare))


def _contracted(bag: Forest) -> Iterable[Forest]:
    return dict.fromkeys(_contract(bag))


def _contract(bag: Forest) -> Iterator[Forest]:
    """One canonical forest per pairing of the noise leaves."""
    for labels in _pairings(noise_leaves(bag)):
        yield canonical(_labelled(bag, iter(labels)))


def _pairings(count: int) -> Iterator[tuple[int, ...]]:
    """All labellings of leaves by pair numbers 1, 2, ..., in the order in which pairs open."""

    def extend(labels: tuple[int, ...], free: tuple[int, ...], pair: int) -> Iterator[Any]:
        if not free:
            yield labels
            return
        for partner in free[1:]:
            chosen = tuple(
                pair if i in (free[0], partner) else label for i, label in enumerate(labels)
            )
            yield from extend(chosen, tuple(f for f in free[1:] if f != partner), pair + 1)

    if count % 2 == 0:
        yield from extend((0,) * count, tuple(range(count)), 1)


def _labelled(tree: Tree, labels: Iterator[int]) -> Tree:
    if isinstance(tree, tuple):
        return tuple(_labelled(child, labels) for child in tree)
    return tree if tree == TIME else next(labels)


def canonical(forest: Forest) -> Forest:
    """The representative of a contracted forest: children sorted, pairs numbered to come first."""
    pairs = sorted(set(leaves(forest)) - {TIME})
    candidates = (
        _sorted(forest, dict(zip(pairs, order, strict=True)))
        for order in itertools.permutations(range(1, len(pairs) + 1))
    )
    return min(candidates, key=repr)


def leaves(tree: Tree) -> Iterator[int]:
    """The time leaves and the noise leaves with their pair numbers, from left to right."""
    if isinstance(tree, tuple):
        for child in tree:
            yield from leaves(child)
    else:
        yield tree


def _sorted(tree: Tree, names: dict[int, int]) -> Tree:
    if isinstance(tree, tuple):
        return tuple(sorted((_sorted(child, names) for child in tree), key=repr))
    return names.get(tree, tree)


def _bare(tree: Tree) -> Tree:
    """The forest as enumerated: no pairs, children in the order of `_items`."""
    if isinstance(tree, tuple):
        children = [_bare(child) for child in tree]
        order = _items(max((_cost(child) for child in children), default=0)).index
        return tuple(sorted(children, key=order))
    return tree if tree == TIME else NOISE


def _symmetry(tree: Tree) -> int:
    if not isinstance(tree, tuple):
        return 1
    counts = Counter(tree)
    return math.prod(math.factorial(n) * _symmetry(child) ** n for child, n in counts.items())


def differential(forest: Forest) -> str:
    r"""The elementary differential in LaTeX, as :math:`\varphi''(e_a, f'(e_a))`, summed over pairs."""
    return _applied(r"\varphi", forest)


def term(tree: Tree) -> str:
    r"""A term of x itself in LaTeX, as :math:`f'(e_a)`; each noise leaf is a component of its own."""
    if not isinstance(tree, tuple):
        return "e_a"
    names = iter(range(1, noise_leaves(tree) + 1))
    return _applied("f", _labelled(tree, names))


def plain(latex: str) -> str:
    """Such a term for a terminal: phi''(e_a, f'(e_a)), with d_l for the derivative in the log-SNR."""
    words = {r"\varphi": "phi", r"\ddot ": "d_l^2 ", r"\dot ": "d_l ", r"\partial_l": "d_l"}
    for symbol, word in words.items():
        latex = latex.replace(symbol, word)
    return latex.replace("{", "").replace("}", "")


def _applied(name: str, children: Forest) -> str:
    arguments = [child for child in children if child != TIME]
    times = len(children) - len(arguments)
    name = {0: name, 1: rf"\dot {name}", 2: rf"\ddot {name}"}.get(
        times, rf"\partial_l^{times} {name}"
    )
    if not arguments:
        return name
    inner = ", ".join(
        _applied("f", child) if isinstance(child, tuple) else f"e_{'abcdefgh'[child - 1]}"
        for child in arguments
    )
    primes = "'" * len(arguments) if len(arguments) < 4 else rf"^{{({len(arguments)})}}"
    return f"{name}{primes}({inner})"

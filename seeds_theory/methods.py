r"""The SEEDS family. A method is a dozen lines of data; its name may carry nodes: ``seeds-2@0.7``.

The noise-prediction forms are Algorithms 2-4 of the SEEDS paper (arXiv 2305.14267); the same tableaux
serve data prediction, and at eta = 0 they are exponential Runge-Kutta methods of DPM-Solver's kind.

Beyond SEEDS: ``seeds-2s`` and ``seeds-3s``. A stage of SEEDS has the noise of the path at its node. Here the
noises :math:`\zeta_i` of the stages are the ones for which the quadrature that the weights are is exact for
the noise too,

.. math::  \sum_i b_i c_i^k \zeta_i = \int_0^1 e^{\zeta h (1 - \tau)} \tau^k N(\tau)\,d\tau,
           \qquad k = 0, \dots, s - 2,

which takes no more normals and no more model calls. ``seeds-4s`` has weak order 3. Claims: ``beyond-*``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, lru_cache

from seeds_theory.errors import unknown_method
from seeds_theory.extras import optional_imports
from seeds_theory.nodes import listed_nodes, refuse_nodes
from seeds_theory.noise import (
    Functional,
    Moment,
    Normal,
    h,
    moment_covariance,
    path_averages,
)
from seeds_theory.phi import Phi
from seeds_theory.registry import Registry
from seeds_theory.tableau import Orders, Tableau, z

with optional_imports():
    import sympy as sp


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


def seeds_2s(c2: sp.Expr) -> Tableau:
    """SEEDS-2b with the average of the path in its stage: strong order 1.5 at c2 = 3/4."""
    weights = (Phi(2, z) / c2,)
    best = c2 == sp.Rational(3, 4)
    orders = Orders(
        Fraction(3, 2) if best else Fraction(1), 2 if best else 1, 2, linear=(Fraction(2), 2)
    )
    return _averaging("seeds-2s", (c2,), ((),), weights, orders)


def seeds_3s(c2: sp.Expr) -> Tableau:
    """Kutta's method with two averages of the path in its stages: order 3 for a linear F.

    Raises
    ------
    TableauError : the node 2/3, at which b_3 vanishes as h does, and the third stage's noise has no bound.
    """
    refuse_nodes("seeds-3s", (c2,))
    last = (2 * Phi(3, z) - c2 * Phi(2, z)) / (1 - c2)
    weights = ((Phi(2, z) - last) / c2, last)
    stages = ((), (weights[0] * (1 - c2) / weights[1],))
    best = c2 == sp.Rational(1, 2)
    orders = Orders(
        Fraction(3, 2) if best else Fraction(1), 2 if best else 1, 3, linear=(Fraction(3), 3)
    )
    return _averaging("seeds-3s", (c2, sp.Integer(1)), stages, weights, orders)


def seeds_4s() -> Tableau:
    r"""SEEDS-3b with a stage more: weak order 3 for any smooth F, which three stages cannot have.

    Each noise is that of the path at its node in law, alone and together with the step's noise; two by two
    the stages have the path's covariances, but for the last two: 7/24 h instead of 1/3 h as h -> 0. Weighted,
    their sum is the average of the path.
    """
    c2, c3, c4 = nodes = sp.Rational(53, 165), sp.Rational(1, 3), sp.Rational(5, 6)
    weights = (
        sp.Integer(0),
        (2 * Phi(3, z) - c4 * Phi(2, z)) / (c3 * (c3 - c4)),
        (2 * Phi(3, z) - c3 * Phi(2, z)) / (c4 * (c4 - c3)),
    )
    stages = ((), (c3**2 / c2 * Phi(2, c3 * z),), (c4**2 / c2 * Phi(2, c4 * z), sp.Integer(0)))
    # The directions of the three bridges in the plane of two normals.
    root = sp.sqrt
    directions = (
        (root(159) / (5 * root(7)), 4 / (5 * root(7))),
        (7 * root(3) / (10 * root(2)), root(53) / (10 * root(2))),
        (3 * root(3) / (4 * root(5)), -root(53) / (4 * root(5))),
    )

    def noise(rate: sp.Expr, nodes: tuple[sp.Expr, ...]) -> tuple[Functional, ...]:
        def variance(length: sp.Expr) -> sp.Expr:  # over h
            return moment_covariance(Moment(rate, 0), Moment(rate, 0), length) / h

        end, first, second = (Functional({Normal(rate, k): sp.Integer(1)}) for k in range(3))
        rows = []
        for c, (along, across) in zip(nodes, directions, strict=True):
            rest = (1 - c) * h
            with_end = sp.exp(-rate * rest) * variance(c * h) / root(variance(h))
            bridge = root(variance(c * h) * variance(rest) / variance(h))
            rows.append(with_end * end + bridge * (along * first + across * second))
        return (*rows, root(variance(h)) * end)

    return Tableau(
        "seeds-4s",
        nodes,
        stages,
        weights,
        Orders(Fraction(3, 2), 3, 3, linear=(Fraction(2), 3)),
        "this project",
        noise=noise,
        noise_nodes=(),
        predictions=("data",),
    )


def _averaging(
    name: str,
    nodes: tuple[sp.Expr, ...],
    stages: tuple[tuple[sp.Expr, ...], ...],
    weights: tuple[sp.Expr, ...],
    orders: Orders,
) -> Tableau:
    """A method of one or two stages with nodes, whose noises follow from its weights."""

    def noise(rate: sp.Expr, nodes: tuple[sp.Expr, ...]) -> tuple[Functional, ...]:
        averages = path_averages(rate)
        b = [(1 + rate) * h * weight.subs(z, -(1 + rate) * h) for weight in weights]
        if len(nodes) == 1:
            at_end = [1 / b[0] * averages["M"]]
        else:
            M, M1, c2 = averages["M"], averages["M1"], nodes[0]
            at_end = [
                1 / (b[0] * (1 - c2)) * (M + sp.Integer(-1) * M1),
                1 / (b[1] * (1 - c2)) * (M1 + -c2 * M),
            ]
        # In units of the noise scale at each stage.
        own = (sp.exp(-(1 - c) * h) * zeta for c, zeta in zip(nodes, at_end, strict=True))
        return (*own, averages["N"])

    return Tableau(
        name,
        nodes,
        stages,
        weights,
        orders,
        "this project",
        noise=noise,
        noise_nodes=(),
        predictions=("data",),
    )


@dataclass(frozen=True)
class Family:
    """A registered method: its constructor from nodes and the default nodes."""

    build: Callable[..., Tableau]
    nodes: tuple[sp.Expr, ...]


_half, _third = sp.Rational(1, 2), sp.Rational(1, 3)

METHODS = Registry(
    "method",
    {
        "seeds-1": Family(seeds_1, ()),
        "seeds-2": Family(seeds_2a, (_half,)),
        "seeds-2b": Family(seeds_2b, (_half,)),
        "seeds-3": Family(seeds_3a, (_third, 2 * _third)),
        "seeds-3b": Family(seeds_3b, (_third, 2 * _third)),
        "seeds-2s": Family(seeds_2s, (sp.Rational(3, 4),)),
        "seeds-3s": Family(seeds_3s, (_half,)),
        "seeds-4s": Family(seeds_4s, ()),
    },
)
"""The registry: name to `Family`."""

SEEDS = ("seeds-1", "seeds-2", "seeds-2b", "seeds-3", "seeds-3b")
"""The names of the published family; the other methods go beyond it."""


def symbolic(name: str) -> Tableau:
    """A registered method at symbolic nodes c_2, c_3, ..., which ascend and end before 1."""
    family = METHODS[name]
    nodes = (sp.Symbol(f"c_{j}", positive=True) for j in range(2, 2 + len(family.nodes)))
    return family.build(*nodes)


def method(name: str) -> Tableau:
    """The tableau of a name, with nodes after ``@`` if they are not the default ones.

    >>> method("seeds-2@0.7").nodes
    (7/10,)

    A node that is written as a double stands for the simple fraction that it is the double of
    (`seeds_theory.nodes.exact_node`).

    Raises
    ------
    UnknownNameError : the name is not registered; lists those that are.
    TableauError : the nodes are unreadable, too few or many, outside (0, 1] or repeated.
    """
    base, at, _ = name.partition("@")
    if base not in METHODS:
        raise unknown_method(name, METHODS)
    family = METHODS[base]
    return _named(family, name) if at else _built(family, family.nodes)


@lru_cache(maxsize=256)
def _named(family: Family, name: str) -> Tableau:
    _, _, listed = name.partition("@")
    nodes = tuple(map(sp.Rational, listed_nodes(name, listed, len(family.nodes))))
    return replace(_built(family, nodes), name=name)


@cache
def _built(family: Family, nodes: tuple[sp.Expr, ...]) -> Tableau:
    return family.build(*nodes)

"""Does the ledger notice a wrong coefficient? Change each one and see which claim fails.

A mutant is a registered method with one thing changed: a number or the sign of a weight or row sum, a
node or default node, the weights of the normals in one row's noise, or a declared order. Its numbers are what
the emitter makes of it. Or it is the emitted code with one thing changed in its text: a number, a sign, an
operator or a function. It is killed by the first claim that does not come out as expected. A mutant that
survives is a coefficient that no claim looks at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import sympy as sp

from proofs_checks.catalogue import all_claims
from proofs_checks.emission import TextMutant, text_mutants
from proofs_checks.ledger import decide
from seeds_theory import scheme
from seeds_theory.errors import unknown
from seeds_theory.methods import METHODS, SEEDS, Family, method, symbolic
from seeds_theory.noise import Functional, NoiseRule
from seeds_theory.progress import with_bar
from seeds_theory.tableau import Tableau


@dataclass(frozen=True)
class Mutant:
    """A method with one change: its name, what was changed, and the changed family."""

    method: str
    change: str
    family: Family

    @property
    def claims(self) -> tuple[str, ...]:
        """The claims that are asked, the quick ones about weights first."""
        seeds = (
            "methods-{}-data",
            "methods-consistency",
            "methods-default-nodes",
            "taylor-orders-{}",
            "methods-joint-noise",
        )
        beyond = ("beyond-formula-{}", "beyond-noise-{}", "beyond-orders-{}")
        patterns = seeds if self.method in SEEDS else beyond
        return tuple(pattern.format(self.method) for pattern in patterns)

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """The library has the changed method under its name, and runs the code emitted of it."""

        def emitted(name: str, prediction: str) -> scheme.Scheme:
            return scheme.emitted_now(method(name), prediction)

        with (
            patch.dict(METHODS, {self.method: self.family}),
            patch.object(scheme, "named_scheme", emitted),
        ):
            yield


def mutants(name: str) -> Iterator[Mutant]:
    """All mutants of a registered method."""
    tableau = symbolic(name)
    sums = tuple(sp.Add(*weights) for _, weights in tableau.rows)
    tableau = replace(tableau, row_sums=sums)  # written out, to be changed one by one
    expressions = {
        **{f"nodes {j}": node for j, node in enumerate(tableau.nodes)},
        **{f"stages {j} {i}": a for j, row in enumerate(tableau.stages) for i, a in enumerate(row)},
        **{f"weights {i}": b for i, b in enumerate(tableau.weights)},
        **{f"row_sums {j}": total for j, total in enumerate(tableau.row_sums)},
    }
    for place, expression in expressions.items():
        for changed in _changed(expression, is_node=place.startswith("nodes")):
            yield _mutant(name, f"{place}: {changed}", _with_entry(tableau, place, changed))
    for row, noise in enumerate(tableau.noises(sp.Symbol("r"))):
        for term in range(len(noise.terms)):
            for factor in (sp.Integer(-1), sp.Rational(3, 2)):
                rule = _scaled(tableau.noise, row, term, factor)
                change = f"noise {row} {term}: times {factor}"
                yield _mutant(name, change, replace(tableau, noise=rule))
        if len(noise.terms) > 1:
            rule = _exchanged(tableau.noise, row)
            yield _mutant(name, f"noise {row}: first two exchanged", replace(tableau, noise=rule))
    for order in ("strong", "weak", "ode"):
        yield _mutant(name, f"declared {order} order: plus 1", tableau, order)
    for i, node in enumerate(METHODS[name].nodes):
        nodes = tuple(c**2 if i == k else c for k, c in enumerate(METHODS[name].nodes))
        yield Mutant(name, f"default node {i}: {node**2}", replace(METHODS[name], nodes=nodes))


def _mutant(name: str, change: str, tableau: Tableau, raised: str | None = None) -> Mutant:
    """The family that builds the changed tableau at any nodes, with one of its orders raised."""
    original = METHODS[name]
    symbols = symbolic(name).nodes[: len(original.nodes)]

    def build(*nodes: sp.Expr) -> Tableau:
        at = dict(zip(symbols, nodes, strict=True))

        def put(expressions: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
            return tuple(sp.sympify(e).subs(at, simultaneous=True) for e in expressions)

        declared = original.build(*nodes)
        orders = declared.orders
        if raised:
            orders = replace(orders, **{raised: getattr(orders, raised) + 1})
        return replace(
            declared,
            orders=orders,
            nodes=put(tableau.nodes),
            stages=tuple(put(row) for row in tableau.stages),
            weights=put(tableau.weights),
            row_sums=put(tableau.row_sums),
            noise=tableau.noise,
        )

    return Mutant(name, change, Family(build, original.nodes))


def _changed(expression: sp.Expr, is_node: bool) -> Iterator[sp.Expr]:
    """The expression with its sign changed, and with each of its numbers increased by 1."""
    if is_node:
        if expression != 1:
            yield expression**2  # it stays a node
        return
    candidates = [-expression, *_numbers_increased(expression)]
    yield from (e for e in dict.fromkeys(candidates) if sp.simplify((e - expression).doit()) != 0)


def _numbers_increased(expression: sp.Expr) -> Iterator[sp.Expr]:
    if expression.is_Rational:
        yield expression + 1
    for position, argument in enumerate(expression.args):
        for changed in _numbers_increased(argument):
            arguments: list[Any] = list(expression.args)
            arguments[position] = changed
            yield expression.func(*arguments)


def _with_entry(tableau: Tableau, place: str, value: sp.Expr) -> Tableau:
    """The tableau with the entry at a place, such as "stages 1 0", replaced."""
    name, *index = place.split()
    first, *rest = map(int, index)
    rows: list[Any] = list(getattr(tableau, name))
    if rest:
        row = list(rows[first])
        row[rest[0]] = value
        rows[first] = tuple(row)
    else:
        rows[first] = value
    changed: dict[str, Any] = {name: tuple(rows)}
    return replace(tableau, **changed)


def _scaled(rule: NoiseRule, row: int, term: int, factor: sp.Expr) -> NoiseRule:
    """The rule with one weight of one row multiplied."""

    def scaled(weights: list[sp.Expr]) -> None:
        if term < len(weights):  # fewer, if two nodes coincide with the end
            weights[term] *= factor

    return _with_row(rule, row, scaled)


def _exchanged(rule: NoiseRule, row: int) -> NoiseRule:
    """The rule with the first two weights of one row exchanged."""

    def exchanged(weights: list[sp.Expr]) -> None:
        weights[:2] = reversed(weights[:2])

    return _with_row(rule, row, exchanged)


def _with_row(rule: NoiseRule, row: int, change: Callable[[list[sp.Expr]], None]) -> NoiseRule:
    """The rule with the weights of one row changed in place."""

    def changed(rate: sp.Expr, nodes: tuple[sp.Expr, ...]) -> tuple[Functional, ...]:
        noises = list(rule(rate, nodes))
        weights = list(noises[row].terms.values())
        change(weights)
        noises[row] = Functional(dict(zip(noises[row].terms, weights, strict=True)))
        return tuple(noises)

    return changed


def code_mutants(name: str) -> Iterator[TextMutant]:
    """All mutants of a method's emitted code."""
    for prediction in scheme.registered()[name].predictions:
        yield from text_mutants(name, prediction)


def killer(mutant: Mutant | TextMutant) -> str | None:
    """The first claim that fails on a mutant."""
    claims = all_claims()
    with mutant.installed():
        for id in mutant.claims:
            if not decide(claims[id]).as_expected:
                return id
    return None


def run(
    names: Sequence[str] = (), progress: bool = False
) -> list[tuple[Mutant | TextMutant, str | None]]:
    """Every mutant of these methods (all for none) and the claim that kills it."""
    for name in names:
        if name not in METHODS:
            raise unknown("method", name, METHODS)
    found: list[Mutant | TextMutant] = []
    for name in names or METHODS:
        found += [*mutants(name), *code_mutants(name)]
    bar = with_bar(found, show=progress, desc="mutants", leave=False)
    return [(mutant, killer(mutant)) for mutant in bar]

"""The step of a tableau as a program: what every writer prints, and every plan runs.

It takes the noise levels s and t of a step and eta, and the nodes that are symbols; it computes, for each
stage j and for the end, the level s_j, the factor p_j of the state, the weights a_ji of the integrands (b_i
in the last row) and n_jm of the normals.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from seeds_theory.emit.lower import Lowering, add, log_ratio, multiply, negative, with_names
from seeds_theory.emit.program import (
    ZERO,
    Expression,
    Name,
    Number,
    Program,
    Statement,
    walk,
)
from seeds_theory.errors import TableauError
from seeds_theory.exact import SemilinearForm, eta, lam_s
from seeds_theory.formula import OpenRow, open_step
from seeds_theory.noise import h
from seeds_theory.row import Row
from seeds_theory.tableau import Tableau, z

INPUTS = ("s", "t", "eta")
"""The noise levels at the start and the end of the step, and eta."""


@dataclass(frozen=True)
class StepProgram:
    """A program and what it returns: for each row of the step, names or numbers."""

    program: Program
    rows: tuple[Row[Expression], ...]


def step_program(tableau: Tableau, form: SemilinearForm, name: str) -> StepProgram:
    """Emit one step of a tableau in a form.

    Parameters
    ----------
    tableau : its nodes are numbers, or symbols, which become inputs in the order of their names.
    name : of the program.

    Raises
    ------
    TableauError : a coefficient has a symbol or a function that no program has, or a number that is beyond
        the range of doubles.
    """
    nodes = sorted({node for node in tableau.nodes if not node.is_number}, key=str)
    if not all(node.is_Symbol for node in nodes):
        raise TableauError(f"nodes of {tableau.name!r} are numbers or symbols; got {nodes}")
    known = {z, h, eta, lam_s, *nodes}
    for row in open_step(tableau, form):
        for entry in (row.state, row.scale, row.total, *row.weights, *row.noise):
            if foreign := entry.free_symbols - known:
                raise _foreign(tableau.name, min(foreign, key=str))
    return _Step(tableau, form, tuple(map(str, nodes))).emitted(name)


_HOME = {"z": "seeds_theory.tableau", "h": "seeds_theory.noise", "eta": "seeds_theory.exact"}


def _foreign(what: str, symbol: sp.Symbol) -> TableauError:
    """The error for a symbol that is none of a coefficient's, though it may be called as one is."""
    if symbol.name in _HOME:
        return TableauError(
            f"{what!r} has a symbol {symbol} of its own: import {symbol} from {_HOME[symbol.name]}"
        )
    return TableauError(f"{what!r} has the symbol {symbol}: a coefficient is in z, h and eta")


class _Step:
    def __init__(self, tableau: Tableau, form: SemilinearForm, nodes: tuple[str, ...]) -> None:
        self._tableau, self._form, self._nodes = tableau, form, nodes
        self._rows = open_step(tableau, form)
        # z is h itself in noise prediction: there it gets no name.
        self._rate = form.drift_rate
        self._lower = Lowering(tableau.name, self._rate if self._rate != 1 else None)
        self._statements: list[Statement] = []

    def emitted(self, name: str) -> StepProgram:
        self._add("h", log_ratio("s", "t"))
        if self._rate != 1:
            self._add("z", Lowering("z")(sp.factor(self._rate * h)))
        last = len(self._rows) + 1
        rows = [
            self._row(row, "t" if j == last else str(j))
            for j, row in enumerate(self._rows, start=2)
        ]
        program, same = with_names(name, (*INPUTS, *self._nodes), self._statements)
        renamed: dict[Expression, Expression] = {Name(a): Name(b) for a, b in same.items()}

        def final(entry: Expression) -> Expression:
            return renamed.get(entry, entry)

        return StepProgram(program, tuple(row.mapped(final) for row in rows))

    def _row(self, row: OpenRow, j: str) -> Row[Expression]:
        end = j == "t"
        at_end = row.time == self._rows[-1].time  # the grid's own level, not one computed anew
        level = Name("t") if at_end else self._add(f"s_{j}", self._level(row))
        state = self._add(f"p_{j}", self._lower(row.state))
        kind = "b" if end else f"a_{j}"
        joint = "_" if end else ""
        weights = [
            self._add(f"{kind}{joint}{i}", self._drift(row, w, level))
            for i, w in enumerate(row.weights, start=2)
        ]
        total = self._drift(row, row.total, level)
        rest = sp.expand(row.total - sp.Add(*row.weights))
        left = add(total, *map(negative, weights)) if rest != 0 else ZERO
        first = self._add(f"{kind}{joint}1", left)
        noise = [
            self._add(f"n_{j}{m}", self._noise(w, level)) for m, w in enumerate(row.noise, start=1)
        ]
        return Row(level, state, (first, *weights), tuple(noise))

    def _level(self, row: OpenRow) -> Expression:
        return multiply(Name("s"), self._lower(sp.exp(sp.factor(lam_s - row.time))))

    def _drift(self, row: OpenRow, weight: sp.Expr, level: Expression) -> Expression:
        """Scale times weight; the scale's factor e^{-time}, if it has one, is the level."""
        scale, at = row.scale, sp.exp(-row.time)
        has_level = scale.has(lam_s)
        product = (sp.simplify(scale / at) if has_level else scale) * weight
        product = self._lower(product.subs(z, h) if self._rate == 1 else product)
        return multiply(level, product) if has_level else product

    def _noise(self, weight: sp.Expr, level: Expression) -> Expression:
        return (
            multiply(level, self._lower(sp.sqrt(2 * eta) * sp.factor_terms(weight)))
            if weight != 0
            else ZERO
        )

    def _add(self, name: str, value: Expression) -> Expression:
        """A named value; numbers and names stay themselves."""
        for part in walk(value):
            if isinstance(part, Number):
                self._require_a_double(part.value)
        if isinstance(value, Name | Number):
            return value
        self._statements.append(Statement(name, value))
        return Name(name)

    def _require_a_double(self, number: Fraction) -> None:
        try:
            fits = number == 0 or float(number) != 0
        except OverflowError:
            fits = False
        if not fits:
            shown = sp.N(sp.Rational(number.numerator, number.denominator), 3)
            raise TableauError(
                f"{self._tableau.name!r} has the number {shown}: numbers of a coefficient are 0 or between "
                "5e-324 and 1.8e308 in size"
            )

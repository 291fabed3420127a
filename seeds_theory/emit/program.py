"""Straight-line numeric code as data: what an emitted program is before it is written in a language.

A `Program` takes numbers by name and computes named values one after the other. Its expressions are exact
numbers, names, sums, products, powers, and calls of the functions in `FUNCTIONS`. There are no branches
and no loops. `seeds_theory.emit.lower` makes programs of sympy expressions; a writer
(`seeds_theory.emit.writer`) prints them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

FUNCTIONS = {
    "exp": "e^u",
    "expm1": "e^u - 1, without cancellation",
    "log": "the natural logarithm",
    "log1p": "log(1 + u), without cancellation",
    "sqrt": "the root",
    "phi": "phi_k(u), k >= 1, without cancellation (`seeds_theory.special_functions.phi`)",
    "damped_phi": "e^{-u} phi_k(u) likewise (`seeds_theory.special_functions.damped_phi`)",
}
"""What a target language has to offer beside arithmetic; the last two have an order k."""


@dataclass(frozen=True)
class Number:
    """An exact number."""

    value: Fraction


@dataclass(frozen=True)
class Name:
    """An input, or a value computed before."""

    name: str


@dataclass(frozen=True)
class Sum:
    """Two or more terms."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True)
class Product:
    """Two or more factors; a quotient has a factor to the power -1."""

    factors: tuple[Expression, ...]


@dataclass(frozen=True)
class Power:
    """A whole power, not 0 or 1."""

    base: Expression
    exponent: int


@dataclass(frozen=True)
class RealPower:
    """A power of a number >= 0 whose exponent is an expression."""

    base: Expression
    exponent: Expression


@dataclass(frozen=True)
class Call:
    """A function of `FUNCTIONS` at one argument, with its order if it has one."""

    function: str
    argument: Expression
    order: int | None = None


Expression = Number | Name | Sum | Product | Power | RealPower | Call
ZERO, ONE, MINUS_ONE = (Number(Fraction(n)) for n in (0, 1, -1))


def children(expression: Expression) -> tuple[Expression, ...]:
    """The expressions that one is made of."""
    match expression:
        case Sum(terms):
            return terms
        case Product(factors):
            return factors
        case Power(base, _):
            return (base,)
        case RealPower(base, exponent):
            return (base, exponent)
        case Call(_, argument, _):
            return (argument,)
    return ()


def rebuilt(expression: Expression, parts: tuple[Expression, ...]) -> Expression:
    """The same with other `children`."""
    match expression:
        case Sum():
            return Sum(parts)
        case Product():
            return Product(parts)
        case Power(_, exponent):
            return Power(parts[0], exponent)
        case RealPower():
            return RealPower(*parts)
        case Call(function, _, order):
            return Call(function, parts[0], order)
    return expression


def walk(expression: Expression) -> Iterator[Expression]:
    """The expression and all in it."""
    yield expression
    for child in children(expression):
        yield from walk(child)


@dataclass(frozen=True)
class Statement:
    """A value and its name."""

    name: str
    value: Expression


@dataclass(frozen=True)
class Program:
    """Statements in their order.

    Parameters
    ----------
    name : of the function.
    inputs : names of the numbers it takes.
    statements : each uses inputs and earlier names only.
    """

    name: str
    inputs: tuple[str, ...]
    statements: tuple[Statement, ...]

    def calls(self) -> dict[tuple[str, int | None], None]:
        """The functions that it calls, each with its order, as they first occur."""
        found: dict[tuple[str, int | None], None] = {}
        for statement in self.statements:
            for part in walk(statement.value):
                if isinstance(part, Call):
                    found[part.function, part.order] = None
        return found

    def functions(self) -> set[str]:
        """The names of the functions that it needs: those that it calls, and phi for damped_phi."""
        called = {function for function, _ in self.calls()}
        return called | {"phi"} if "damped_phi" in called else called


def substituted(expression: Expression, by: Mapping[Expression, Expression]) -> Expression:
    """The expression with whole subexpressions replaced, the outermost first."""
    if expression in by:
        return by[expression]
    parts = tuple(substituted(child, by) for child in children(expression))
    return rebuilt(expression, parts)

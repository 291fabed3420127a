"""What every writer of a language shares: expressions in infix notation, with no more brackets than needed.

A language says how it writes a number, a power, a call, and a statement; that is all that differs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from fractions import Fraction

from seeds_theory.emit.program import (
    Call,
    Expression,
    Name,
    Number,
    Power,
    Product,
    Program,
    RealPower,
    Sum,
)

_SUM, _PRODUCT, _ATOM = range(3)  # how tightly an expression binds
_EXACT = 2**53  # whole numbers below it are doubles


class Writer(ABC):
    """Programs in one language."""

    def expression(self, expression: Expression) -> str:
        """The text of an expression."""
        return self._written(expression)[0]

    def statements(self, program: Program) -> Iterator[str]:
        """A line for each statement."""
        for statement in program.statements:
            yield self.statement(statement.name, self.expression(statement.value))

    @abstractmethod
    def number(self, value: int) -> str:
        """A whole number >= 0 as a floating-point literal, in a quotient or a product."""

    @abstractmethod
    def power(self, base: str, exponent: int) -> str:
        """A whole power >= 2 of something that binds tightly."""

    def real_power(self, base: str, exponent: str) -> str:
        """A power of any exponent."""
        return self.call("exp", None, f"({exponent}) * {self.call('log', None, base)}")

    @abstractmethod
    def call(self, function: str, order: int | None, argument: str) -> str:
        """A function of `seeds_theory.emit.program.FUNCTIONS`."""

    @abstractmethod
    def statement(self, name: str, value: str) -> str:
        """A named value."""

    def name(self, name: str) -> str:
        """A name."""
        return name

    def _written(self, expression: Expression) -> tuple[str, int]:
        match expression:
            case Number(value):
                return self._quotient([], [], value)
            case Name(name):
                return self.name(name), _ATOM
            case Call(function, argument, order):
                return self.call(function, order, self.expression(argument)), _ATOM
            case Sum(terms):
                return self._sum(terms), _SUM
            case RealPower(base, exponent):
                return self.real_power(
                    self._bracketed(base, _ATOM), self.expression(exponent)
                ), _ATOM
            case Power() | Product():
                factors = expression.factors if isinstance(expression, Product) else (expression,)
                return self._product(factors)
        raise TypeError(expression)

    def _sum(self, terms: tuple[Expression, ...]) -> str:
        first, *others = (self._bracketed(term, _PRODUCT) for term in terms)
        return first + "".join(
            f" - {term[1:]}" if term.startswith("-") else f" + {term}" for term in others
        )

    def _product(self, factors: tuple[Expression, ...]) -> tuple[str, int]:
        above: list[str] = []
        below: list[str] = []
        number = Fraction(1)
        for factor in factors:
            match factor:
                case Number(value):
                    number *= value
                case Power(base, exponent) if exponent < 0:
                    below.append(self._raised(base, -exponent))
                case Power(base, exponent):
                    above.append(self._raised(base, exponent))
                case _:
                    above.append(self._bracketed(factor, _PRODUCT))
        return self._quotient(above, below, number)

    def _quotient(self, above: list[str], below: list[str], number: Fraction) -> tuple[str, int]:
        size = abs(number)
        if max(size.numerator, size.denominator) >= _EXACT:
            above = [repr(float(size)), *above]  # the nearest double, a literal in every language
        else:
            if size.numerator != 1 or not above:
                above = [self.number(size.numerator), *above]
            if size.denominator != 1:
                below = [self.number(size.denominator), *below]
        text = " * ".join(above)
        if below:
            divisor = " * ".join(below)
            text += f" / ({divisor})" if len(below) > 1 else f" / {divisor}"
        sign = "-" if number < 0 else ""
        single = len(above) == 1 and not below and not sign
        return sign + text, _ATOM if single else _PRODUCT

    def _raised(self, base: Expression, exponent: int) -> str:
        text = self._bracketed(base, _ATOM)
        return text if exponent == 1 else self.power(text, exponent)

    def _bracketed(self, expression: Expression, least: int) -> str:
        text, binding = self._written(expression)
        return text if binding >= least else f"({text})"

r"""Truncated Laurent series in h with exact coefficients: the numbers that multistep code is run on.

:math:`h^{n} (c_0 + c_1 h + \dots + c_{m-1} h^{m-1}) + O(h^{n+m})`. The coefficients are rational numbers, or
rational functions of step ratios and eta: elements of sympy's ``QQ`` or of a field over it, in which equal
things have one form. How far a series is known is part of it: what is asked beyond that is refused.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from seeds_theory.errors import ParameterError, SeedsError
from seeds_theory.extras import optional_imports

with optional_imports():
    from sympy import QQ

Scalar = Any
"""A rational number or rational function: sympy's types have no common base."""

_terms: ContextVar[int] = ContextVar("terms", default=8)


def terms() -> int:
    """How many coefficients an exact number has as a series."""
    return _terms.get()


@contextlib.contextmanager
def known_terms(count: int) -> Iterator[None]:
    """Exact numbers are series with so many coefficients; 8 otherwise."""
    token = _terms.set(count)
    try:
        yield
    finally:
        _terms.reset(token)


class PrecisionError(SeedsError):
    """A coefficient beyond those that a series knows."""


class Laurent:
    """A series: `start` is its lowest power; the first of its `coefficients`, if it has any, is not 0."""

    __slots__ = ("coefficients", "start")

    def __init__(self, start: int, coefficients: Iterable[Scalar]) -> None:
        known = list(coefficients)
        zeros = next((i for i, c in enumerate(known) if c != 0), len(known))
        self.start, self.coefficients = start + zeros, tuple(known[zeros:])

    def __repr__(self) -> str:
        terms = [f"({c})*h**{self.start + i}" for i, c in enumerate(self.coefficients) if c != 0]
        return " + ".join([*terms, f"O(h**{self.end})"])

    @property
    def end(self) -> int:
        """The first power that is not known."""
        return self.start + len(self.coefficients)

    def coefficient(self, power: int) -> Scalar:
        """Of a power of h; raises `PrecisionError` if it is not known."""
        if power >= self.end:
            raise PrecisionError(f"the coefficient of h^{power} was asked of {self}")
        return self.coefficients[power - self.start] if power >= self.start else QQ(0)

    def truncated(self, end: int) -> Laurent:
        """Without the powers from `end` on."""
        return Laurent(self.start, self.coefficients[: max(0, end - self.start)])

    def __add__(self, other: Any) -> Any:
        if (right := _series(other)) is None:
            return NotImplemented
        start, end = min(self.start, right.start), min(self.end, right.end)
        return Laurent(
            start, (self.coefficient(n) + right.coefficient(n) for n in range(start, end))
        )

    __radd__ = __add__

    def __neg__(self) -> Laurent:
        return Laurent(self.start, (-c for c in self.coefficients))

    def __sub__(self, other: Any) -> Any:
        return NotImplemented if (right := _series(other)) is None else self + -right

    def __rsub__(self, other: Any) -> Any:
        return NotImplemented if (left := _series(other)) is None else left + -self

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, int) and other == 0:
            return 0
        if (right := _series(other)) is None:
            return NotImplemented
        count = min(len(self.coefficients), len(right.coefficients))
        product: list[Scalar] = [QQ(0)] * count
        for i, a in enumerate(self.coefficients[:count]):
            if a != 0:
                for j, b in enumerate(right.coefficients[: count - i]):
                    if b != 0:
                        product[i + j] += a * b
        return Laurent(self.start + right.start, product)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, float) and other == math.inf:
            return 0
        return NotImplemented if (right := _series(other)) is None else self * right.inverse()

    def __rtruediv__(self, other: Any) -> Any:
        if isinstance(other, float) and other == math.inf:
            return other
        if isinstance(other, int) and other == 0:
            return 0
        return NotImplemented if (left := _series(other)) is None else left * self.inverse()

    def inverse(self) -> Laurent:
        """1 over the series."""
        if not self.coefficients:
            raise ZeroDivisionError(f"division by {self}")
        first = QQ(1) / self.coefficients[0]
        found = [first]
        for n in range(1, len(self.coefficients)):
            rest = (self.coefficients[k] * found[n - k] for k in range(1, n + 1))
            found.append(-first * sum((c for c in rest if c != 0), QQ(0)))
        return Laurent(-self.start, found)

    def __pow__(self, exponent: Any) -> Laurent:
        if isinstance(exponent, int):
            power = constant(1)
            for _ in range(abs(exponent)):
                power = power * self
            return power if exponent >= 0 else power.inverse()
        return exp(exponent * log1p(self - 1))

    def __gt__(self, other: Any) -> bool:
        """Whether it is positive, as symbols are: code asks no more than whether eta > 0."""
        if other != 0:
            raise ParameterError(f"a series is compared with 0 only; got {other!r}")
        return bool(self.coefficients)


def constant(value: Scalar) -> Laurent:
    """A number as a series."""
    return monomial(value, 0)


def monomial(value: Scalar, power: int) -> Laurent:
    """A number times a power of h."""
    exact = QQ(value) if isinstance(value, int) else value
    return Laurent(power, (exact, *[QQ(0)] * (terms() - 1)))


def _series(value: Any) -> Laurent | None:
    """A series or number as a series; None for anything else."""
    if isinstance(value, Laurent):
        return value
    is_number = isinstance(value, int) or hasattr(value, "numerator") or hasattr(value, "numer")
    return constant(value) if is_number else None


def composed(coefficients: Sequence[Scalar], u: Any) -> Any:
    """The power series with these coefficients at a series without a constant term, or at 0."""
    if u == 0:
        return coefficients[0]
    if u.start < 1:
        raise ParameterError(f"a power series is taken at what vanishes with h; got {u}")
    total = constant(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * u + c
    return total


ZERO = Laurent(10**6, ())
"""What is 0, to all powers that matter."""


def exp(u: Any) -> Any:
    """The exponential, of what vanishes with h."""
    return phi(0, u)


def expm1(u: Any) -> Any:
    """The exponential less 1."""
    return u * phi(1, u)


def phi(k: int, u: Any) -> Any:
    """The phi-function, of what vanishes with h."""
    return composed([QQ(1, math.factorial(n + k)) for n in range(terms() + 1)], u)


def damped_phi(k: int, u: Any) -> Any:
    """The phi-function times the exponential of -u."""
    return exp(-u) * phi(k, u)


def log1p(u: Any) -> Any:
    """The logarithm of 1 + u, of what vanishes with h; infinite if u is."""
    if isinstance(u, float) and u == math.inf:
        return u
    return u * composed([QQ((-1) ** n, n + 1) for n in range(terms() + 1)], u)


def root(square: Laurent) -> Laurent:
    """The square root; of its first coefficient, a square, the one whose factors have positive first terms.

    Raises
    ------
    ParameterError : there is none among such series.
    """
    first = _exact_root(square.coefficients[0])
    if first is None or square.start % 2:
        raise ParameterError(f"no series is the root of {square}")
    found = [first]
    for n in range(1, len(square.coefficients)):
        rest = sum((found[k] * found[n - k] for k in range(1, n)), QQ(0))
        found.append((square.coefficients[n] - rest) / (2 * first))
    return Laurent(square.start // 2, found)


def _exact_root(value: Scalar) -> Scalar | None:
    """The root of a rational number or function in the same field, or None."""
    if not hasattr(value, "numer"):
        parts = [math.isqrt(part) for part in (int(value.numerator), int(value.denominator))]
        found = QQ(*parts)
    else:
        halves = []
        for part in (value.numer, value.denom):
            number, factors = part.factor_list()
            half = _exact_root(number)
            if half is None:
                return None
            halves.append(math.prod((f ** (n // 2) for f, n in factors), start=part.ring(half)))
        found = value.field.new(*halves)
    return found if found * found == value else None

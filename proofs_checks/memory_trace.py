r"""Multistep code run on truncated series: the rows of its calls and states, as an expansion needs them.

The code that samples is run from a first level on, on steps :math:`\rho_1 h, \rho_2 h, \dots` of log-SNR,
with `proofs_checks.laurent` in the place of floats. Each call is made at a sum of the first state, of earlier
estimates and of normals, and so is the state at the end of each step. In Lawson's variables
(`proofs_checks.taylor`) this is a row

.. math::  x_0 + \sum_j a_j f_j + \text{noise},

with weights that are series in h: N steps of a method with memory are one step of a tableau, start-up
included. Noise is in units of :math:`\sqrt{2\eta}` and made of one or two *units* of each step, its normals
scaled by :math:`\sqrt{\rho h}` and :math:`\sqrt{\rho h/12}`: their weights then are series, too. All methods
here know noise levels by their ratios only, so that the first level is 1.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from types import SimpleNamespace
from typing import Any

from proofs_checks import emission, laurent
from proofs_checks.laurent import Laurent, Scalar, constant, monomial
from proofs_checks.trace import Arithmetic, Trace
from seeds_theory.baselines import Run
from seeds_theory.errors import ParameterError
from seeds_theory.extras import optional_imports
from seeds_theory.plan import Interval

with optional_imports():
    from sympy import QQ

Symbol = tuple[str, int, int]
"""("x", 0, 0); ("D", call, 0); a unit of noise: ("z", step, degree), or ("w", step, path) of another path."""

STATE: Symbol = ("x", 0, 0)


class Combination:
    """A state: a sum of symbols, each with a series."""

    def __init__(self, terms: Mapping[Symbol, Any]) -> None:
        self.terms = dict(terms)

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, Combination):
            return self if other == 0 else NotImplemented
        terms = dict(self.terms)
        for symbol, weight in other.terms.items():
            terms[symbol] = terms[symbol] + weight if symbol in terms else weight
        return Combination(terms)

    __radd__ = __add__

    def __mul__(self, factor: Any) -> Combination:
        return Combination({symbol: weight * factor for symbol, weight in self.terms.items()})

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> Combination:
        return Combination({symbol: weight / divisor for symbol, weight in self.terms.items()})

    def __neg__(self) -> Combination:
        return -1 * self

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other


@dataclass(frozen=True)
class Normal:
    """A standard normal; its variance is 1, and that of its unit is given."""

    symbol: Symbol
    unit: Laurent


@dataclass(frozen=True)
class Root:
    """A factor times a square root that becomes a series beside a normal only, in its unit."""

    square: Laurent
    factor: Any = 1

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Normal):
            weight = self.factor * laurent.root(self.square / other.unit)
            return Combination({other.symbol: weight})
        return (
            0 if isinstance(other, int) and other == 0 else Root(self.square, self.factor * other)
        )

    __rmul__ = __mul__


def _root(square: Any) -> Any:
    if square == 0:
        return 0
    return Root(square) if square.start else laurent.root(square)  # of a variance, or of a level


def _exact(number: float) -> Scalar:
    """The simple fraction that a float stands for; infinity as it is."""
    if number in (float("inf"), float("-inf")):
        return number
    simple = Fraction(number).limit_denominator(1000)
    if float(simple) != number:
        raise ParameterError(f"{number!r} stands for no simple fraction")
    return QQ(simple.numerator, simple.denominator)


class Level(Laurent):
    """The noise level at a log-SNR, which it keeps: ratios of levels that are close then lose no terms."""

    __slots__ = ("time",)

    def __init__(self, time: Laurent) -> None:
        level = laurent.exp(-time) if time.coefficients else constant(1)
        super().__init__(level.start, level.coefficients)
        self.time = time


def _time(level: Laurent) -> Laurent:
    """Log-SNR from the start."""
    return level.time if isinstance(level, Level) else -laurent.log1p(level - 1)


def _log_ratio(s: Any, t: Laurent) -> Any:
    return s if isinstance(s, float) else _time(t) - _time(s)


def _solve(matrix: list[list[Any]], right: list[Any]) -> SimpleNamespace:
    """Gauss's elimination, the pivots in order."""
    rows = [[*map(_series, row), value] for row, value in zip(matrix, right, strict=True)]
    for i, pivot in enumerate(rows):
        for k, row in enumerate(rows):
            if k != i:
                factor = row[i] / pivot[i]
                rows[k] = [
                    *row[: i + 1],
                    *(a - factor * b for a, b in zip(row[i + 1 :], pivot[i + 1 :], strict=True)),
                ]
    return SimpleNamespace(tolist=lambda: [row[-1] / row[i] for i, row in enumerate(rows)])


def _series(value: Any) -> Any:
    return value if isinstance(value, Laurent) else constant(value)


_FUNCTIONS: dict[str, Any] = {
    "exp": laurent.exp,
    "expm1": laurent.expm1,
    "log1p": laurent.log1p,
    "sqrt": _root,
    "phi": laurent.phi,
    "damped_phi": laurent.damped_phi,
}

SERIES = Arithmetic(
    {
        "math": SimpleNamespace(**_FUNCTIONS, inf=float("inf"), factorial=math.factorial),
        "np": SimpleNamespace(linalg=SimpleNamespace(solve=_solve)),
        "torch": SimpleNamespace(add=operator.add, zeros_like=lambda x: 0),
        "phi": laurent.phi,
        "log_ratio": _log_ratio,
        "require_option": lambda *args, **options: None,
        "float": lambda number: number,
    },
    partial(emission.in_symbols, names=_FUNCTIONS),
    _exact,
)
"""Truncated series."""


class SeriesTrace(Trace):
    """A `Run` on series: the model answers D_0, D_1, ..., and each step has its own normals.

    lengths : of the steps. rate : eta, 0 for none.
    """

    def __init__(self, lengths: Sequence[Laurent], rate: Scalar) -> None:
        self.lengths = tuple(lengths)
        times = itertools.accumulate(lengths, initial=laurent.ZERO)
        super().__init__([Level(time) for time in times], constant(rate) if rate else 0)
        self.x = Combination({STATE: constant(1)})

    def denoise(self, state: Combination, level: Laurent) -> Combination:
        """A new symbol for the estimate."""
        self.calls.append((state, level))
        return Combination({("D", len(self.calls) - 1, 0): constant(1)})

    def draw(self, *intervals: Interval) -> tuple[Any, ...]:
        """The normals of the step at hand; 0 at eta = 0, and in a step that vanishes.

        Raises
        ------
        ParameterError : a step draws for a part of itself.
        """
        step = len(self.states)
        if any(
            i.sigma is not self.sigmas[step] or i.sigma_next is not self.sigmas[step + 1]
            for i in intervals
        ):
            raise ParameterError("the units of noise are those of whole steps")
        variance = 2 * self.eta * self.lengths[step]
        return tuple(
            Normal(
                ("w", step, i.path) if i.path else ("z", step, i.degree), variance * share(i.degree)
            )
            if i.eta > 0 and self.lengths[step].start == 1
            else 0
            for i in intervals
        )

    noises = SERIES.bound(Run.noises)
    pair = SERIES.bound(Run.pair)


def share(degree: int) -> Scalar:
    """The variance of a unit over the length of its step."""
    return QQ(1, 12 if degree else 1)


@dataclass(frozen=True, eq=False)
class Row:
    """A call or a state in Lawson's variables.

    Parameters
    ----------
    time : log-SNR from the start. weights : of f at each call before it. noise : the weights of units.
    """

    time: Laurent
    weights: tuple[Laurent, ...]
    noise: Mapping[Symbol, Laurent]


@dataclass(frozen=True, eq=False)
class Record:
    """What a run of N steps did.

    Parameters
    ----------
    eta : the SDE's, a number or the symbol. ratios : of the steps' lengths to h.
    calls : in their order. states : that at the start, and those at the ends of steps.
    """

    eta: Scalar
    ratios: tuple[Scalar, ...]
    calls: tuple[Row, ...]
    states: tuple[Row, ...]


def record(
    algorithm: Callable[..., Any],
    ratios: Sequence[Scalar],
    eta: Scalar,
    *,
    corrects: bool = False,
    terms: int = 8,
    **options: Any,
) -> Record:
    """Run the code of a baseline on steps of these lengths over h.

    Parameters
    ----------
    algorithm : ``f(run, **options)``. ratios : rational numbers or symbols of a field.
    eta : likewise, 0 for the ODE.
    corrects : a state is corrected when the next step calls the model. What that step starts from is found
        by one more step, whose length is the first power of h that is not known.
    terms : known of every series: what conditions up to a power of h need is one or two more.
    """
    with laurent.known_terms(terms):
        return _record(algorithm, ratios, eta, corrects, options)


def _record(
    algorithm: Callable[..., Any],
    ratios: Sequence[Scalar],
    eta: Scalar,
    corrects: bool,
    options: Mapping[str, Any],
) -> Record:
    run = _run(algorithm, ratios, eta, corrects, options)
    ends = [(run.x, run.sigmas[0]), *zip(run.states, run.sigmas[1:], strict=True)]
    if corrects:
        shorter = (
            _run(algorithm, ratios[:n], eta, corrects, options) for n in range(1, len(ratios))
        )
        ends = [ends[0], *((r.states[-1], r.sigmas[-1]) for r in (*shorter, run))]
    times = [_time(level) for _, level in run.calls]
    calls, states = (
        tuple(_row(state, _time(level), times, 1 + run.eta) for state, level in places)
        for places in (run.calls, ends)
    )
    return Record(eta, tuple(ratios), calls, states)


def _run(
    algorithm: Callable[..., Any],
    ratios: Sequence[Scalar],
    eta: Scalar,
    more: bool,
    options: Mapping[str, Any],
) -> SeriesTrace:
    lengths = [monomial(ratio, 1) for ratio in ratios]
    run = SeriesTrace([*lengths, *[monomial(1, laurent.terms())] * more], eta)
    SERIES.bound(algorithm)(run, **options)
    return run


def _row(state: Combination, time: Laurent, times: Sequence[Laurent], kappa: Any) -> Row:
    """A state in Lawson's variables."""
    grown = laurent.exp(kappa * time)
    left = grown * state.terms[STATE] - 1
    if left.coefficients:
        raise ParameterError(f"the first state is not carried exactly; it is off by {left}")
    weights: dict[int, Laurent] = {}
    noise = {}
    for symbol, weight in state.terms.items():
        kind, number, _ = symbol
        if kind == "D":
            weights[number] = grown * weight * laurent.exp(-kappa * times[number]) / kappa
        elif kind in "zw":
            noise[symbol] = grown * weight
    count = 1 + max(weights, default=-1)
    return Row(time, tuple(weights.get(i, laurent.ZERO) for i in range(count)), noise)

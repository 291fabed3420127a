r"""eta along the way: one number, one for each step, windows of noise levels, or a function of the level.

The reverse SDE keeps its marginals for any :math:`\eta(\lambda) \ge 0`. With :math:`H = \int \eta\,d\lambda`
over a step of length h, the propagator of data prediction is :math:`e^{-(h + H)}` and the variance of its
noise :math:`e^{-2\lambda_t} (1 - e^{-2H})`: a step sees of eta its integral. So the eta of a step is the
*mean over the log-SNR*, H / h, and within the step it is that number. Claims: ``policy-*``.

>>> make_plan("seeds-3", sigmas, eta="1:0.3-5")  # an SDE between these noise levels, an ODE elsewhere
"""

from __future__ import annotations

import itertools
import math
import numbers
import operator
import re
import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from seeds_theory.errors import ParameterError

_ROUNDING = 1e-3
"""The part of a step, and the log-SNR, within which two levels are one."""

Eta = float | Sequence[float] | str | Callable[[float], float]
"""An ``eta``: a number, one for each step, windows as text or `EtaWindows`, or a function of sigma."""


@dataclass(frozen=True)
class EtaWindows:
    """eta that is constant on stretches of noise levels, and 0 elsewhere.

    A grid's levels are rounded, and so are a window's ends where they are written down: an end that is within
    a thousandth of a step of that step's end, and within 0.001 in log-SNR, is there.

    Parameters
    ----------
    stretches : (eta, lower, higher noise level) of each, which do not overlap; the highest may be infinite.

    Raises
    ------
    ParameterError : no such triples, a stretch without length, or two that overlap.
    """

    stretches: tuple[tuple[float, float, float], ...]

    def __post_init__(self) -> None:
        try:
            ends = [(eta, float(low), float(high)) for eta, low, high in self.stretches]
        except (TypeError, ValueError):
            raise ParameterError(
                "windows of eta are triples of eta, a lower and a higher noise level; got "
                f"{_short(self.stretches)}"
            ) from None
        stretches = tuple(
            (eta_number(eta, f"from {high:g} to {low:g}"), low, high) for eta, low, high in ends
        )
        object.__setattr__(self, "stretches", stretches)
        for _, low, high in stretches:
            if not 0 <= low < high:
                raise ParameterError(
                    f"a window of eta goes from a noise level >= 0 to a higher one; got {low:g} and {high:g}"
                )
        rising = sorted(stretches, key=lambda stretch: stretch[1])
        for (_, _, high), (_, low, _) in itertools.pairwise(rising):
            if low < high:
                raise ParameterError(
                    f"windows of eta do not overlap; got one up to {high:g} and one from {low:g}"
                )

    def __call__(self, sigma: float) -> float:
        """The value at a noise level; at the end of a window, that of the window above."""
        return next((eta for eta, low, high in self.stretches if low <= sigma < high), 0.0)

    def mean(self, sigma: float, sigma_next: float) -> float:
        """The mean over a stretch in log-SNR, up to an end: there, the value that it has at last."""
        top, bottom = max(sigma, sigma_next), min(sigma, sigma_next)
        if top == bottom:
            return self(top)
        parts = self.within(bottom, top)
        for eta, low, high in parts:
            if (low, high) == (bottom, top):
                return eta
        if top == math.inf:
            return next((eta for eta, _, high in parts if high == math.inf), 0.0)
        if bottom == 0:
            return next((eta for eta, low, _ in parts if low == 0), 0.0)
        total = sum(eta * math.log(high / low) for eta, low, high in parts)
        return total / math.log(top / bottom)

    def within(self, bottom: float, top: float) -> list[tuple[float, float, float]]:
        """What of the stretches is between two levels, their ends there where they are but for rounding."""
        long = bottom > 0 and top < math.inf
        near = _ROUNDING * (min(1.0, math.log(top / bottom)) if long else 1.0)

        def placed(level: float) -> float:
            inside = min(max(level, bottom), top)
            if 0 < inside < math.inf:
                for end in (bottom, top):
                    if 0 < end < math.inf and abs(math.log(inside / end)) <= near:
                        return end
            return inside

        parts = [(eta, placed(low), placed(high)) for eta, low, high in self.stretches]
        return [(eta, low, high) for eta, low, high in parts if low < high]

    def of_flow(self) -> EtaWindows:
        """The same windows, given by the times t of rectified flow: their levels are t / (1 - t)."""
        if any(high > 1 for _, _, high in self.stretches if math.isfinite(high)):
            raise ParameterError(
                f"windows of a flow lie in [0, 1], as its times do: '1:0.3-0.9'; got {self}"
            )
        return EtaWindows(
            tuple((eta, _flow_level(low), _flow_level(high)) for eta, low, high in self.stretches)
        )

    def __str__(self) -> str:
        return ",".join(
            "{}:{}-{}".format(*(repr(number).removesuffix(".0") for number in stretch))
            for stretch in self.stretches
        )


def _flow_level(t: float) -> float:
    return t / (1 - t) if t < 1 else math.inf


def parse_eta(text: str) -> float | tuple[float, ...] | EtaWindows:
    """The eta that a text names: ``0.5``; ``1,1,0,0``, one for each step; ``1:0.3-5``, in a window of levels.

    Several windows are ``1:0.3-5,0.5:10-80``; outside of all it is 0. A window's upper end may be ``inf``.

    Raises
    ------
    ParameterError : none of these.
    """
    parts = [part.strip() for part in text.split(",")]
    number = r"[0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?"
    if any(":" in part for part in parts):
        found = [
            re.fullmatch(rf"({number}):({number})-({number}|inf)", part, re.ASCII | re.I)
            for part in parts
        ]
        if all(found):
            return EtaWindows(tuple(tuple(map(float, m.groups())) for m in found if m))  # type: ignore[misc]
    elif all(re.fullmatch(number, part, re.ASCII | re.I) for part in parts):
        values = tuple(map(float, parts))
        return values[0] if len(values) == 1 else values
    raise ParameterError(
        "eta is a number >= 0, one for each step as 1,1,0,0, or windows of noise levels as 1:0.3-5; "
        f"got {text!r}"
    )


def require_eta(eta: Any) -> Any:
    """An `Eta` in one of four forms: a float, a tuple of floats, `EtaWindows`, or a function.

    Raises
    ------
    ParameterError : it is none, or a number of it is not finite and >= 0; names the step.
    """
    if isinstance(eta, str):
        return require_eta(parse_eta(eta))
    if isinstance(eta, numbers.Real):
        return eta_number(eta)
    if callable(eta):
        return eta
    values = eta.tolist() if hasattr(eta, "tolist") else eta
    if not isinstance(values, Sequence) or isinstance(values, bytes):
        return eta_number(values)
    if not values:
        raise ParameterError("eta has one number for each step; got none")
    return tuple(eta_number(value, f"in step {index}") for index, value in enumerate(values))


def step_etas(eta: Any, sigmas: Sequence[float]) -> float | tuple[float, ...]:
    """The eta of each step of a grid; one number, if it is the same in all.

    eta : as of `require_eta`. A step to level 0 draws nothing: its eta has no effect.

    Raises
    ------
    ParameterError : not as many numbers as steps, or a function that is not finite and >= 0; names the step.
    """
    eta = require_eta(eta)
    if isinstance(eta, float):
        return eta
    steps = list(itertools.pairwise(sigmas))
    if isinstance(eta, tuple):
        if len(eta) != len(steps):
            raise ParameterError(
                f"eta has one number for each of the {len(steps)} steps of the grid, the one to 0 included; "
                f"got {len(eta)}: give as many, a window as '1:0.3-0.9', or one number"
            )
        values = list(eta)
    elif isinstance(eta, EtaWindows):
        values = [eta.mean(s, t) for s, t in steps]
        _require_whole(eta, steps[0])
    else:
        values = [_mean(eta, index, s, t) for index, (s, t) in enumerate(steps)]
    if sigmas[-1] == 0 and len(values) > 1 and not isinstance(eta, tuple):
        values[-1] = values[-2]
    return values[0] if len(set(values)) == 1 else tuple(values)


def on_grid(eta: Any, sigmas: Sequence[float]) -> Any:
    """An eta that has a value on any part of this grid: a number for each step becomes windows."""
    eta = require_eta(eta)
    if not isinstance(eta, tuple):
        return eta
    step_etas(eta, sigmas)  # as many as steps
    steps = zip(eta, sigmas[1:], sigmas[:-1], strict=True)
    return EtaWindows(
        tuple((value, float(low), float(high)) for value, low, high in steps if value)
    )


def one_eta(eta: Any, otherwise: float) -> float:
    """A number of an eta, to try a sampler with: its largest; of windows and functions, another one."""
    eta = require_eta(eta)
    if isinstance(eta, tuple):
        return max(eta)
    return eta if isinstance(eta, float) else otherwise


def _mean(eta: Callable[[float], Any], index: int, sigma: float, sigma_next: float) -> float:
    """The mean of a function over a step in log-SNR; at an end that is infinitely far, its value there."""

    def value(level: float) -> float:
        try:
            found = eta(level)
            found = found.item() if hasattr(found, "item") else found
        except (ArithmeticError, ValueError, RuntimeError) as error:
            found = error
        return eta_number(found, f"in step {index}, at sigma = {level:g}")

    if sigma_next == 0 or math.isinf(sigma_next):
        return value(sigma)
    if math.isinf(sigma):
        first = value(sigma)
        if first == 0 and value(sigma_next) > 0:
            raise _no_limit()
        return first
    middle, half = 0.5 * math.log(sigma * sigma_next), 0.5 * math.log(sigma / sigma_next)
    nodes, weights = _quadrature()
    values = [value(math.exp(middle + half * node)) for node in nodes]
    if len(set(values)) == 1:
        return values[0]
    return math.fsum(map(operator.mul, weights, values)) / 2


@cache
def _quadrature() -> tuple[list[float], list[float]]:
    """Gauss-Legendre nodes and weights on [-1, 1]."""
    from numpy.polynomial.legendre import (
        leggauss,
    )  # commands parse an eta before anything is loaded

    nodes, weights = leggauss(20)
    return nodes.tolist(), weights.tolist()


def _require_whole(eta: EtaWindows, step: tuple[float, float]) -> None:
    """In a step from an infinite level an eta is 0 everywhere, or above 0 from there."""
    sigma, sigma_next = step
    reached = math.isinf(sigma) and any(value > 0 for value, *_ in eta.within(sigma_next, sigma))
    if reached and eta.mean(sigma, sigma_next) == 0:
        raise _no_limit()


def _no_limit() -> ParameterError:
    return ParameterError(
        "in a step from an infinite noise level eta is 0, or above 0 from there; it is 0 there and not at "
        "the end of the step: start at a finite level, or give a number for each step"
    )


def _short(value: Any) -> str:
    return reprlib.repr(value) if isinstance(value, int) else repr(value)[:100]


def eta_number(value: Any, where: str = "") -> float:
    """A finite number >= 0; raises ParameterError for anything else, which says where it is."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # a whole number beyond 1e308
            number = math.inf
        if 0 <= number < math.inf:
            return number
    place = f" {where}" if where else ""
    raise ParameterError(f"eta is a finite number >= 0; got {_short(value)}{place}")

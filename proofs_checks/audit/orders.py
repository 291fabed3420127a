"""An order as errors show it: a number with a band that holds the last slopes, or why there is none."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from toy_models.convergence import ROUNDING_FLOOR, fit_exact

_NARROW, _WIDE, _SAME = 0.15, 0.4, 0.05
"""Half-widths of a band: one that is an order, and one that is if the last two fits agree to the third."""

_BENDS = 0.1
"""Rounding of this share of an error bends local orders by as much: they move, and do not show where to."""

_STANDS_STILL = 0.25
"""Errors of a lower order than this do not vanish at any number of steps that a user takes."""


class Verdict(StrEnum):
    """What errors on finer and finer grids say."""

    settled = "settled"  # they follow one order
    moving = "moving"  # their local orders still change
    standing = "standing"  # they do not shrink
    rounding = "rounding"  # they are rounding before they follow an order


@dataclass(frozen=True)
class Order:
    """The order of one curve of errors.

    value, uncertainty : of the order, if it is settled: the band holds the last two local orders. slopes :
    the local orders above rounding, the last of the finest grids. verdict. tends_to : of one that is not
    settled, where its local orders tend to after a change of the error's sign, if the errors show that.
    """

    value: float | None
    uncertainty: float | None
    slopes: tuple[float, ...]
    verdict: Verdict
    tends_to: float | None = None

    @property
    def least(self) -> float:
        """The lowest order that the errors leave possible; infinite where they are rounding.

        Local orders that fall are taken to fall once more by as much, unless they come to rest: the last fall
        is less than half of the one before.
        """
        if self.verdict is Verdict.rounding:
            return math.inf
        if self.verdict is Verdict.standing:
            return 0.0
        if self.value is not None:
            return self.value
        if self.tends_to is not None:
            return self.tends_to
        before, last = self.slopes[-2:]
        fall, earlier = before - last, (self.slopes[-3] - before if len(self.slopes) > 2 else 0.0)
        return min(before, last - (fall if fall > max(0.5 * earlier, 0.0) else 0.0))

    @property
    def undecided(self) -> bool:
        """Whether the local orders still change, to where they do not show."""
        return self.verdict is Verdict.moving and self.tends_to is None

    def __str__(self) -> str:
        if self.verdict is Verdict.rounding:
            return "unknown: errors at rounding before they follow one"
        if self.verdict is Verdict.standing:
            return "0: errors do not vanish"
        if self.value is None:
            slopes = ", ".join(f"{slope:.2f}" for slope in self.slopes[-4:])
            to = "" if self.tends_to is None else f", to {self.tends_to:.2f} after a change of sign"
            return f"not settled: {slopes}{to}"
        if (self.uncertainty or 0.0) < 0.02:
            return f"{self.value:.2f}"
        return f"{self.value:.2f} ± {self.uncertainty:.2f}"


@dataclass(frozen=True)
class Curve:
    """Errors over numbers of steps, and the order that they show."""

    steps: tuple[int, ...]
    errors: tuple[float, ...]
    order: Order

    @property
    def slopes(self) -> tuple[float, ...]:
        """The local orders between consecutive grids, all of them."""
        return _slopes(self.steps, self.errors)

    @property
    def ends_in_rounding(self) -> bool:
        """Whether the last grids were left out, more than the one on which an error may change its sign."""
        return len(self.slopes) - len(self.order.slopes) > 1


def signed_norm(errors: np.ndarray) -> float:
    """The norm of errors (k,), with the sign of the largest."""
    return float(math.copysign(np.linalg.norm(errors), errors[np.abs(errors).argmax()]))


def curve(
    steps: Sequence[int],
    signed: Sequence[float],
    rounding: float = 0.0,
    explains: Callable[[int, float], bool] = lambda steps, error: False,
) -> Curve:
    """Errors and their order; points at the end that follow none, of rounding, are left out.

    signed : errors, with the sign they have if that is known: one that changes it has local orders that tell
    nothing for a while. rounding : what is below it is taken as that. explains : whether rounding explains an
    error on so many steps, as measured; asked only where that matters.
    """
    errors = [abs(error) for error in signed]
    order, last = _order(steps, errors), len(errors)

    def explained() -> bool:
        standing = order.verdict is Verdict.standing
        return explains(steps[last - 1], (1.0 if standing else _BENDS) * errors[last - 1])

    while (
        order.verdict is not Verdict.settled
        and last > 4
        and (errors[last - 1] < rounding or explained())
    ):
        last -= 1
        order = _order(steps[:last], errors[:last])
    if order.verdict is not Verdict.settled and (max(errors[-3:]) < rounding / 10 or explained()):
        order = Order(None, None, order.slopes, Verdict.rounding)
    if order.verdict is Verdict.moving:
        order = replace(order, tends_to=_after_change_of_sign(steps, signed))
    return Curve(tuple(steps), tuple(errors), order)


def followed(
    on_grids: Callable[[Sequence[int]], Curve],
    steps: Sequence[int],
    finest: int,
    quick: Callable[[], bool],
) -> Curve:
    """A curve, on finer and finer grids while its local orders move and a grid is quick to run."""
    found = on_grids(steps)
    while found.order.undecided and not found.ends_in_rounding and steps[-1] < finest and quick():
        steps = (*steps, 2 * steps[-1])
        found = on_grids(steps)
    return found


def _order(steps: Sequence[int], errors: Sequence[float]) -> Order:
    pairs = list(zip(steps, errors, strict=True))
    usable = [(n, e) for n, e in pairs if e > ROUNDING_FLOOR or not math.isfinite(e)]
    if len(usable) < 3:
        return Order(None, None, (), Verdict.rounding)
    slopes = _slopes(*zip(*usable, strict=True))
    last = usable[-3:]
    if max(slopes[-2:]) < _STANDS_STILL or not all(math.isfinite(e) for _, e in last):
        return Order(None, None, slopes, Verdict.standing)
    # The limit of slopes p + b/n, where they tend to one.
    fit = fit_exact(*zip(*usable, strict=True))
    assert fit.order is not None
    band = max(abs(fit.order - slope) for slope in slopes[-2:])
    spread = 0.0 if fit.uncertainty is None else fit.uncertainty
    agree = fit.uncertainty is not None and spread < _SAME
    if max(band, spread) > (_WIDE if agree else _NARROW):
        return Order(None, None, slopes, Verdict.moving)
    return Order(fit.order, max(band, spread), slopes, Verdict.settled)


def _after_change_of_sign(steps: Sequence[int], errors: Sequence[float]) -> float | None:
    """The order p of errors n^-p (a + b/n), if these have changed their sign: from the last three grids.

    The three before show the same order. None where grids are not each twice the last.
    """
    changed = min(errors) < 0 < max(errors) and all(map(math.isfinite, errors))
    if not changed or len(errors) < 4 or any(2 * n != m for n, m in itertools.pairwise(steps)):
        return None
    pairs = itertools.product(_two_term_orders(errors[-4:-1]), _two_term_orders(errors[-3:]))
    return next((last for before, last in pairs if abs(before - last) < _SAME), None)


def _two_term_orders(errors: Sequence[float]) -> list[float]:
    """All p > 0 for which errors on n, 2n and 4n are n^-p (a + b/n), with a the larger term on the last."""
    first, second, third = errors
    found = []
    for r in np.roots([2 * third, -3 * second, first]):  # r = 2^p
        half_b = first - r * second
        if r.imag == 0 and r.real > 1 and abs(first - 2 * half_b) > 0.5 * abs(half_b):
            found.append(math.log2(r.real))
    return found


def _slopes(steps: Sequence[float], errors: Sequence[float]) -> tuple[float, ...]:
    pairs = itertools.pairwise(zip(steps, errors, strict=True))
    return tuple(
        float(np.log(a / b) / np.log(m / n)) if a > 0 and 0 < b < math.inf else float("nan")
        for (n, a), (m, b) in pairs
    )

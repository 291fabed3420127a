"""Claims, and what it takes to decide them.

A claim is a function that returns `Evidence`. Evidence comes from two places only: `prove`, which
accepts identities in exact arithmetic, and `measure`, which compares a figure with its uncertainty to
what was claimed. So the word "proved" cannot be given to a number.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from seeds_theory.errors import SeedsError
from seeds_theory.extras import optional_imports

with optional_imports():
    import sympy as sp


class Verdict(StrEnum):
    """How a claim came out."""

    proved = "proved"
    """Identities for symbolic parameters, or exact rational arithmetic."""
    measured = "measured"
    """A computed figure, uncertainty included, agrees with the claim within a stated bound."""
    refuted = "refuted"
    """An identity fails, or the figure is elsewhere."""
    open = "open"
    """Not decided; the evidence says why."""


@dataclass(frozen=True)
class Evidence:
    """A verdict with its reason. figure and uncertainty are None for proofs; 0 means exact."""

    verdict: Verdict
    summary: str
    figure: float | None = None
    uncertainty: float | None = None


@dataclass(frozen=True)
class Claim:
    """A statement with its source, the way it is decided and the verdict expected of it."""

    id: str
    statement: str
    source: str
    expected: Verdict
    decide: Callable[[], Evidence]

    @property
    def chapter(self) -> str:
        """The chapter, which is the first word of the id."""
        return self.id.partition("-")[0]


@dataclass(frozen=True)
class Record:
    """A claim after it has been decided."""

    id: str
    statement: str
    source: str
    expected: Verdict
    verdict: Verdict
    evidence: Evidence
    seconds: float

    @property
    def as_expected(self) -> bool:
        """Whether the verdict found is the one expected."""
        return self.verdict is self.expected

    def to_json(self) -> dict[str, Any]:
        """The record as `seeds-verify --json` writes it."""
        evidence = {k: v for k, v in asdict(self.evidence).items() if k != "verdict"}
        return {**asdict(self), "evidence": evidence, "seconds": round(self.seconds, 3)}


class NotSymbolicError(SeedsError):
    """An identity offered as a proof contains a rounded number."""


_CLAIMS: dict[str, Claim] = {}


def claim(
    id: str, statement: str, *, source: str, expected: Verdict
) -> Callable[[Callable[[], Evidence]], Callable[[], Evidence]]:
    """Register the decorated function as the decision of a claim.

    Parameters
    ----------
    id : chapter, dash, name. statement : one sentence, LaTeX allowed. source : who claims it.
    expected : the verdict that the project stands for.
    """

    def register(decision: Callable[[], Evidence]) -> Callable[[], Evidence]:
        if id in _CLAIMS:
            raise ValueError(f"two claims are named {id!r}")
        _CLAIMS[id] = Claim(id, statement, source, expected, decision)
        return decision

    return register


def registered() -> list[Claim]:
    """The claims of all modules that were imported so far, in the order they registered in."""
    return list(_CLAIMS.values())


def decide(claim: Claim) -> Record:
    """Decide one claim. A decision that breaks down leaves the claim open, with the error as evidence."""
    start = time.perf_counter()
    try:
        evidence = claim.decide()
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{where.name}, line {where.lineno}"
        evidence = Evidence(Verdict.open, f"{type(error).__name__} in {place}: {error}")
    return Record(
        id=claim.id,
        statement=claim.statement,
        source=claim.source,
        expected=claim.expected,
        verdict=evidence.verdict,
        evidence=evidence,
        seconds=time.perf_counter() - start,
    )


def prove(identities: Iterable[tuple[sp.Expr, sp.Expr]], how: str) -> Evidence:
    """Proved iff the two sides of every identity are equal in exact arithmetic.

    Raises
    ------
    NotSymbolicError : a side contains a floating-point number.
    """
    count = 0
    for left, right in identities:
        for side in (left, right):
            if sp.sympify(side).has(sp.Float):
                raise NotSymbolicError(f"a proof contains no rounded numbers; got {side}")
        if not _vanishes(sp.sympify(left) - sp.sympify(right)):
            return Evidence(Verdict.refuted, f"{sp.sstr(left)} differs from {sp.sstr(right)}")
        count += 1
    if count == 0:
        return Evidence(Verdict.open, "no identity was given")
    return Evidence(Verdict.proved, f"{how} ({count} identit{'y' if count == 1 else 'ies'})")


def _vanishes(difference: sp.Expr) -> bool:
    """Whether an expression is identically zero, by ever more costly simplification."""
    closed = difference.doit()
    if _differs(closed):
        return False
    for simplifier in (
        sp.expand,
        lambda e: sp.expand(sp.powsimp(sp.expand(e, power_exp=True)), power_exp=True),
        lambda e: sp.simplify(sp.expand(sp.together(sp.expand(e)))),
        sp.simplify,
    ):
        if simplifier(closed) == 0:
            return True
    return False


def _differs(expression: sp.Expr) -> bool:
    """Whether an expression is seen not to vanish at one point: symbols in order are fractions below 1."""
    symbols = sorted(expression.free_symbols, key=str)
    if any(symbol.is_integer for symbol in symbols):
        return False
    count = len(symbols) + 1
    point = {symbol: sp.Rational(7 * i, 7 * count + 1) for i, symbol in enumerate(symbols, start=1)}
    value = expression.subs(point, simultaneous=True).evalf(30)
    return bool(value.is_Float and abs(value) > 1e-20)


def measure(
    figure: float | None, uncertainty: float, expected: float, within: float, what: str
) -> Evidence:
    """Measured iff the figure, and its uncertainty (0 if exact), are within `within` of what is claimed.

    No figure, or one that is not finite, refutes.
    """
    if figure is None or not math.isfinite(figure):
        return Evidence(Verdict.refuted, f"{what}: no finite figure (claimed {expected:g})")
    holds = abs(figure - expected) <= within and uncertainty <= within
    spread = f" ± {uncertainty:.1g}" if uncertainty else ""
    summary = f"{what}: {figure:.6g}{spread} (claimed {expected:g} within {within:g})"
    return Evidence(Verdict.measured if holds else Verdict.refuted, summary, figure, uncertainty)


def measure_at_most(figures: Sequence[float], bound: float, what: str) -> Evidence:
    """Measured iff every one of the exact figures is at most the bound; the largest is reported."""
    if not figures or not all(math.isfinite(figure) for figure in figures):
        return Evidence(Verdict.refuted, f"{what}: not all figures are finite")
    largest = max(figures)
    verdict = Verdict.measured if largest <= bound else Verdict.refuted
    return Evidence(verdict, f"{what}: {largest:.3g} (claimed at most {bound:.3g})", largest, 0.0)

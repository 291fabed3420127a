"""The audit of a step's log-density, and what it says."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from proofs_checks.audit.densities import checks
from proofs_checks.audit.densities.measured import BATCHES
from proofs_checks.audit.densities.places import Place, Reduction, places
from proofs_checks.audit.densities.protocol import At, Network, Step, StepFailure
from proofs_checks.audit.densities.trainers import is_of_trainers
from proofs_checks.audit.findings import Finding, Severity
from seeds_theory.errors import ParameterError
from seeds_theory.sources import seeded_generator

TIMES = ((0.8, 0.55), (0.4, 0.25))
"""Where a step is tried, if nothing else is said: times of a flow, or noise levels."""


@dataclass(frozen=True)
class PlaceFigures:
    """What was measured between two times.

    times : from and to. deviation : of the draws. error : its standard error.
    ratio, ratio_error : the mean ratio of a changed network and its standard error.
    score, score_error : the mean score and its standard error, in deviations of it.
    """

    times: tuple[float, float]
    deviation: float
    error: float
    ratio: float
    ratio_error: float
    score: float
    score_error: float

    @classmethod
    def of(cls, place: Place) -> PlaceFigures:
        """Of what was measured there."""
        deviation = place.draws.deviation
        error = deviation * place.weight_error / 2
        ratio, score = (place.ratio, place.score) if place.bend else ((1.0, 0.0, 0.0),) * 2
        return cls((place.at.t, place.at.t_next), deviation, error, *ratio[:2], *score[:2])


@dataclass(frozen=True)
class DensityReport:
    """Whether a log-density belongs to its step.

    Attributes
    ----------
    target : the step's name.
    reduction : "sum" or "mean" over elements, if it is the log-density of the draws; else None.
    figures : of each place where it was tried.
    findings : what is not as it should be.
    """

    target: str
    reduction: Reduction | None
    figures: tuple[PlaceFigures, ...]
    findings: tuple[Finding, ...]

    @property
    def belongs(self) -> bool:
        """Whether there is no error: the log-density is that of the draws, perhaps by a convention."""
        return not self.above(Severity.error)

    def above(self, severity: Severity) -> list[Finding]:
        """The findings at least that bad."""
        return [f for f in self.findings if f.severity.rank >= severity.rank]

    @property
    def verdict(self) -> str:
        """In a few words."""
        if not self.belongs:
            return "not the density of its step"
        over = f", {self.reduction} over elements" if self.reduction else ""
        return f"the density of its step{over}"

    def __str__(self) -> str:
        lines = [f"{self.target}: {self.verdict}"]
        for f in self.figures:
            lines.append(
                f"  from {f.times[0]:g} to {f.times[1]:g}: deviation {f.deviation:.4g} ± {f.error:.1g}, "
                f"mean ratio {f.ratio:.4f} ± {f.ratio_error:.1g}, "
                f"mean score {f.score:.3f} ± {f.score_error:.1g}"
            )
        return "\n".join([*lines, *(f"  {finding}" for finding in self.findings)])

    def to_json(self) -> dict[str, Any]:
        """The record that `seeds-audit --density --json` writes."""
        return {
            "target": self.target,
            "verdict": self.verdict,
            "reduction": self.reduction,
            "figures": [vars(figures) for figures in self.figures],
            "findings": [finding.to_json() for finding in self.findings],
        }


def audit_density(
    step: Step,
    *,
    times: Sequence[tuple[float, float]] = TIMES,
    shape: Sequence[int] = (3, 4, 4),
    reduction: Reduction | None = None,
    draws: int = 2048,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    name: str | None = None,
) -> DensityReport:
    """Look whether the log-density that a step returns is that of the states that it draws.

    Parameters
    ----------
    step : ``step(network, x, t, t_next, action=None) -> (next_x, log_prob)``, see
        `proofs_checks.audit.densities.protocol`; `trainer_step` makes one of another signature.
    times : pairs of ``t, t_next``, whatever they mean to the step; two or more tell more.
    shape : of a state, without the batch.
    reduction : "sum" or "mean" over elements, if one of them is to be had; else both pass.
    draws : how many next states are drawn between each pair of times.
    dtype : of the states. seed : of state, network and draws.
    name : in the report; by default that of the function.

    Raises
    ------
    ParameterError : a wrong call.
    """
    _require(times, shape, reduction, draws)
    if is_of_trainers(step):
        raise ParameterError(
            f"a step is called with network, x, t, t_next and an action; got {_name(step)} of a trainer's "
            "signature: give trainer_step of it"
        )
    target = name or _name(step)
    event = tuple(int(length) for length in shape)
    generator = seeded_generator(seed, 42)
    x = torch.randn(1, *event, generator=generator, dtype=torch.float64).to(dtype)
    pairs = [(float(t), float(t_next)) for t, t_next in times]
    at = At(step, Network.seeded(event, seed), x, *pairs[0])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            found = places(at, pairs, draws)
            return _judged(target, found, reduction)
        except StepFailure as failure:
            expected = "next states and a log-density of each"
            finding = Finding("runs", Severity.error, expected, str(failure))
            return DensityReport(target, None, (), (finding,))


def _name(step: Step) -> str:
    return str(getattr(step, "__qualname__", type(step).__name__))


def _judged(target: str, found: list[Place], asked: Reduction | None) -> DensityReport:
    for check in checks.FIRST.values():
        if first := tuple(check(found)):
            return DensityReport(target, None, (), first)
    findings = [finding for check in checks.EXACT.values() for finding in check(found)]
    findings += checks.reduction(found, asked)
    if all(f.severity is not Severity.error for f in findings):
        told = (tuple(check(found)) for check in checks.LAST.values())
        findings += next(filter(None, told), ())
    figures = tuple(PlaceFigures.of(place) for place in found)
    return DensityReport(target, checks.reduction_of(found), figures, tuple(findings))


def assert_density(
    step: Step,
    *,
    reduction: Reduction | None = None,
    fail_on: str = "error",
    **options: Any,
) -> None:
    """Raise if the log-density that a step returns is not that of the states that it draws.

    >>> from proofs_checks.audit import assert_density, trainer_step
    >>> def test_density():
    ...     assert_density(trainer_step(my_package.sde_step_with_logprob, noise_level=0.7))

    Parameters
    ----------
    step : ``step(network, x, t, t_next, action=None) -> (next_x, log_prob)``.
    reduction : "sum" or "mean" over elements, if one of them is to be had.
    fail_on : the least severity that fails: "error", "warning" or "note".
    options : as of `audit_density`.

    Raises
    ------
    AssertionError : lists the findings.
    ParameterError : a wrong call.

    Warns
    -----
    UserWarning : lists warnings that do not fail, as of a draw that its own log-density is differentiated
        through: a trainer that goes backwards at the draw learns nothing.
    """
    __tracebackhide__ = True
    if fail_on not in list(Severity):
        raise ParameterError(f"fail_on is one of {', '.join(Severity)}; got {fail_on!r}")
    report = audit_density(step, reduction=reduction, **options)
    failing = report.above(Severity(fail_on))
    if failing:
        raise AssertionError(f"{report.target}:\n{_listed(failing)}")
    if warned := report.above(Severity.warning):
        warnings.warn(f"{report.target}:\n{_listed(warned)}", stacklevel=2)


def _listed(findings: Sequence[Finding]) -> str:
    return "\n".join(f"  {finding}" for finding in findings)


def _require(times: Any, shape: Any, reduction: Any, draws: Any) -> None:
    """Raise ParameterError for what cannot be asked."""
    if not callable(getattr(times, "__len__", None)) or not times:
        raise ParameterError(f"times are pairs of a step's start and end; got {times!r}")
    if any(not isinstance(pair, tuple | list) or len(pair) != 2 for pair in times):
        raise ParameterError(f"times are pairs of a step's start and end; got {times!r}")
    if not shape or any(not isinstance(n, int) or n < 1 for n in shape):
        raise ParameterError(f"a shape is one or more lengths from 1 on; got {shape!r}")
    if reduction not in (None, "sum", "mean"):
        raise ParameterError(f"a reduction over elements is 'sum' or 'mean'; got {reduction!r}")
    if not isinstance(draws, int) or draws < 256 or draws % BATCHES:
        raise ParameterError(f"draws are 256 or more, a multiple of {BATCHES}; got {draws!r}")

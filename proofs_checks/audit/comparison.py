"""Two versions of a sampler side by side: what was measured, what it costs, and the same noise's results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from rich.table import Table
from torch import Tensor

from proofs_checks.audit.affine import LinearModel
from proofs_checks.audit.checks import audit
from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.findings import Finding, Severity, finite
from proofs_checks.audit.grids import even, uneven
from proofs_checks.audit.known import KnownFindings
from proofs_checks.audit.measure import (
    MEANS,
    SIGMA_MAX,
    SIGMA_MIN,
    VARIANCES,
)
from proofs_checks.audit.mixture import denoiser
from proofs_checks.audit.protocol import Model, SamplerFailure, Target, call
from proofs_checks.audit.report import Report, summary
from proofs_checks.audit.targets import find_target
from proofs_checks.pipe import ended_by_signals
from seeds_theory.processes import in_processes
from seeds_theory.sources import seeded_generator
from toy_models.mixture import CURVED

_ORDER_WITHIN = 0.05
"""An order lower by more is lower."""

_ERROR_WITHIN = 0.05
"""An error larger by more than this share, at the same number of model calls, is larger."""

_BATCH = 3
_ROUNDING = 1e-9  # an error below this says nothing of a method


class PathNoise:
    """One Brownian path in the clock sigma, at whatever levels it is asked for; draws by their number.

    Between the levels of a fine grid it is a straight line: the same function for everybody who asks.
    """

    def __init__(self, injects: bool, channels: int) -> None:
        self.injects = injects
        self._levels = torch.tensor([0.0, *np.geomspace(1e-4, 4 * SIGMA_MAX, 4096)]).double()
        shape = len(self._levels) - 1, _BATCH, channels, 1, 1
        increments = torch.randn(shape, generator=seeded_generator(0, 0), dtype=torch.float64)
        lengths = self._levels.diff().reshape(-1, 1, 1, 1, 1)
        self._values = torch.cat([torch.zeros(1, *shape[1:]), lengths.sqrt() * increments]).cumsum(
            0
        )

    def stretch(self, sigma: float, sigma_next: float, like: Tensor) -> Tensor:
        """The path's increment, of unit variance; 0 where the stretch is empty."""
        length = abs(sigma - sigma_next)
        if length == 0:
            return torch.zeros_like(like)
        return ((self._at(sigma) - self._at(sigma_next)) / length**0.5).to(like)

    def _at(self, sigma: float) -> Tensor:
        index = min(int(torch.searchsorted(self._levels, sigma, right=True)), len(self._levels) - 1)
        low, high = self._levels[index - 1], self._levels[index]
        share = (sigma - low) / (high - low)
        return torch.lerp(self._values[index - 1], self._values[index], share)

    def draw(self, number: int, like: Tensor) -> Tensor:
        """Numbers that belong to the number of the draw."""
        generator = seeded_generator(number + 1, 1)
        return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like)


_GAUSSIAN_DEVIATIONS = (VARIANCES + SIGMA_MIN**2).sqrt()[:, None, None]
_CURVED_DEVIATION = torch.ones(1, 1, 1, dtype=torch.float64)  # about 1, as CURVED has
_DATA: tuple[tuple[Model, Tensor], ...] = (
    (
        lambda x, sigma, **more: LinearModel(MEANS, VARIANCES)(x, sigma, **more),
        _GAUSSIAN_DEVIATIONS,
    ),
    (denoiser(CURVED), _CURVED_DEVIATION),
)


@dataclass(frozen=True)
class Examined:
    """One version: its report, and the states it ends with, in deviations, or how it fails."""

    report: Report
    ends: tuple[np.ndarray | str, ...]


def _examine(name: str, expectation: Expectation | None, skip: tuple[str, ...]) -> Examined:
    with ended_by_signals():
        target = find_target(name)
        report = audit(name, expect=expectation, skip=skip)
        ends = [
            _end(target, model, deviations, kind(SIGMA_MAX, SIGMA_MIN, 12), injects)
            for model, deviations in _DATA
            for kind in (even, uneven)
            for injects in (True, False)
        ]
    return Examined(report, tuple(ends))


def _end(
    target: Target, model: Model, deviations: Tensor, levels: list[float], injects: bool
) -> np.ndarray | str:
    channels = len(deviations)
    unit = torch.randn(_BATCH, channels, 1, 1, generator=seeded_generator(0, 2)).double()
    start = SIGMA_MAX * unit
    sigmas = torch.tensor(levels, dtype=torch.float64)
    try:
        end = call(target, model, start, sigmas, PathNoise(injects, channels))
    except SamplerFailure as failure:
        return failure.kind
    return (end.double() / deviations).numpy()  # what processes can hand over


@dataclass(frozen=True)
class Comparison:
    """The second version of a sampler against the first."""

    first: Examined
    second: Examined
    fail_on: Severity

    @property
    def reports(self) -> tuple[Report, Report]:
        """Both reports."""
        return self.first.report, self.second.report

    @property
    def measured(self) -> tuple[Report, Report]:
        """The reports that have figures: of a sampler that depends on its batch, that on single samples."""
        first, second = (report.alone or report for report in self.reports)
        return first, second

    @cached_property
    def difference(self) -> float | None:
        """The largest difference of their results on the same noise, in standard deviations of the data.

        None where one fails and the other does not, or fails otherwise. 0 is equality to the bit.
        """
        largest = 0.0
        for one, other in zip(self.first.ends, self.second.ends, strict=True):
            if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
                largest = max(largest, float(np.abs(one - other).max()))
            elif not isinstance(one, str) or one != other:
                return None
        return largest

    @cached_property
    def new(self) -> tuple[Finding, ...]:
        """Severe findings of the second that the first does not have."""
        before, after = self.reports
        known = KnownFindings({after.target: before.findings})
        new, _ = known.compare(after.target, after.findings)
        return tuple(
            finding
            for finding in after.above(self.fail_on)
            if finding in new and not self._was_as_bad(finding)
        )

    def _was_as_bad(self, finding: Finding) -> bool:
        """Whether the first has as low an order with independent noise, but no higher one to be told from."""
        before = self.measured[0].independent
        return (
            finding.id == "noise-source"
            and finding.figure is not None
            and before is not None
            and before.order.least <= finding.figure + _ORDER_WITHIN
        )

    @cached_property
    def error_ratio(self) -> float | None:
        """The second's error of the law in the first's, at the same number of model calls; None if unknown.

        On the finest grid on which both errors are more than rounding, brought to the same calls by the
        order of the second.
        """
        before, after = self.measured
        order, calls = _order_of_errors(after), (before.nfe_per_step, after.nfe_per_step)
        if order is None or calls[0] is None or calls[1] is None:
            return None
        first, second = (dict(_errors(report)) for report in self.measured)
        common = [steps for steps in first if steps in second]
        if not common:
            return None
        one, other = first[common[-1]], second[common[-1]]
        return other / one * (calls[1] / calls[0]) ** order

    @cached_property
    def worse(self) -> tuple[str, ...]:
        """In what the second is worse: findings, a lower order, or a larger error for the same calls."""
        told = [f"a new finding, {finding.id}" for finding in self.new]
        higher = False
        deterministic = self.measured[0].deterministic
        for kind in ("weak order", "strong order")[: 1 if deterministic else 2]:
            one, other = (_order(report, kind) for report in self.measured)
            if one is not None and (other is None or other < one - _ORDER_WITHIN):
                told.append(
                    f"{kind} {'unknown' if other is None else f'{other:.2f}'} after {one:.2f}"
                )
            elif kind == "weak order" and one is not None and other is not None:
                higher = other > one + _ORDER_WITHIN
        ratio = self.error_ratio
        if ratio is not None and ratio > 1 + _ERROR_WITHIN and not higher:
            told.append(f"an error {ratio:.2f} times as large for the same model calls")
        return tuple(told)

    def to_json(self) -> dict[str, Any]:
        """The record that ``seeds-audit --compare --json`` writes."""
        first, second = (report.to_json() for report in self.reports)
        return {
            "first": first,
            "second": second,
            "difference": self.difference,
            "error_ratio": self.error_ratio and finite(self.error_ratio),
            "worse": list(self.worse),
        }

    def table(self) -> Table:
        """Both side by side, for a terminal."""
        result = Table("", box=None, pad_edge=False)
        for report in self.reports:
            result.add_column(report.target, overflow="fold")
        rows = {
            "measured": [summary(report) for report in self.reports],
            "calls a step": [_number(report.nfe_per_step) for report in self.measured],
            "error of the law": [_constant(report) for report in self.measured],
            "findings": [_ids(report.findings) for report in self.reports],
        }
        for name, values in rows.items():
            result.add_row(name, *values)
        return result

    def lines(self) -> list[str]:
        """What the comparison comes to."""
        difference = self.difference
        if difference is None:
            same = "on the same noise one fails where the other does not"
        elif difference == 0:
            same = "the same result on the same noise, to the bit"
        else:
            same = f"results on the same noise differ by up to {difference:.2g} deviations"
        worse = "; ".join(self.worse)
        return [same, f"worse: {worse}" if worse else "no worse"]


def _order(report: Report, kind: str) -> float | None:
    evidence = report.weak if kind == "weak order" else report.strong
    return None if evidence is None else evidence.order.value


def _errors(report: Report) -> list[tuple[int, float]]:
    """Steps and errors of the law on Gaussian data and equal steps, above rounding."""
    if report.weak is None:
        return []
    known = report.weak.studies[0].curve
    pairs = zip(known.steps, known.errors, strict=True)
    return [(steps, error) for steps, error in pairs if error > _ROUNDING]


def _order_of_errors(report: Report) -> float | None:
    """The order that these errors follow, which may be higher than the sampler's."""
    return None if report.weak is None else report.weak.studies[0].curve.order.value


def _constant(report: Report) -> str:
    """C n^-p after n calls on Gaussian data, from the finest grid above rounding."""
    order, errors = _order_of_errors(report), _errors(report)
    if order is None or report.nfe_per_step is None or not errors:
        return "unknown"
    steps, error = errors[-1]
    return f"{error * (steps * report.nfe_per_step) ** order:.3g} n^-{order:.2f}, n calls"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


def _ids(findings: Sequence[Finding]) -> str:
    return ", ".join(f"{finding.severity} {finding.id}" for finding in findings) or "none"


def compare(
    first: str,
    second: str,
    *,
    expect: Expectation | None = None,
    skip: Sequence[str] = (),
    fail_on: Severity = Severity.error,
    jobs: int = 2,
    progress: bool = False,
) -> Comparison:
    """Two samplers by name, each in a process of its own: files of one name do not meet.

    Raises
    ------
    UnknownNameError, ParameterError : no such target, or no such check.
    """
    run = partial(_examine, expectation=expect, skip=tuple(skip))
    examined = in_processes(
        run, [first, second], jobs=jobs, label="versions", progress=progress, fresh=True
    )
    return Comparison(examined[0], examined[1], fail_on)

"""What an audit says: findings, and a report per sampler, for people, for JSON and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure
from rich.text import Text

from proofs_checks.audit.evidence import Evidence
from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.findings import Finding, Severity, finite
from proofs_checks.audit.measure import Limit
from proofs_checks.audit.mixture import MixtureStudy
from proofs_checks.audit.orders import Curve
from toy_models.plots import ErrorCurve, error_panels


@dataclass(frozen=True)
class Report:
    """Everything found about one sampler; a value is None where it could not be measured.

    weak, strong : orders, with the studies behind them; of a deterministic sampler weak is the order of its
    ODE. independent : relative W2 errors of the final law on Gaussian data, with noise drawn afresh at each
    call. mixture : errors of its law, of a sampler that is not affine. alone : of a sampler whose samples
    depend on their batch, the report on single samples. expectation : what was expected of it. skipped :
    checks that the user did not want.
    """

    target: str
    nfe_per_step: float | None = None
    deterministic: bool | None = None
    weak: Evidence | None = None
    independent: Curve | None = None
    strong: Evidence | None = None
    limit: Limit | None = None
    mixture: MixtureStudy | None = None
    alone: Report | None = None
    findings: tuple[Finding, ...] = field(default=())
    expectation: Expectation = field(default_factory=Expectation)
    skipped: tuple[str, ...] = field(default=())

    def above(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings of that severity or worse."""
        return tuple(f for f in self.findings if f.severity.rank >= severity.rank)

    def to_json(self) -> dict[str, Any]:
        """The record that `seeds-audit --json` writes."""
        weak = None if self.weak is None else self.weak.studies[0].curve
        return {
            "target": self.target,
            "nfe_per_step": self.nfe_per_step,
            "deterministic": self.deterministic,
            "weak_order": _value(self.weak),
            "weak_order_independent": None
            if self.independent is None or self.independent.order.value is None
            else round(self.independent.order.value, 3),
            "strong_order": _value(self.strong),
            "weak": self.weak and self.weak.to_json(),
            "strong": self.strong and self.strong.to_json(),
            "limit": self.limit and self.limit.to_json(),
            "mixture": self.mixture and self.mixture.to_json(),
            "alone": self.alone and self.alone.to_json(),
            "errors": None
            if weak is None
            else {
                "steps": list(weak.steps),
                "weak": [finite(error) for error in weak.errors],
            },
            "skipped": list(self.skipped),
            "findings": [
                finding.to_json()
                | {"reproduction": finding.reproduction(self.target, self.expectation)}
                for finding in self.findings
            ],
        }


def _value(evidence: Evidence | None) -> float | None:
    if evidence is None or evidence.order.value is None:
        return None
    return round(evidence.order.value, 3)


def render(reports: Sequence[Report]) -> Text:
    """The reports and their findings as text for a terminal."""
    result = Text()
    for report in reports:
        result.append(f"{report.target}\n", style="bold")
        result.append(f"  {summary(report)}\n")
        if report.skipped:
            result.append(f"  not checked: {', '.join(report.skipped)}\n")
        for finding in report.findings:
            style_ = {Severity.error: "red", Severity.warning: "yellow"}.get(finding.severity, "")
            result.append(f"  {finding.severity}", style=style_)
            result.append(f" {finding.id}: {finding.found}\n")
            result.append(f"      expected: {finding.expected}\n", style="dim")
    return result


def summary(report: Report) -> str:
    """One line: calls, orders, limit; or why there are none."""
    if report.alone is not None:
        return f"no orders of a batch; one sample at a time: {summary(report.alone)}"
    if report.weak is None or report.limit is None or report.nfe_per_step is None:
        law = ""
        if report.mixture is not None:
            inside, outside = report.mixture.inside, report.mixture.outside
            law = f"; law off by {inside} inside [-1, 1], {outside} on data four times as wide"
        return f"no orders: see the findings{law}"
    calls = report.nfe_per_step
    parts = [f"{calls:g} call{'' if calls == 1 else 's'} a step"]
    if report.deterministic:
        parts.append(f"order {report.weak.order}")
    else:
        parts.append(f"weak order {report.weak.order}")
        if report.independent not in (None, report.weak.studies[0].curve):
            assert report.independent
            parts[-1] += f" ({report.independent.order} with independent noise)"
        no_path = "unknown: noise that no path can carry"
        parts.append(f"strong order {report.strong.order if report.strong else no_path}")
    return ", ".join([*parts, f"limit: {report.limit}"])


def _shortened(name: str, length: int = 30) -> str:
    """A name without its middle, if it is long: ends tell targets apart."""
    if len(name) <= length:
        return name
    half = (length - 3) // 2
    return f"{name[:half]}...{name[-half:]}"


def figure(reports: Sequence[Report]) -> Figure:
    """Errors of the final law, and distances on one path, on Gaussian data against model calls, log-log."""
    kinds = {"error of the law": "weak", "distance to twice the steps": "strong"}
    return error_panels(
        {
            title: [
                ErrorCurve(
                    f"{_shortened(report.target)}: {evidence.order}",
                    [n * report.nfe_per_step for n in evidence.studies[0].curve.steps],
                    evidence.studies[0].curve.errors,
                )
                for report in reports
                if report.nfe_per_step and (evidence := getattr(report, kind)) is not None
            ]
            for title, kind in kinds.items()
        }
    )

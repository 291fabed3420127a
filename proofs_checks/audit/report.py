"""What an audit says: findings, and a report per sampler, for people, for JSON and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure
from rich.text import Text

from proofs_checks.audit.curved import CurvedStudy
from proofs_checks.audit.findings import Finding, Severity, finite
from proofs_checks.audit.measure import Curve, Limit
from toy_models.convergence import Fit
from toy_models.plots import ErrorCurve, error_panels


@dataclass(frozen=True)
class Report:
    """Everything found about one sampler; a value is None where it could not be measured.

    weak, independent : relative W2 error of the final law, over steps, with noise on one path or drawn
    afresh at each call. strong : distances of consecutive grids on one path. For a deterministic sampler
    these are the errors of its ODE.
    """

    target: str
    nfe_per_step: float | None = None
    deterministic: bool | None = None
    weak: Curve | None = None
    independent: Curve | None = None
    strong: Curve | None = None
    limit: Limit | None = None
    curved: CurvedStudy | None = None
    findings: tuple[Finding, ...] = field(default=())

    def above(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings of that severity or worse."""
        return tuple(f for f in self.findings if f.severity.rank >= severity.rank)

    def to_json(self) -> dict[str, Any]:
        """The record that `seeds-audit --json` writes."""
        return {
            "target": self.target,
            "nfe_per_step": self.nfe_per_step,
            "deterministic": self.deterministic,
            "weak_order": _order(self.weak),
            "weak_order_independent": _order(self.independent),
            "strong_order": _order(self.strong),
            "limit": self.limit and self.limit.to_json(),
            "curved": self.curved and self.curved.to_json(),
            "errors": None
            if self.weak is None
            else {
                "steps": list(self.weak.steps),
                "weak": [finite(error) for error in self.weak.errors],
            },
            "findings": [
                finding.to_json() | {"reproduction": finding.reproduction(self.target)}
                for finding in self.findings
            ],
        }


def _order(curve: Curve | None) -> float | None:
    return None if curve is None or curve.fit.order is None else round(curve.fit.order, 3)


def render(reports: Sequence[Report]) -> Text:
    """The reports and their findings as text for a terminal."""
    result = Text()
    for report in reports:
        result.append(f"{report.target}\n", style="bold")
        result.append(f"  {_summary(report)}\n")
        for finding in report.findings:
            style_ = {Severity.error: "red", Severity.warning: "yellow"}.get(finding.severity, "")
            result.append(f"  {finding.severity}", style=style_)
            result.append(f" {finding.id}: {finding.found}\n")
            result.append(f"      expected: {finding.expected}\n", style="dim")
    return result


def _summary(report: Report) -> str:
    if report.weak is None or report.limit is None or report.nfe_per_step is None:
        return "no orders: see the findings"
    parts = [f"{report.nfe_per_step:g} calls a step"]
    if report.deterministic:
        parts.append(f"order {_fit(report.weak.fit)}")
    else:
        parts.append(f"weak order {_fit(report.weak.fit)}")
        if report.independent not in (None, report.weak):
            parts[-1] += f" ({_fit(report.independent.fit)} with independent noise)"
        strong = report.strong.fit if report.strong else None
        parts.append(f"strong order {_fit(strong)}")
    return ", ".join([*parts, f"limit: {report.limit}"])


def _fit(fit: Fit | None) -> str:
    """The order, with its uncertainty where that shows in the second digit."""
    if fit is None or fit.order is None:
        return "unknown"
    return str(fit) if (fit.uncertainty or 0.0) >= 0.02 else f"{fit.order:.2f}"


def figure(reports: Sequence[Report]) -> Figure:
    """Errors of the final law, and distances on one path, against model calls, log-log."""
    kinds = {"error of the law": "weak", "distance to twice the steps": "strong"}
    return error_panels(
        {
            title: [
                ErrorCurve(
                    f"{report.target}: {_fit(curve.fit)}",
                    [n * report.nfe_per_step for n in curve.steps],
                    curve.errors,
                )
                for report in reports
                if report.nfe_per_step and (curve := getattr(report, kind)) is not None
            ]
            for title, kind in kinds.items()
        }
    )

"""What lets a sampler pass: no finding that is severe enough and not known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proofs_checks.audit.findings import Finding, Severity
from proofs_checks.audit.known import KnownFindings
from proofs_checks.audit.report import Report


@dataclass(frozen=True)
class Verdict:
    """What the findings of one sampler come to.

    Parameters
    ----------
    report : all that was found.
    failing : findings that are severe enough and not known.
    known : as severe, and known.
    missing : known before, and not found this time.
    """

    report: Report
    failing: tuple[Finding, ...]
    known: tuple[Finding, ...] = ()
    missing: tuple[Finding, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether nothing fails."""
        return not self.failing


def judge(
    report: Report, fail_on: Severity, known_findings: KnownFindings | None = None
) -> Verdict:
    """What fails in a report, is known, or is missing.

    Of a sampler that does not run nothing else is told, so that nothing is missing. Neither is what a
    skipped check had found.
    """
    severe = report.above(fail_on)
    if known_findings is None:
        return Verdict(report, severe)
    new, left = known_findings.compare(report.target, report.findings)
    failing = tuple(finding for finding in severe if finding in new)
    known = tuple(finding for finding in severe if finding not in new)
    told = not any(finding.id == "runs" for finding in new)
    missing = tuple(finding for finding in left if told and finding.id not in report.skipped)
    return Verdict(report, failing, known, missing)


def listed(verdicts: Sequence[Verdict]) -> str:
    """What known findings change, in lines for a terminal."""
    lines = []
    for verdict in verdicts:
        parts = {
            "new": verdict.failing,
            "known": verdict.known,
            "known, but not found this time": verdict.missing,
        }
        told = "; ".join(
            f"{what}: {', '.join(finding.id for finding in findings)}"
            for what, findings in parts.items()
            if findings
        )
        lines.append(f"{verdict.report.target}: {told or 'nothing new'}\n")
    return "".join(lines)

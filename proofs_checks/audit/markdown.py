"""The audit as Markdown for a pull request: a table, and each sampler's findings folded away."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Sequence

from proofs_checks.audit.findings import Finding, Severity
from proofs_checks.audit.gate import Verdict
from proofs_checks.audit.report import summary

_MARKUP = re.compile(r"[\\`*_\[\]$~@|]|:(?=//)")


def verbatim(text: str) -> str:
    """A text as code on one line, whatever it holds: nothing in it is markup, a link or a mention."""
    escaped = html.escape(" ".join(text.split()), quote=False)
    return f"<code>{_MARKUP.sub(lambda found: f'&#{ord(found[0])};', escaped)}</code>"


def markdown(verdicts: Sequence[Verdict]) -> str:
    """A table of the samplers, with what was measured and what fails, and their findings below."""
    failing = sum(not verdict.passes for verdict in verdicts)
    title = f"{failing} of {len(verdicts)} fail" if failing else "all pass"
    rows = [
        f"| {verbatim(verdict.report.target)} | {verbatim(summary(verdict.report))} | {_count(verdict)} |"
        for verdict in verdicts
    ]
    head = [f"### Samplers: {title}", "", "| sampler | measured | findings |", "|---|---|---|"]
    return "\n".join([*head, *rows, "", *filter(None, map(_details, verdicts))]).rstrip() + "\n"


def _count(verdict: Verdict) -> str:
    """As: fails: 1 error, 2 warnings; 1 known."""
    counts = Counter(finding.severity for finding in verdict.report.findings)
    told = [_plural(counts[level], level) for level in reversed(Severity) if counts[level]]
    text = ("" if verdict.passes else "**fails**: ") + (", ".join(told) or "none")
    known, missing = len(verdict.known), len(verdict.missing)
    text += f"; {known} known" if known else ""
    text += f"; {missing} known, not found this time" if missing else ""
    skipped = len(verdict.report.skipped)
    return text + (f"; {_plural(skipped, 'check')} skipped" if skipped else "")


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _details(verdict: Verdict) -> str:
    """A block of HTML: without an empty line in it nothing is read as Markdown."""
    lines = [_line(finding, _remark(finding, verdict)) for finding in verdict.report.findings]
    lines += [_line(finding, ", known, not found this time") for finding in verdict.missing]
    if not lines:
        return ""
    title = f"<summary>Findings: {verbatim(verdict.report.target)}</summary>"
    return "\n".join(["<details>", title, "<ul>", *lines, "</ul>", "</details>", ""])


def _remark(finding: Finding, verdict: Verdict) -> str:
    return ", known" if finding in verdict.known else ""


def _line(finding: Finding, remark: str) -> str:
    return (
        f"<li><b>{finding.severity}</b> {verbatim(finding.id)}{remark}: {verbatim(finding.found)}; "
        f"expected {verbatim(finding.expected)}</li>"
    )

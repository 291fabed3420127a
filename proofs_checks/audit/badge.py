"""A badge: a small SVG picture that says whether the samplers pass, and with which orders."""

from __future__ import annotations

import html
from collections.abc import Sequence
from string import Template

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.findings import Severity
from proofs_checks.audit.gate import Verdict

_LABEL = "seeds-audit"
_GREEN, _RED = "#2e7d32", "#c62828"
_CHARACTER, _MARGIN = 6.6, 6.0  # pixels; textLength makes any font fit them

_PICTURE = Template(
    """\
<svg xmlns="http://www.w3.org/2000/svg" width="$width" height="20" role="img" aria-label="$label: $message">
<title>$label: $message</title>
<rect width="$width" height="20" rx="3" fill="#555"/>
<path d="M$split 0h$inner a3 3 0 0 1 3 3v14a3 3 0 0 1 -3 3h-$inner z" fill="$colour"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">
<text x="$margin" y="14" textLength="$label_length">$label</text>
<text x="$message_start" y="14" textLength="$message_length">$message</text>
</g>
</svg>
"""
)


def badge(
    verdicts: Sequence[Verdict], fail_on: Severity, expectation: Expectation | None = None
) -> str:
    """The picture: green with what was expected if all pass, red with the number of findings if not."""
    passes = all(verdict.passes for verdict in verdicts)
    message = message_of(verdicts, fail_on, expectation)
    label_length, message_length = (_CHARACTER * len(text) for text in (_LABEL, message))
    split = label_length + 2 * _MARGIN
    width = split + message_length + 2 * _MARGIN
    numbers = {
        "width": width,
        "split": split,
        "inner": width - split - 3,
        "margin": _MARGIN,
        "label_length": label_length,
        "message_start": split + _MARGIN,
        "message_length": message_length,
    }
    return _PICTURE.substitute(
        {name: f"{number:.1f}" for name, number in numbers.items()},
        label=_LABEL,
        message=html.escape(message),
        colour=_GREEN if passes else _RED,
    )


def message_of(
    verdicts: Sequence[Verdict], fail_on: Severity, expectation: Expectation | None
) -> str:
    """What the badge says, as "weak 2, strong 1": no more than was decided."""
    failing = sum(len(verdict.failing) for verdict in verdicts)
    if failing:
        return f"{failing} finding{'s' * (failing != 1)}"
    known = sum(len(verdict.known) for verdict in verdicts)
    if known:  # one of them may be of an order
        return f"no new {fail_on}, {known} known"
    said = expectation.said if expectation else {}
    orders = [f"{name} {order:g}" for name, order in said.items() if not isinstance(order, bool)]
    return ", ".join(orders) or f"no {fail_on}"

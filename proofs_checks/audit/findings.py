"""A finding: one thing about a sampler that is not as expected."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from proofs_checks.audit.expectation import Expectation


def finite(value: float | None) -> float | None:
    """The value, or None if it is none that JSON can hold."""
    return value if value is not None and math.isfinite(value) else None


_FIGURE = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def without_figures(text: str) -> str:
    """A text with # for each number: what differs in figures only is of one kind."""
    return _FIGURE.sub("#", text)


def figures(text: str) -> list[float]:
    """The numbers in a text."""
    return [float(figure) for figure in _FIGURE.findall(text)]


class Severity(StrEnum):
    """How bad: a note is a fact to know, a warning may hurt, an error gives wrong samples or none."""

    note = "note"
    warning = "warning"
    error = "error"

    @property
    def rank(self) -> int:
        """0, 1, 2."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as expected.

    id : the name of the check that found it. figure : the number in question, if there is one.
    """

    id: str
    severity: Severity
    expected: str
    found: str
    figure: float | None = None

    def reproduction(self, target: str, expectation: Expectation) -> str:
        """Two lines of Python that show it, of a target by name and with what was expected of it."""
        names, more = "check", ""
        if expectation.said:
            names, more = "Expectation, check", f", expect={expectation!r}"
        return (
            f"from proofs_checks.audit import {names}\n"
            f'print(*check({target!r}, {self.id!r}{more}), sep="\\n")'
        )

    def __str__(self) -> str:
        return f"{self.severity} {self.id}: {self.found}; expected {self.expected}"

    def to_json(self) -> dict[str, Any]:
        """The record that `seeds-audit --json` writes."""
        return {
            "id": self.id,
            "severity": self.severity.value,
            "expected": self.expected,
            "found": self.found,
            "figure": finite(self.figure),
        }

"""Findings that are known: a record of the audit from before, against which new ones are told apart."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from proofs_checks.audit.findings import Finding, Severity, figures, finite, without_figures
from proofs_checks.audit.names import require_check_names
from seeds_theory.errors import ParameterError, SeedsError

SHARE = 0.1
"""A figure that moves by more than this share of itself makes a known finding a new one."""


def is_known(finding: Finding, known: Finding) -> bool:
    """Whether a finding is one that is known.

    It is of the same check, no worse, expects the same, and its figure is the same to a tenth. Without a
    figure it reads the same but for numbers, such as that of a line.
    """
    return (
        finding.id == known.id
        and finding.severity.rank <= known.severity.rank
        and without_figures(finding.expected) == without_figures(known.expected)
        and all(map(_close, figures(finding.expected), figures(known.expected)))
        and _same(finding, known)
    )


def _same(finding: Finding, known: Finding) -> bool:
    figure, before = finite(finding.figure), finite(known.figure)  # as a record keeps them
    if figure is not None and before is not None:
        return _close(figure, before)
    return figure is before and without_figures(finding.found) == without_figures(known.found)


def _close(figure: float, known: float) -> bool:
    return abs(figure - known) <= SHARE * abs(known) < math.inf


@dataclass(frozen=True)
class KnownFindings:
    """The findings that are known of each target.

    Parameters
    ----------
    findings : by the target's name.
    """

    findings: Mapping[str, tuple[Finding, ...]]

    @classmethod
    def read(cls, path: Path) -> KnownFindings:
        """From a file that ``seeds-audit --json`` wrote; of each sampler, its name and findings count.

        Raises
        ------
        ParameterError : it is no such file, or has a target twice.
        """
        try:
            records = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
            known = [(_text(record["target"]), _findings(record)) for record in _list(records)]
        except KeyError as error:
            raise _malformed(path, f"no {error}") from None
        except (TypeError, ValueError, RecursionError) as error:
            raise _malformed(path, str(error)) from None
        findings = dict(known)
        if len(findings) < len(known):
            raise _malformed(path, "a target twice")
        return cls(findings)

    def compare(
        self, target: str, findings: tuple[Finding, ...]
    ) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
        """The findings of a target that are new, and the known ones that are not among them."""
        left, new = list(self.findings.get(target, ())), []
        for finding in findings:
            match = next((known for known in left if is_known(finding, known)), None)
            if match is None:
                new.append(finding)
            else:
                left.remove(match)
        return tuple(new), tuple(left)


def _malformed(path: Path, why: str) -> ParameterError:
    line = " ".join(why.split())[:200]
    return ParameterError(
        f"{path} is no record of known findings ({line}): write one with seeds-audit --json"
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _list(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise TypeError("a list of objects is expected")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is expected in place of {str(value)[:40]!r}")
    return value


def _findings(record: dict[str, Any]) -> tuple[Finding, ...]:
    return tuple(_finding(entry) for entry in _list(record["findings"]))


def _finding(entry: dict[str, Any]) -> Finding:
    figure = entry["figure"]
    if figure is not None and (isinstance(figure, bool) or not isinstance(figure, int | float)):
        raise TypeError(f"a figure is a number; got {str(figure)[:40]!r}")
    try:
        require_check_names([_text(entry["id"])])
    except SeedsError as error:
        raise ValueError(str(error).partition(";")[0]) from None
    return Finding(
        entry["id"],
        Severity(_text(entry["severity"])),
        _text(entry["expected"]),
        _text(entry["found"]),
        figure,
    )

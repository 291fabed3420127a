"""One way to look at a sampler under audit, with its measurements kept between the tests."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from proofs_checks.audit.checks import run_check
from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.findings import Finding
from proofs_checks.audit.measure import STEPS, Measurement
from proofs_checks.audit.protocol import Target
from proofs_checks.audit.subject import Subject

Findings = Callable[..., list[Finding]]


@functools.cache
def _subject(
    sampler: Callable, expect: str, options: frozenset[tuple[str, Any]], steps: tuple[int, ...]
) -> Subject:
    expectation = Expectation.parse(expect) if expect else Expectation()
    subject = Subject(Target("sampler", sampler, dict(options)), expectation)
    subject.measurement = Measurement(subject.target, steps)
    return subject


@pytest.fixture(scope="session")
def findings_of() -> Findings:
    """findings_of(sampler, check, expect, **options): what one check finds; a failure is a finding.

    The audit's finest grid takes three quarters of its time and decides little: it is left out.
    """

    def findings(
        sampler: Callable,
        check: str,
        expect: str = "",
        *,
        steps: tuple[int, ...] = STEPS[:-1],
        **options: Any,
    ) -> list[Finding]:
        subject = _subject(sampler, expect, frozenset(options.items()), steps)
        subject.failures.clear()
        return run_check(subject, check)

    return findings

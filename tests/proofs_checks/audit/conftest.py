"""One way to look at a sampler under audit, with its measurements kept between the tests."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from proofs_checks.audit import correlations, triangular
from proofs_checks.audit import subject as subjects
from proofs_checks.audit.checks import run_check
from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.findings import Finding
from proofs_checks.audit.protocol import Target
from proofs_checks.audit.subject import Subject

Findings = Callable[..., list[Finding]]


@functools.cache
def _subject(sampler: Callable, options: frozenset[tuple[str, Any]]) -> Subject:
    return Subject(Target("sampler", sampler, dict(options)))


@pytest.fixture(scope="session")
def findings_of() -> Findings:
    """findings_of(sampler, check, expect, **options): what one check finds; a failure is a finding."""

    def findings(sampler: Callable, check: str, expect: str = "", **options: Any) -> list[Finding]:
        subject = _subject(sampler, frozenset(options.items()))
        subject.expectation = Expectation.parse(expect) if expect else Expectation()
        subject.failures.clear()
        subject.batch_dependent = None
        return run_check(subject, check)

    return findings


@pytest.fixture
def fewer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole audits that are quicker, for tests of what is made of their findings."""
    monkeypatch.setattr(subjects, "TRIANGULAR_STEPS", triangular.STEPS[:-1])
    monkeypatch.setattr(correlations, "RUNS", 16)

"""The sampler under audit, with what has been measured of it and what is expected."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from proofs_checks.audit.curved import CurvedStudy, curved_study
from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.findings import Finding, Severity
from proofs_checks.audit.measure import COSTLY_STEPS, Measurement
from proofs_checks.audit.protocol import Target


@dataclass
class Subject:
    """A target, its measurement, and the check that is at work."""

    target: Target
    expectation: Expectation = field(default_factory=Expectation)
    check: str = ""
    failures: list[str] = field(default_factory=list)

    @cached_property
    def measurement(self) -> Measurement:
        """What the sampler does on Gaussian data."""
        if self.target.costly:
            return Measurement(self.target, COSTLY_STEPS)
        return Measurement(self.target)

    @cached_property
    def curved(self) -> CurvedStudy | None:
        """What it does on a mixture."""
        return curved_study(self.target)

    @property
    def expected_weak(self) -> float | None:
        """The order expected of the law: what the user says, or what the sampler declares."""
        declared = self.target.declared
        if self.measurement.deterministic:
            said = self.expectation.ode or self.expectation.weak
            return said or (declared.ode if declared else None)
        return self.expectation.weak or (declared.weak if declared else None)

    @property
    def expected_strong(self) -> float | None:
        """The strong order expected."""
        declared = self.target.declared
        return self.expectation.strong or (declared.strong if declared else None)

    @property
    def grave(self) -> Severity:
        """How bad it is that an order cannot be told: an error where the user expects one."""
        expected = self.expectation != Expectation()
        return Severity.error if expected else Severity.warning

    def finding(
        self, severity: Severity, expected: str, found: str, figure: float | None = None
    ) -> Finding:
        """A finding of the check at work."""
        return Finding(self.check, severity, expected, found, figure)

"""EDM2's own code: with and without churn."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

ENTRIES: tuple[Entry, ...] = (
    Entry("edm2:edm_sampler", Expectation(ode=2)),
    Entry("edm2:edm_sampler?S_churn=10"),
)

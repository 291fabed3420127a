"""The samplers of consistency models' code."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

ENTRIES: tuple[Entry, ...] = (
    Entry("consistency:euler", Expectation(ode=1)),
    Entry("consistency:heun", Expectation(ode=2)),
    Entry("consistency:heun?s_churn=10"),
    Entry("consistency:dpm", Expectation(ode=2)),
    Entry("consistency:dpm?s_churn=10"),
    Entry("consistency:ancestral", Expectation(weak=1)),
    Entry("consistency:progdist", Expectation(ode=1)),
    Entry("consistency:midpoint_ancestral"),
)

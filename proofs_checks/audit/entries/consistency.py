"""The samplers of consistency models' code."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode, sde

ENTRIES: tuple[Entry, ...] = (
    Entry("consistency:euler", ode(1)),
    Entry("consistency:heun", ode(2)),
    Entry("consistency:heun?s_churn=10"),
    Entry("consistency:dpm", ode(2)),
    Entry("consistency:dpm?s_churn=10"),
    Entry("consistency:ancestral", sde(1)),
    Entry("consistency:progdist", ode(1)),
    Entry("consistency:midpoint_ancestral"),
)

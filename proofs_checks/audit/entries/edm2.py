"""EDM2's own code: with and without churn."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode

ENTRIES: tuple[Entry, ...] = (
    Entry("edm2:edm_sampler", ode(2)),
    Entry("edm2:edm_sampler?S_churn=10"),
)

"""EDM's own code: with and without churn, and the samplers of its ablation."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

ENTRIES: tuple[Entry, ...] = (
    Entry("edm:edm_sampler", Expectation(ode=2)),
    Entry("edm:edm_sampler?S_churn=10"),
    Entry("edm:ablation_sampler?solver=euler", Expectation(ode=1)),
    Entry("edm:ablation_sampler?solver=euler&schedule=vp&scaling=vp", Expectation(ode=1)),
    Entry("edm:ablation_sampler?solver=euler&schedule=ve", Expectation(ode=1)),
    Entry("edm:ablation_sampler?schedule=vp&scaling=vp", Expectation(ode=2)),
    Entry("edm:ablation_sampler?schedule=ve", Expectation(ode=2)),
    Entry("edm:ablation_sampler?alpha=0.5", Expectation(ode=2)),
    Entry("edm:ablation_sampler?schedule=ve&alpha=0.5", Expectation(ode=2)),
)

"""EDM's own code: with and without churn, and the samplers of its ablation."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode

ENTRIES: tuple[Entry, ...] = (
    Entry("edm:edm_sampler", ode(2)),
    Entry("edm:edm_sampler?S_churn=10"),
    Entry("edm:ablation_sampler?solver=euler", ode(1)),
    Entry("edm:ablation_sampler?solver=euler&schedule=vp&scaling=vp", ode(1)),
    Entry("edm:ablation_sampler?solver=euler&schedule=ve", ode(1)),
    Entry("edm:ablation_sampler?schedule=vp&scaling=vp", ode(2)),
    Entry("edm:ablation_sampler?schedule=ve", ode(2)),
    Entry("edm:ablation_sampler?alpha=0.5", ode(2)),
    Entry("edm:ablation_sampler?schedule=ve&alpha=0.5", ode(2)),
)

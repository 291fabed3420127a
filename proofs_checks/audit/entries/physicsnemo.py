"""PhysicsNeMo's solvers, each on schedulers that change it, and its two functions."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode

NEW, OLD = "physicsnemo:", "physicsnemo:deterministic_sampler"
CHURN = "S_churn=10"

ENTRIES: tuple[Entry, ...] = (
    Entry(f"{NEW}euler", ode(1)),
    Entry(f"{NEW}euler?scheduler=vp", ode(1)),
    Entry(f"{NEW}heun", ode(2)),
    Entry(f"{NEW}heun?alpha=0.5", ode(2)),
    Entry(f"{NEW}heun?scheduler=ve", ode(2)),
    Entry(f"{NEW}heun?scheduler=vp", ode(2)),
    *(
        Entry(f"{NEW}edm_stochastic_{name}?{CHURN}&scheduler={scheduler}")
        for name in ("euler", "heun")
        for scheduler in ("edm", "ve", "vp")
    ),
    Entry(OLD, ode(2)),
    Entry(f"{OLD}?solver=euler", ode(1)),
    Entry(f"{OLD}?alpha=0.5", ode(2)),
    Entry(f"{OLD}?schedule=ve", ode(2)),
    Entry(f"{OLD}?schedule=vp&scaling=vp", ode(2)),
    Entry(f"{OLD}?{CHURN}"),
    Entry(f"{NEW}stochastic_sampler", ode(2)),
    Entry(f"{NEW}stochastic_sampler?{CHURN}"),
)

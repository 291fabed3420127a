"""PhysicsNeMo's solvers, each on schedulers that change it, and its two functions."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

NEW, OLD = "physicsnemo:", "physicsnemo:deterministic_sampler"
CHURN = "S_churn=10"

ENTRIES: tuple[Entry, ...] = (
    Entry(f"{NEW}euler", Expectation(ode=1)),
    Entry(f"{NEW}euler?scheduler=vp", Expectation(ode=1)),
    Entry(f"{NEW}heun", Expectation(ode=2)),
    Entry(f"{NEW}heun?alpha=0.5", Expectation(ode=2)),
    Entry(f"{NEW}heun?scheduler=ve", Expectation(ode=2)),
    Entry(f"{NEW}heun?scheduler=vp", Expectation(ode=2)),
    *(
        Entry(f"{NEW}edm_stochastic_{name}?{CHURN}&scheduler={scheduler}")
        for name in ("euler", "heun")
        for scheduler in ("edm", "ve", "vp")
    ),
    Entry(OLD, Expectation(ode=2)),
    Entry(f"{OLD}?solver=euler", Expectation(ode=1)),
    Entry(f"{OLD}?alpha=0.5", Expectation(ode=2)),
    Entry(f"{OLD}?schedule=ve", Expectation(ode=2)),
    Entry(f"{OLD}?schedule=vp&scaling=vp", Expectation(ode=2)),
    Entry(f"{OLD}?{CHURN}"),
    Entry(f"{NEW}stochastic_sampler", Expectation(ode=2)),
    Entry(f"{NEW}stochastic_sampler?{CHURN}"),
)

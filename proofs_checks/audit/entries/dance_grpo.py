"""DanceGRPO's steps: of a flow with noise and without, and DDIM."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode, sde

ENTRIES: tuple[Entry, ...] = (
    Entry("dance_grpo:flux_step", sde(1)),
    Entry("dance_grpo:flux_step?grpo=False&sde_solver=False", ode(1)),
    Entry("dance_grpo:ddim_step_with_logprob", ode(1)),
    Entry("dance_grpo:ddim_step_with_logprob?eta=1.0", sde(1)),
)

DENSITIES: tuple[str, ...] = (
    "dance_grpo:flux_step",
    "dance_grpo:ddim_step_with_logprob?eta=1.0",
)

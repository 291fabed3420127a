"""flow_grpo's step, and the same without noise."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode, sde

ENTRIES: tuple[Entry, ...] = (
    Entry("flow_grpo:sde_step_with_logprob", sde(1)),
    Entry("flow_grpo:sde_step_with_logprob?noise_level=0.0", ode(1)),
)

DENSITIES: tuple[str, ...] = ("flow_grpo:sde_step_with_logprob",)

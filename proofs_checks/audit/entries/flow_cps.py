"""FlowCPS's step, of which more steps are more noise, and the same without noise."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode

ENTRIES: tuple[Entry, ...] = (
    Entry("flow_cps:sde_step_with_logprob"),
    Entry("flow_cps:sde_step_with_logprob?noise_level=0.0", ode(1)),
)

DENSITIES: tuple[str, ...] = ("flow_cps:sde_step_with_logprob",)

"""flow_grpo's step, and the same without noise."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

ENTRIES: tuple[Entry, ...] = (
    Entry("flow_grpo:sde_step_with_logprob", Expectation(weak=1)),
    Entry("flow_grpo:sde_step_with_logprob?noise_level=0.0", Expectation(ode=1)),
)

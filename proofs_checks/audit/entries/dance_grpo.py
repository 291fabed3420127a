"""DanceGRPO's steps: of a flow with noise and without, and DDIM."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

ENTRIES: tuple[Entry, ...] = (
    Entry("dance_grpo:flux_step", Expectation(weak=1)),
    Entry("dance_grpo:flux_step?grpo=False&sde_solver=False", Expectation(ode=1)),
    Entry("dance_grpo:ddim_step_with_logprob", Expectation(ode=1)),
    Entry("dance_grpo:ddim_step_with_logprob?eta=1.0", Expectation(weak=1)),
)

"""DDIM's own code, and DDPM's steps in it."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

ENTRIES: tuple[Entry, ...] = (
    Entry("ddim:generalized_steps", Expectation(ode=1)),
    Entry("ddim:generalized_steps?eta=1", Expectation(weak=1)),
    Entry("ddim:ddpm_steps", Expectation(weak=1)),
)

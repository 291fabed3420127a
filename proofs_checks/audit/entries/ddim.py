"""DDIM's own code, and DDPM's steps in it."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode, sde

ENTRIES: tuple[Entry, ...] = (
    Entry("ddim:generalized_steps", ode(1)),
    Entry("ddim:generalized_steps?eta=1", sde(1)),
    Entry("ddim:ddpm_steps", sde(1)),
)

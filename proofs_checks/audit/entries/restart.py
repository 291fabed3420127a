"""Restart's own code: without a restart, with one, and with several."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode

ENTRIES: tuple[Entry, ...] = (
    Entry("restart:restart_sampler", ode(2)),
    Entry("restart:restart_sampler?restart=(0.1,1.0)"),
    Entry("restart:restart_sampler?restart=(0.1,1.0)&repeats=3"),
)

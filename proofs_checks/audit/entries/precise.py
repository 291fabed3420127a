"""The steps of Precise: its own at the level of its paper, and those that it compares with, at theirs."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, sde

ENTRIES: tuple[Entry, ...] = (
    Entry("precise:precise?noise_level=1.5", sde(1)),
    Entry("precise:dance_precise?noise_level=0.3", sde(1)),
    Entry("precise:cps?noise_level=0.7"),
    Entry("precise:flow_grpo?noise_level=0.7", sde(1)),
    Entry("precise:dance_grpo?noise_level=0.3", sde(1)),
)

DENSITIES: tuple[str, ...] = tuple(entry.target for entry in ENTRIES)

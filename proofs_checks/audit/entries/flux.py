"""Flux's loop."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode

ENTRIES: tuple[Entry, ...] = (Entry("flux:denoise", ode(1)),)

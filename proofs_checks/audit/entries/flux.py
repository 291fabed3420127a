"""Flux's loop."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

ENTRIES: tuple[Entry, ...] = (Entry("flux:denoise", Expectation(ode=1)),)

"""HunyuanVideo's scheduler."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode

ENTRIES: tuple[Entry, ...] = (Entry("hunyuan:FlowMatchDiscreteScheduler", ode(1)),)

"""HunyuanVideo's scheduler."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

ENTRIES: tuple[Entry, ...] = (Entry("hunyuan:FlowMatchDiscreteScheduler", Expectation(ode=1)),)

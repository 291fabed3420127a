"""ER-SDE-Solver's own code: each method, with noise scales of its own, of the SDE and of the ODE."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

ENTRIES: tuple[Entry, ...] = (
    Entry("ersde:ve_1_order", Expectation(weak=1)),
    Entry("ersde:ve_1_order?func_type=1", Expectation(ode=1)),
    Entry("ersde:ve_1_order?func_type=2", Expectation(weak=1)),
    Entry("ersde:ve_2_order_taylor", Expectation(weak=2)),
    Entry("ersde:ve_3_order_taylor", Expectation(weak=2)),
    Entry("ersde:ve_3_order_taylor?func_type=1", Expectation(ode=3)),
    Entry("ersde:ve_3_order_taylor?func_type=2", Expectation(weak=2)),
    Entry("ersde:vp_1_order", Expectation(weak=1)),
    Entry("ersde:vp_2_order_taylor", Expectation(weak=2)),
    Entry("ersde:vp_3_order_taylor", Expectation(weak=2)),
)

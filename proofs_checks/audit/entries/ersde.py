"""ER-SDE-Solver's own code: each method, with noise scales of its own, of the SDE and of the ODE."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode, sde

ENTRIES: tuple[Entry, ...] = (
    Entry("ersde:ve_1_order", sde(1)),
    Entry("ersde:ve_1_order?func_type=1", ode(1)),
    Entry("ersde:ve_1_order?func_type=2", sde(1)),
    Entry("ersde:ve_2_order_taylor", sde(2)),
    Entry("ersde:ve_3_order_taylor", sde(2)),
    Entry("ersde:ve_3_order_taylor?func_type=1", ode(3)),
    Entry("ersde:ve_3_order_taylor?func_type=2", sde(2)),
    Entry("ersde:vp_1_order", sde(1)),
    Entry("ersde:vp_2_order_taylor", sde(2)),
    Entry("ersde:vp_3_order_taylor", sde(2)),
)

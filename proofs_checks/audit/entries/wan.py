"""Wan 2.1's two schedulers, at each order and in each mode."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

DPM, UNIPC = "wan:FlowDPMSolverMultistepScheduler", "wan:FlowUniPCMultistepScheduler"

ENTRIES: tuple[Entry, ...] = (
    *(Entry(f"{DPM}?solver_order={k}", Expectation(ode=k)) for k in (1, 2, 3)),
    Entry(f"{DPM}?solver_order=2&solver_type=heun", Expectation(ode=2)),
    Entry(f"{DPM}?solver_order=2&algorithm_type=dpmsolver", Expectation(ode=2)),
    *(
        Entry(f"{DPM}?solver_order={k}&algorithm_type=sde-dpmsolver++", Expectation(weak=min(k, 2)))
        for k in (1, 2, 3)
    ),
    Entry(
        f"{DPM}?solver_order=2&algorithm_type=sde-dpmsolver++&solver_type=heun", Expectation(weak=2)
    ),
    Entry(f"{DPM}?solver_order=2&algorithm_type=sde-dpmsolver", Expectation(weak=2)),
    *(Entry(f"{UNIPC}?solver_order={k}", Expectation(ode=k)) for k in (1, 2, 3)),
    Entry(f"{UNIPC}?solver_order=2&solver_type=bh1", Expectation(ode=2)),
    Entry(f"{UNIPC}?solver_order=2&predict_x0=False", Expectation(ode=2)),
)

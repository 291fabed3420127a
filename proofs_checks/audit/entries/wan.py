"""Wan 2.1's two schedulers, at each order and in each mode."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode, sde

DPM, UNIPC = "wan:FlowDPMSolverMultistepScheduler", "wan:FlowUniPCMultistepScheduler"

ENTRIES: tuple[Entry, ...] = (
    *(Entry(f"{DPM}?solver_order={k}", ode(k)) for k in (1, 2, 3)),
    Entry(f"{DPM}?solver_order=2&solver_type=heun", ode(2)),
    Entry(f"{DPM}?solver_order=2&algorithm_type=dpmsolver", ode(2)),
    *(Entry(f"{DPM}?solver_order={k}&algorithm_type=sde-dpmsolver++", sde(k)) for k in (1, 2, 3)),
    Entry(f"{DPM}?solver_order=2&algorithm_type=sde-dpmsolver++&solver_type=heun", sde(2)),
    Entry(f"{DPM}?solver_order=2&algorithm_type=sde-dpmsolver", sde(2)),
    *(Entry(f"{UNIPC}?solver_order={k}", ode(k)) for k in (1, 2, 3)),
    Entry(f"{UNIPC}?solver_order=2&solver_type=bh1", ode(2)),
    Entry(f"{UNIPC}?solver_order=2&predict_x0=False", ode(2)),
)

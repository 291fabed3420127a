"""DPM-Solver's own code: each order of each method, of the ODE."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode

ENTRIES: tuple[Entry, ...] = (
    Entry("dpmsolver:multistep?order=1", ode(1)),
    Entry("dpmsolver:multistep?order=2", ode(2)),
    Entry("dpmsolver:multistep?order=3", ode(3)),
    Entry("dpmsolver:multistep?order=2&solver_type=taylor", ode(2)),
    Entry("dpmsolver:multistep?order=2&algorithm_type=dpmsolver", ode(2)),
    Entry("dpmsolver:multistep?order=3&algorithm_type=dpmsolver", ode(3)),
    Entry("dpmsolver:singlestep_fixed?order=2", ode(2)),
    Entry("dpmsolver:singlestep_fixed?order=3", ode(3)),
    Entry("dpmsolver:singlestep_fixed?order=2&solver_type=taylor", ode(2)),
    Entry("dpmsolver:singlestep_fixed?order=3&solver_type=taylor", ode(3)),
    Entry("dpmsolver:singlestep_fixed?order=2&algorithm_type=dpmsolver", ode(2)),
    Entry("dpmsolver:singlestep_fixed?order=3&algorithm_type=dpmsolver", ode(3)),
    Entry("dpmsolver:singlestep?order=2", ode(2)),
    Entry("dpmsolver:singlestep?order=3"),
    Entry("dpmsolver:adaptive?order=2"),
    Entry("dpmsolver:adaptive?order=3"),
)

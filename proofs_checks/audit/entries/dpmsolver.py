"""DPM-Solver's own code: each order of each method, of the ODE."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

ENTRIES: tuple[Entry, ...] = (
    Entry("dpmsolver:multistep?order=1", Expectation(ode=1)),
    Entry("dpmsolver:multistep?order=2", Expectation(ode=2)),
    Entry("dpmsolver:multistep?order=3", Expectation(ode=3)),
    Entry("dpmsolver:multistep?order=2&solver_type=taylor", Expectation(ode=2)),
    Entry("dpmsolver:multistep?order=2&algorithm_type=dpmsolver", Expectation(ode=2)),
    Entry("dpmsolver:multistep?order=3&algorithm_type=dpmsolver", Expectation(ode=3)),
    Entry("dpmsolver:singlestep_fixed?order=2", Expectation(ode=2)),
    Entry("dpmsolver:singlestep_fixed?order=3", Expectation(ode=3)),
    Entry("dpmsolver:singlestep_fixed?order=2&solver_type=taylor", Expectation(ode=2)),
    Entry("dpmsolver:singlestep_fixed?order=3&solver_type=taylor", Expectation(ode=3)),
    Entry("dpmsolver:singlestep_fixed?order=2&algorithm_type=dpmsolver", Expectation(ode=2)),
    Entry("dpmsolver:singlestep_fixed?order=3&algorithm_type=dpmsolver", Expectation(ode=3)),
    Entry("dpmsolver:singlestep?order=2", Expectation(ode=2)),
    Entry("dpmsolver:singlestep?order=3"),
    Entry("dpmsolver:adaptive?order=2"),
    Entry("dpmsolver:adaptive?order=3"),
)

"""deepinv's solvers on its diffusion processes."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

PROCESSES = ("edm", "ve", "vp", "flow")

ENTRIES: tuple[Entry, ...] = (
    *(Entry(f"deepinv:EulerSolver?sde={sde}", Expectation(weak=1)) for sde in PROCESSES),
    Entry("deepinv:EulerSolver?sde=flow&alpha=0.0", Expectation(ode=1)),
    *(Entry(f"deepinv:HeunSolver?sde={sde}", Expectation(weak=2)) for sde in PROCESSES),
    Entry("deepinv:HeunSolver?sde=flow&alpha=0.0", Expectation(ode=2)),
    Entry("deepinv:AncestralSolver", Expectation(weak=1)),
    Entry("deepinv:AncestralSolver?alpha=0.0", Expectation(ode=1)),
    Entry("deepinv:DDPMSolver", Expectation(weak=1)),
    Entry("deepinv:DDPMSolver?sde=vp&variance=large", Expectation(weak=1)),
    Entry("deepinv:DDIMSolver", Expectation(ode=1)),
    Entry("deepinv:DDIMSolver?eta=1.0", Expectation(weak=1)),
)

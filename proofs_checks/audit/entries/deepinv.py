"""deepinv's solvers on its diffusion processes."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode, sde

PROCESSES = ("edm", "ve", "vp", "flow")

ENTRIES: tuple[Entry, ...] = (
    *(Entry(f"deepinv:EulerSolver?sde={process}", sde(1)) for process in PROCESSES),
    Entry("deepinv:EulerSolver?sde=flow&alpha=0.0", ode(1)),
    *(Entry(f"deepinv:HeunSolver?sde={process}", sde(2)) for process in PROCESSES),
    Entry("deepinv:HeunSolver?sde=flow&alpha=0.0", ode(2)),
    Entry("deepinv:AncestralSolver", sde(1)),
    Entry("deepinv:AncestralSolver?alpha=0.0", ode(1)),
    Entry("deepinv:DDPMSolver", sde(1)),
    Entry("deepinv:DDPMSolver?sde=vp&variance=large", sde(1)),
    Entry("deepinv:DDIMSolver", ode(1)),
    Entry("deepinv:DDIMSolver?eta=1.0", sde(1)),
)

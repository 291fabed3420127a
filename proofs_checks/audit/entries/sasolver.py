"""SA-Solver's own code: of the ODE and of the SDE, in both modes."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode, sde

ENTRIES: tuple[Entry, ...] = (
    Entry("sasolver:few_steps?tau=0&predictor_order=1&corrector_order=0", ode(1)),
    Entry("sasolver:few_steps?tau=0&predictor_order=2&corrector_order=0"),
    Entry("sasolver:few_steps?tau=0&predictor_order=2&corrector_order=2"),
    Entry("sasolver:few_steps?tau=1&predictor_order=1&corrector_order=0", sde(1)),
    Entry("sasolver:few_steps?tau=1&predictor_order=2&corrector_order=2"),
    Entry("sasolver:few_steps?tau=1"),
    Entry("sasolver:more_steps?tau=0"),
    Entry("sasolver:more_steps?tau=1"),
    Entry("sasolver:more_steps?tau=1&predictor_order=2&corrector_order=2&pc_mode=PECE"),
    Entry(
        "sasolver:more_steps?tau=1&predictor_order=2&corrector_order=0&algorithm_type=noise_prediction"
    ),
)

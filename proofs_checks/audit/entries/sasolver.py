"""SA-Solver's own code: of the ODE and of the SDE, in both modes."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

ENTRIES: tuple[Entry, ...] = (
    Entry("sasolver:few_steps?tau=0&predictor_order=1&corrector_order=0", Expectation(ode=1)),
    Entry("sasolver:few_steps?tau=0&predictor_order=2&corrector_order=0"),
    Entry("sasolver:few_steps?tau=0&predictor_order=2&corrector_order=2"),
    Entry("sasolver:few_steps?tau=1&predictor_order=1&corrector_order=0", Expectation(weak=1)),
    Entry("sasolver:few_steps?tau=1&predictor_order=2&corrector_order=2"),
    Entry("sasolver:few_steps?tau=1"),
    Entry("sasolver:more_steps?tau=0"),
    Entry("sasolver:more_steps?tau=1"),
    Entry("sasolver:more_steps?tau=1&predictor_order=2&corrector_order=2&pc_mode=PECE"),
    Entry(
        "sasolver:more_steps?tau=1&predictor_order=2&corrector_order=0&algorithm_type=noise_prediction"
    ),
)

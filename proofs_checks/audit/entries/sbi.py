"""sbi's diffuser: the predictor alone, and with each corrector."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

ENTRIES: tuple[Entry, ...] = (
    Entry("sbi:euler_maruyama", Expectation(weak=1)),
    Entry("sbi:euler_maruyama?eta=0.5", Expectation(weak=1)),
    Entry("sbi:langevin"),
    Entry("sbi:gibbs"),
)

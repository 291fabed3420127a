"""sbi's diffuser: the predictor alone, and with each corrector."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, sde

ENTRIES: tuple[Entry, ...] = (
    Entry("sbi:euler_maruyama", sde(1)),
    Entry("sbi:euler_maruyama?eta=0.5", sde(1)),
    Entry("sbi:langevin"),
    Entry("sbi:gibbs"),
)

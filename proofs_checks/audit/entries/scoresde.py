"""score_sde: each predictor and corrector, of the VE and the VP SDE, and the ODE."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

ENTRIES: tuple[Entry, ...] = (
    Entry("scoresde:euler_maruyama", Expectation(weak=1)),
    Entry("scoresde:euler_maruyama?sde=vp", Expectation(weak=1)),
    Entry("scoresde:reverse_diffusion", Expectation(weak=1)),
    Entry("scoresde:reverse_diffusion?sde=vp", Expectation(weak=1)),
    Entry("scoresde:ancestral_sampling", Expectation(weak=1)),
    Entry("scoresde:ancestral_sampling?sde=vp", Expectation(weak=1)),
    Entry("scoresde:euler_maruyama?probability_flow=true", Expectation(ode=1)),
    Entry("scoresde:reverse_diffusion?probability_flow=true", Expectation(ode=1)),
    Entry("scoresde:reverse_diffusion?probability_flow=true&sde=vp", Expectation(ode=1)),
    Entry("scoresde:reverse_diffusion?corrector=langevin"),
    Entry("scoresde:reverse_diffusion?corrector=langevin&sde=vp"),
    Entry("scoresde:ancestral_sampling?corrector=langevin"),
    Entry("scoresde:reverse_diffusion?corrector=ald"),
    Entry("scoresde:ode"),
)

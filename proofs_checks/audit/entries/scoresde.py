"""score_sde: each predictor and corrector, of the VE and the VP SDE, and the ODE."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode, sde

ENTRIES: tuple[Entry, ...] = (
    Entry("scoresde:euler_maruyama", sde(1)),
    Entry("scoresde:euler_maruyama?sde=vp", sde(1)),
    Entry("scoresde:reverse_diffusion", sde(1)),
    Entry("scoresde:reverse_diffusion?sde=vp", sde(1)),
    Entry("scoresde:ancestral_sampling", sde(1)),
    Entry("scoresde:ancestral_sampling?sde=vp", sde(1)),
    Entry("scoresde:euler_maruyama?probability_flow=true", ode(1)),
    Entry("scoresde:reverse_diffusion?probability_flow=true", ode(1)),
    Entry("scoresde:reverse_diffusion?probability_flow=true&sde=vp", ode(1)),
    Entry("scoresde:reverse_diffusion?corrector=langevin"),
    Entry("scoresde:reverse_diffusion?corrector=langevin&sde=vp"),
    Entry("scoresde:ancestral_sampling?corrector=langevin"),
    Entry("scoresde:reverse_diffusion?corrector=ald"),
    Entry("scoresde:ode"),
)

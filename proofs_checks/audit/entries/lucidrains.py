"""denoising-diffusion-pytorch: each class and sampler."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode, sde

ENTRIES: tuple[Entry, ...] = (
    Entry("lucidrains:ddpm", sde(1)),
    Entry("lucidrains:ddpm?objective=pred_noise", sde(1)),
    Entry("lucidrains:ddim", ode(1)),
    Entry("lucidrains:ddim?eta=1", sde(1)),
    Entry("lucidrains:elucidated"),
    Entry("lucidrains:elucidated?S_churn=0", ode(2)),
    Entry("lucidrains:dpmpp", ode(2)),
    Entry("lucidrains:continuous", sde(1)),
    Entry("lucidrains:continuous?clip_sample_denoised=false", sde(1)),
    Entry("lucidrains:v_continuous", sde(1)),
)

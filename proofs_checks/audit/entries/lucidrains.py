"""denoising-diffusion-pytorch: each class and sampler."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

ENTRIES: tuple[Entry, ...] = (
    Entry("lucidrains:ddpm", Expectation(weak=1)),
    Entry("lucidrains:ddpm?objective=pred_noise", Expectation(weak=1)),
    Entry("lucidrains:ddim", Expectation(ode=1)),
    Entry("lucidrains:ddim?eta=1", Expectation(weak=1)),
    Entry("lucidrains:elucidated"),
    Entry("lucidrains:elucidated?S_churn=0", Expectation(ode=2)),
    Entry("lucidrains:dpmpp", Expectation(ode=2)),
    Entry("lucidrains:continuous", Expectation(weak=1)),
    Entry("lucidrains:continuous?clip_sample_denoised=false", Expectation(weak=1)),
    Entry("lucidrains:v_continuous", Expectation(weak=1)),
)

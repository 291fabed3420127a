"""Stability's sgm: the samplers of Stable Diffusion XL's own code."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode, sde

ENTRIES: tuple[Entry, ...] = (
    Entry("sgm:EulerEDMSampler", ode(1)),
    Entry("sgm:EulerEDMSampler?s_churn=10", None),
    Entry("sgm:HeunEDMSampler", ode(2)),
    Entry("sgm:HeunEDMSampler?s_churn=10", None),
    Entry("sgm:EulerAncestralSampler", sde(1)),
    Entry("sgm:EulerAncestralSampler?eta=0.5", sde(1)),
    Entry("sgm:DPMPP2SAncestralSampler", sde(2)),
    Entry("sgm:DPMPP2MSampler", ode(2)),
    *(Entry(f"sgm:LinearMultistepSampler?order={k}", ode(k)) for k in (1, 2, 3, 4)),
)

"""Stability's sgm: the samplers of Stable Diffusion XL's own code."""

from __future__ import annotations

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.survey import Entry

ENTRIES: tuple[Entry, ...] = (
    Entry("sgm:EulerEDMSampler", Expectation(ode=1)),
    Entry("sgm:EulerEDMSampler?s_churn=10", None),
    Entry("sgm:HeunEDMSampler", Expectation(ode=2)),
    Entry("sgm:HeunEDMSampler?s_churn=10", None),
    Entry("sgm:EulerAncestralSampler", Expectation(weak=1)),
    Entry("sgm:EulerAncestralSampler?eta=0.5", Expectation(weak=1)),
    Entry("sgm:DPMPP2SAncestralSampler", Expectation(weak=2)),
    Entry("sgm:DPMPP2MSampler", Expectation(ode=2)),
    *(Entry(f"sgm:LinearMultistepSampler?order={k}", Expectation(ode=k)) for k in (1, 2, 3, 4)),
)

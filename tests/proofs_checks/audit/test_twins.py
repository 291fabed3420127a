"""Samplers of other libraries with a fault put around them: it is found, and the sound twin has none.

Where a library is not there its tests are skipped; diffusers is always there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import pytest
import samplers as s
import torch
from torch import Tensor

from proofs_checks.audit import Severity
from proofs_checks.audit.checks import run_check
from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.subject import Subject
from proofs_checks.audit.targets import find_target
from seeds_theory.errors import LibraryError


def own_noise(change: Callable[[Tensor], Tensor]) -> Callable[[s.Sampler], s.Sampler]:
    """The normals that the sampler itself draws are changed."""
    drawn = torch.randn

    @s.fault
    def around(sound: s.Sampler, *args: Any, **keywords: Any) -> Tensor:
        with mock.patch("torch.randn", lambda *a, **k: change(drawn(*a, **k))):
            return sound(*args, **keywords)

    return around


def given_noise(change: Callable[[Tensor], Tensor]) -> Callable[[s.Sampler], s.Sampler]:
    """What the noise sampler answers is changed."""

    @s.fault
    def around(sound: s.Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
        given = keywords.pop("noise_sampler", None) or (lambda a, b: torch.randn_like(x))
        changed = lambda a, b: change(given(a, b))
        return sound(model, x, sigmas, noise_sampler=changed, **keywords)

    return around


def one_for_all_pixels(noise: Tensor) -> Tensor:
    return noise[..., :1, :1].expand_as(noise).contiguous()


def wider(noise: Tensor) -> Tensor:
    return 1.01 * noise


@dataclass(frozen=True)
class Twins:
    """A sound sampler, the fault, the finding that tells them apart."""

    target: str
    fault: Callable[[s.Sampler], s.Sampler]
    finding: str
    expect: str = ""
    severity: Severity = Severity.error


TWINS = [
    Twins("diffusers:EulerDiscreteScheduler", s.one_step_short, "last-level"),
    Twins("diffusers:EulerDiscreteScheduler", s.changes_states, "inputs"),
    Twins("diffusers:HeunDiscreteScheduler", s.told_the_next_level, "weak-order", "ode=2"),
    Twins("diffusers:DPMSolverMultistepScheduler", s.estimates_meet, "batch"),
    Twins(
        "diffusers:UniPCMultistepScheduler",
        s.half_levels,
        "weak-order",  # its errors end at 5e-6: they do not settle
        severity=Severity.warning,
    ),
    Twins("diffusers:DEISMultistepScheduler", s.clamped, "mixture", severity=Severity.warning),
    Twins("diffusers:KDPM2DiscreteScheduler", s.single_result, "runs", severity=Severity.warning),
    Twins(
        "diffusers:EulerAncestralDiscreteScheduler",
        own_noise(one_for_all_pixels),
        "correlated-noise",
    ),
    Twins("diffusers:EulerAncestralDiscreteScheduler", own_noise(wider), "limit"),
    Twins(
        "diffusers:DPMSolverMultistepScheduler?algorithm_type=sde-dpmsolver",
        own_noise(one_for_all_pixels),
        "correlated-noise",
    ),
    Twins("diffusers:DDIMScheduler?eta=1", own_noise(wider), "limit"),
    Twins("kdiffusion:euler_ancestral", given_noise(one_for_all_pixels), "correlated-noise"),
    Twins("kdiffusion:dpmpp_2m_sde", given_noise(wider), "limit"),
    Twins("kdiffusion:dpmpp_2m", s.told_the_next_level, "weak-order", "ode=2"),
    Twins("azula:DDIMSampler", s.returns_the_start, "limit"),
    Twins("comfyui:res_multistep", s.told_the_next_level, "weak-order", "ode=2"),
    Twins("comfyui:seeds_2", given_noise(wider), "limit"),
]


@pytest.mark.parametrize(
    "twins", TWINS, ids=lambda t: f"{t.target}-{t.finding}".replace(":", "-").replace("?", "-")
)
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the libraries
def test_a_fault_around_a_foreign_sampler_is_found(twins: Twins) -> None:
    try:
        sound = find_target(twins.target)
        broken = replace(sound, sampler=twins.fault(sound.sampler))
    except LibraryError as absent:
        pytest.skip(str(absent))
    expectation = Expectation.parse(twins.expect) if twins.expect else Expectation()
    found, of_sound = (
        [finding.severity for finding in run_check(Subject(target, expectation), twins.finding)]
        for target in (broken, sound)
    )
    assert twins.severity in found, found
    assert twins.severity not in of_sound

"""The audit of steps in a trainer's signature: this library's own, and what is said of others."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("diffusers")

from proofs_checks.audit import assert_density, trainer_step
from seeds_theory import ParameterError
from seeds_theory.diffusers import SEEDSScheduler
from seeds_theory.diffusers.policy_step import sde_step_with_logprob

FLOW: dict[str, Any] = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}


@pytest.mark.parametrize(
    "options",
    [{"method": "cps", "options": {"level": 0.7}}, {"method": "seeds-1", "eta": 0.5}],
    ids=str,
)
def test_the_librarys_own_step_has_the_density_of_its_draws(options: dict[str, Any]) -> None:
    scheduler = SEEDSScheduler(**FLOW, **options)
    assert_density(trainer_step(sde_step_with_logprob, scheduler, reduction="sum"), draws=512)
    assert not scheduler.levels  # it is a copy that is set


def test_a_trainers_signature_is_told_to_be_wrapped() -> None:
    with pytest.raises(ParameterError, match=r"got sde_step_with_logprob .*trainer_step of it"):
        assert_density(sde_step_with_logprob)  # type: ignore[arg-type]


def drawn_through(
    scheduler: Any,
    model_output: Tensor,
    timestep: Tensor,
    sample: Tensor,
    prev_sample: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    mean, d = sample - 0.1 * model_output, 0.5
    if prev_sample is None:
        prev_sample = mean + d * torch.randn_like(mean)
    squares = ((prev_sample - mean) / d) ** 2
    each = -squares / 2 - torch.tensor(d * (2 * torch.pi) ** 0.5).log()
    return prev_sample, each.flatten(1).sum(1)


def test_a_draw_that_is_differentiated_through_is_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"^drawn_through:\n.*runs through the draw"):
        assert_density(trainer_step(drawn_through), draws=512)

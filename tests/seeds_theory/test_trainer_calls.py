"""What a trainer's own loop does with a scheduler, beside or instead of what a pipeline does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")

from seeds_theory import ParameterError  # noqa: E402
from seeds_theory.diffusers import SEEDSScheduler  # noqa: E402
from seeds_theory.diffusers.policy_step import sde_step_with_logprob  # noqa: E402

FLOW: dict[str, Any] = {
    "use_flow_sigmas": True,
    "flow_shift": 3.0,
    "prediction_type": "flow_prediction",
}


def normals(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def velocity(x: Tensor, timesteps: Tensor) -> Tensor:
    return 0.8 * x + torch.sin(timesteps.to(x).reshape(-1, 1) / 300)


def scheduler_of(steps: int = 6, **options: Any) -> SEEDSScheduler:
    scheduler = SEEDSScheduler(**FLOW, **options)
    scheduler.set_timesteps(steps)
    return scheduler


# ---------------------------------------------------------------------------------- calls of `step`


def test_a_timestep_that_is_not_that_of_the_call_is_refused() -> None:
    scheduler = scheduler_of(method="seeds-1")
    x = normals(2, 4)
    x = scheduler.step(velocity(x, scheduler.timesteps[:1]), scheduler.timesteps[0], x).prev_sample
    for t in (scheduler.timesteps[3], float(scheduler.timesteps[0]), 12345.0):
        with pytest.raises(ParameterError, match=r"number 1, .*; got .*set_begin_index"):
            scheduler.step(x, t, x)
    scheduler.step(x, scheduler.timesteps[1], x)


@pytest.mark.parametrize(
    "rounded",
    [
        lambda t: t.clone(),
        float,
        int,
        lambda t: t.double(),
        lambda t: t.long(),
        lambda t: t.round(),
        lambda t: t.to(torch.bfloat16),
        lambda t: t.to(torch.float16),
        lambda t: t.expand(2),
    ],
)
def test_a_rounded_timestep_is_that_of_its_call(rounded: Any) -> None:
    scheduler = scheduler_of(7, method="seeds-1", eta=0.0)
    exact = scheduler_of(7, method="seeds-1", eta=0.0)
    x = y = normals(2, 4)
    for i, t in enumerate(scheduler.timesteps):
        output = velocity(x, t)
        x = scheduler.step(output, rounded(t) if i else t, x).prev_sample
        y = exact.step(output, exact.timesteps[i], y).prev_sample
    torch.testing.assert_close(x, y, rtol=0, atol=0)


def test_a_loop_of_both_kinds_of_step_takes_the_ode_where_eta_is_0() -> None:
    """An ODE but for a window, whose steps are taken one by one, as in MixGRPO."""
    etas = [0.0, 0.245, 0.245, 0.0, 0.0, 0.0]
    scheduler = scheduler_of(method="flow-sde", eta=etas)
    x = normals(3, 4)
    for i, t in enumerate(scheduler.timesteps):
        output = velocity(x, t)
        if etas[i]:
            x = sde_step_with_logprob(scheduler, output, t, x)[0]
            continue
        scheduler.set_begin_index(i)
        euler = x + (scheduler.sigmas[i + 1] - scheduler.sigmas[i]).double() * output
        x = scheduler.step(output, t, x).prev_sample
        torch.testing.assert_close(x, euler, rtol=1e-6, atol=1e-6)
    assert scheduler.step_index == len(etas)

"""The loop of a pipeline by hand, around a scheduler and a perfect network."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from seeds_theory.diffusers import SEEDSScheduler
from seeds_theory.prediction import prediction
from seeds_theory.schedule import flow_alpha, preserving_alpha
from toy_models import GaussianMixture

MIXTURE = GaussianMixture.scalar(weights=(0.4, 0.6), means=(-1, 1), deviations=(0.3, 0.2))
PREDICTS = {
    "epsilon": "noise",
    "sample": "data",
    "v_prediction": "v",
    "flow_prediction": "flow",
}
STABLE_DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0}


def normals(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


class Network:
    """What a perfect network returns for samples of a scheduler, at the level where it calls."""

    def __init__(self, scheduler: SEEDSScheduler) -> None:
        self.scheduler, self.calls = scheduler, 0

    def __call__(self, sample: Tensor, index: int) -> Tensor:
        self.calls += 1
        config, level = self.scheduler.config, self.scheduler.levels[index]
        alpha = (flow_alpha if config.use_flow_sigmas else preserving_alpha)(level)
        if math.isinf(level):
            sigma, estimate = 1.0, MIXTURE(sample.double(), math.inf)
        else:
            sigma, estimate = alpha * level, MIXTURE(sample.double() / alpha, level)
        skip, out = prediction(PREDICTS[config.prediction_type]).coefficients(alpha, sigma)
        return ((estimate - skip * sample.double()) / out).to(sample.dtype)


def run(
    scheduler: SEEDSScheduler,
    sample: Tensor,
    begin: int = 0,
    edit: Callable[[int, Tensor], Tensor] = lambda index, sample: sample,
    **of_step: Any,
) -> Tensor:
    """The loop of a pipeline, from that call on."""
    network = Network(scheduler)
    for index, t in enumerate(scheduler.timesteps[begin:], start=begin):
        sample = scheduler.scale_model_input(sample, t)
        output = network(sample, index)
        sample = edit(index, scheduler.step(output, t, sample, **of_step).prev_sample)
    assert network.calls == len(scheduler.timesteps) - begin
    return sample


def starts(scheduler: SEEDSScheduler) -> list[float]:
    """The levels at which steps start, and the end, where no step has calls of its own number."""
    return [*scheduler.levels[:-1][:: scheduler.order], scheduler.levels[-1]]

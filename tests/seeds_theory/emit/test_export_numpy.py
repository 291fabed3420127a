"""The exported function of numpy gives what `follow` gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from exported import CASES, GRIDS, VARIANTS, Run, curved, module


def denoiser(x: np.ndarray, sigma: float) -> np.ndarray:
    return curved(x, sigma, np)


@pytest.mark.parametrize(("name", "prediction"), VARIANTS)
def test_it_gives_what_follow_gives(name: str, prediction: str) -> None:
    sample = module(name, prediction, "numpy").sample
    for grid, eta in CASES:
        run = Run(name, prediction, grid, eta)
        assert run.error(sample(denoiser, run.x.numpy(), run.sigmas, run.per_step, eta)) < 1e-14


@pytest.mark.parametrize(("name", "prediction"), VARIANTS)
def test_states_keep_their_type(name: str, prediction: str) -> None:
    run = Run(name, prediction, GRIDS["even"], 1.0, torch.float32)
    sample = module(name, prediction, "numpy").sample
    assert run.error(sample(denoiser, run.x.numpy(), np.array(run.sigmas), run.per_step)) < 1e-6


def test_without_noise_no_normals_are_needed() -> None:
    run = Run("seeds-3", "data", GRIDS["uneven to zero"], 0.0)
    found = module("seeds-3", "data", "numpy").sample(
        denoiser, run.x.numpy(), run.sigmas, None, 0.0
    )
    assert run.error(found) < 1e-14


@pytest.mark.parametrize(
    "sigmas", [[1.0], [1.0, 1.0], [1.0, -1.0], [1.0, math.nan], [math.inf, 0.0]]
)
def test_grids_that_no_sampler_can_follow(sigmas: Any) -> None:
    with pytest.raises(ValueError, match="sigmas are two or more levels"):
        module("seeds-1", "data", "numpy").sample(denoiser, np.zeros(1), sigmas, None)

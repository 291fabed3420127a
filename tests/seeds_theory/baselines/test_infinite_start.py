"""Baselines from an infinite noise level: the first step is that of seeds-1, the rest is the finite run."""

import math

import pytest
import torch
from torch import Tensor

from seeds_theory.baselines import BASELINES
from seeds_theory.errors import GridError
from seeds_theory.loop import StepInfo, follow
from seeds_theory.plan import make_plan
from seeds_theory.sources import SeededNoise


def curved(x: Tensor, sigma: float) -> Tensor:
    return torch.tanh(x / (1 + sigma**2)) if sigma < math.inf else 0.1 * x


@pytest.mark.parametrize("tail", [[0.3], [0.3, 0.0], []], ids=["positive", "to zero", "one step"])
@pytest.mark.parametrize("name", BASELINES)
def test_a_run_from_infinity_is_a_step_of_seeds_1_and_a_run(name: str, tail: list[float]) -> None:
    baseline, grid = BASELINES[name], [math.inf, 5.0, *tail]
    noise = SeededNoise([1, 2])
    unit = noise.initial((3,), torch.float64)
    expected = follow(curved, unit, make_plan("seeds-1", grid[:2], eta=baseline.eta), noise)
    if tail:
        expected = baseline(curved, expected, grid[1:], noise)
    steps: list[StepInfo] = []
    found = baseline(curved, unit, grid, SeededNoise([1, 2]), callback=steps.append)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-14)
    assert (steps[0].index, steps[0].sigma, steps[0].sigma_next) == (0, math.inf, 5.0)
    assert torch.equal(steps[0].denoised, 0.1 * unit)
    assert baseline.nfe(grid) == 1 + (baseline.nfe(grid[1:]) if tail else 0)


def test_the_step_from_infinity_does_not_go_to_zero() -> None:
    with pytest.raises(GridError, match="needs a finite level between"):
        BASELINES["euler"](curved, torch.zeros(2, 3), [math.inf, 0.0])

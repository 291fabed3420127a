"""Baselines from an infinite noise level: the first step is that of seeds-1, the rest is the finite run."""

import math

import pytest
import torch
from torch import Tensor

from seeds_theory.baselines import BASELINES
from seeds_theory.loop import StepInfo, follow
from seeds_theory.plan import make_plan
from seeds_theory.sources import SeededNoise
from toy_models import Gaussian


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


@pytest.mark.parametrize("name", BASELINES)
def test_the_step_from_infinity_to_zero_is_the_estimate(name: str) -> None:
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    seen: list[StepInfo] = []
    found = BASELINES[name](curved, x, [math.inf, 0.0], callback=seen.append)
    assert torch.equal(found, 0.1 * x)
    assert [(step.index, step.sigma, step.sigma_next) for step in seen] == [(0, math.inf, 0.0)]
    assert BASELINES[name].nfe([math.inf, 0.0]) == 1


@pytest.mark.parametrize(
    "name", [name for name, baseline in BASELINES.items() if baseline.only_eta in (None, 0)]
)
def test_the_ode_goes_up_too_and_to_unit_noise(name: str) -> None:
    baseline = BASELINES[name]
    data = Gaussian(*torch.tensor([[0.5], [0.7]], dtype=torch.float64))
    x = 0.5 + torch.randn(4, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    errors = []
    # Of lms the first step's error and the others' have opposite signs, and are as large at 150 steps.
    for steps in (512, 1024) if name == "lms" else (128, 256):
        up = [0.1 * 200 ** (i / steps) for i in range(steps + 1)]
        found = baseline(data, x, up, eta=0.0)
        errors.append(float((found - 0.5 - (x - 0.5) * (400.7 / 0.71) ** 0.5).norm()))
    assert math.log2(errors[0] / errors[1]) > baseline.declared.ode - 0.1
    unit = baseline(data, x, [*up, math.inf], eta=0.0)
    assert torch.allclose(unit, (found - data(found, 20.0)) / 20.0, rtol=1e-12)

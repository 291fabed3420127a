"""SEEDS-AB: what its steps are, with noise and without, and what it remembers."""

import pytest
import torch

from seeds_theory.baselines import BASELINES
from seeds_theory.errors import ParameterError
from seeds_theory.grids import rho_grid
from seeds_theory.loop import StepInfo
from seeds_theory.solver import Solver
from seeds_theory.sources import SeededNoise
from toy_models.mixture import CURVED

GRID = rho_grid(20.0, 0.05, 8, to_zero=True)
SEEDS = range(16)


def run(name, eta, grid=GRID, x=None, **options):
    noise = SeededNoise(SEEDS)
    start = float(grid[0]) * SeededNoise(SEEDS).initial((1,), torch.float64) if x is None else x
    states: list[StepInfo] = []
    Solver(name, options)(CURVED, start, grid, noise, eta=eta, callback=states.append)
    return [state.x for state in states]


@pytest.mark.parametrize("eta", [0.3, 1.0, 2.0])
def test_with_noise_in_all_steps_it_is_seeds_1(eta):
    for ours, theirs in zip(run("seeds-ab", eta), run("seeds-1", eta), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("values", [2, 3, 4])
def test_without_noise_it_is_ipndm(values):
    ours, theirs = run("seeds-ab", 0.0, values=values), run(f"ipndm-{values}", 0.0)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_after_noise_it_remembers_nothing():
    noisy = 3
    eta = (1.0,) * noisy + (0.0,) * (len(GRID) - 1 - noisy)
    mixed, first = run("seeds-ab", eta), run("seeds-1", 1.0)
    torch.testing.assert_close(mixed[noisy - 1], first[noisy - 1], rtol=1e-12, atol=1e-12)
    rest = run("ipndm-3", 0.0, GRID[noisy:], x=mixed[noisy - 1])
    torch.testing.assert_close(mixed[-1], rest[-1], rtol=0, atol=0)
    back = run("seeds-ab", (0.0, 0.0, 1.0, *[0.0] * 5))
    rest = run("ipndm-3", 0.0, GRID[3:], x=back[2])
    torch.testing.assert_close(back[-1], rest[-1], rtol=0, atol=0)


def test_a_step_is_one_call():
    assert Solver("seeds-ab").nfe(GRID) == len(GRID) - 1


@pytest.mark.parametrize("values", [0, 5, 2.0, "3"])
def test_values_are_one_to_four(values):
    with pytest.raises(ParameterError, match="SEEDS-AB has 1 to 4 values"):
        BASELINES["seeds-ab"](CURVED, torch.zeros(2, 1), GRID, values=values)

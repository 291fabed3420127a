"""DEIS: Adams-Bashforth in sigma, by hand, and its start-up."""

import itertools

import pytest
import torch
from torch import Tensor

from seeds_theory.baselines.deis import DEIS_TAB2, DEIS_TAB3

START = 20 * torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def curved(x: Tensor, sigma: float) -> Tensor:
    return torch.tanh(x / sigma**2)


def eps(x: Tensor, sigma: float) -> Tensor:
    return (x - curved(x, sigma)) / sigma


def far(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def test_in_equal_steps_of_sigma_tab2_is_the_classical_method() -> None:
    grid = [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    x, k = START, []
    for n, (s, t) in enumerate(itertools.pairwise(grid)):
        k.insert(0, eps(x, s))
        if n == 0:  # Heun
            slope = (k[0] + eps(x - k[0], t)) / 2
        elif n == 1:
            slope = (3 * k[0] - k[1]) / 2
        else:
            slope = (23 * k[0] - 16 * k[1] + 5 * k[2]) / 12
        x = x - slope
    assert far(DEIS_TAB2(curved, START, grid), x) <= 1e-13


def test_in_equal_steps_of_sigma_tab3_is_the_classical_method() -> None:
    grid = [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    x, k = START, []
    for n, (s, t) in enumerate(itertools.pairwise(grid)):
        k.insert(0, eps(x, s))
        if n < 2:  # Kutta
            middle = eps(x - k[0] / 2, s - 0.5)
            slope = (k[0] + 4 * middle + eps(x - 2 * middle + k[0], t)) / 6
        elif n == 2:
            slope = (23 * k[0] - 16 * k[1] + 5 * k[2]) / 12
        else:
            slope = (55 * k[0] - 59 * k[1] + 37 * k[2] - 9 * k[3]) / 24
        x = x - slope
    assert far(DEIS_TAB3(curved, START, grid), x) <= 1e-13


@pytest.mark.parametrize("baseline", [DEIS_TAB2, DEIS_TAB3], ids=lambda b: b.name)
def test_a_single_data_point_is_reached_exactly(baseline) -> None:
    # D constant makes eps = (x - D)/sigma constant along the flow: every method is exact.
    grid = [20.0, 7.0, 3.0, 1.0, 0.3, 0.1]
    point = torch.full_like(START, 1.5)
    end = baseline(lambda x, sigma: point, START, grid)
    assert far(end, point + (START - point) * 0.1 / 20) <= 1e-13

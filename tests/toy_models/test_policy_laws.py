"""Laws of samplers on flow grids: exact where they are said to be, and to zero with the steps."""

import math

import numpy as np
import pytest
import torch

from seeds_theory.solver import Solver
from toy_models.gaussian import Gaussian
from toy_models.policy_laws import (
    BROAD,
    CONTENDERS,
    FIRST_TIME,
    flow_grid,
    image_spectrum,
    member,
    on_images,
    on_the_line,
    published,
    windowed,
)


def test_a_flow_grid_has_equal_steps_in_time_and_a_shift_is_a_factor():
    levels = flow_grid(5)
    np.testing.assert_allclose(levels / (1 + levels), FIRST_TIME * np.arange(5, -1, -1) / 5)
    shifted = flow_grid(5, 3.0)
    times = levels / (1 + levels)  # Stable Diffusion 3 writes 3 t / (1 + 2 t)
    np.testing.assert_allclose(shifted / (1 + shifted), 3 * times / (1 + 2 * times))


@pytest.mark.parametrize("calls", [6, 10])
def test_each_contender_takes_no_more_calls_and_could_not_take_a_step_more(calls):
    for contender in CONTENDERS:
        solver, grid = contender.within(calls)
        assert solver.nfe(grid) <= calls
        longer = flow_grid(len(grid))
        assert contender.solver(longer).nfe(longer) > calls


def test_pixels_of_the_spectrum_have_variance_one():
    spectrum = image_spectrum()
    total = float((spectrum.counts * spectrum.variances).sum())
    assert total == pytest.approx(784, rel=0.03)  # groups by their means, tiny values clamped
    assert float(spectrum.counts.sum()) == 784


def test_the_distance_on_images_is_that_of_samples():
    solver, grid = member("seeds-2m", 1.0).within(6)
    spectrum = image_spectrum()
    data = Gaussian(torch.zeros(1), spectrum.variances[:1])
    ends = solver(data, data.marginal(grid[0]).sample(20_000, _generator()), grid)
    gap = float(ends.std() - spectrum.variances[0].sqrt())
    error = float(ends.std()) / math.sqrt(2 * len(ends))
    ours = on_images(solver, grid).value * math.sqrt(784)
    assert gap**2 <= ours**2 + 4 * abs(gap) * error


def test_the_laws_are_reached_with_the_steps():
    fine = flow_grid(60)
    assert on_images(Solver("seeds-3"), fine).value < 0.02
    found = on_the_line(Solver("seeds-2"), fine, BROAD, count=2000)
    assert found.value < 0.02 + 4 * found.error


def test_noise_in_a_window_is_noise_there():
    solver, grid = windowed("seeds-2m", 1.0, math.inf).within(10)
    etas = solver.on(grid).solver.options["eta"]
    assert etas[0] == 1 and etas[-2] == 0


def test_a_label_says_the_level():
    assert published("cps").label == "`cps`"
    assert "0.5" in published("cps", 0.5).label


def _generator():
    return torch.Generator().manual_seed(0)

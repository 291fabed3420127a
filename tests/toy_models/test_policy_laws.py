"""Laws of samplers on flow grids: exact where they are said to be, and to zero with the steps."""

import itertools
import math

import numpy as np
import pytest
import torch

from seeds_theory.solver import Solver
from toy_models.mixture import GaussianMixture
from toy_models.policy_gradient import wasserstein
from toy_models.policy_laws import (
    BROAD,
    CONTENDERS,
    FIRST_TIME,
    floor,
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


@pytest.mark.parametrize("eta", [0.245, 1.0])
def test_the_distance_on_images_is_that_of_the_variances(eta):
    """By hand, of seeds-1: each step multiplies a coordinate and adds a normal."""
    solver, grid = member("seeds-1", eta).within(6)
    spectrum = image_spectrum()
    variances = spectrum.variances.numpy()
    squares = variances + grid[0] ** 2
    for s, t in itertools.pairwise(grid):
        kept = (t / s) ** (1 + eta)
        gain = kept + (1 - kept) * variances / (variances + s**2)
        squares = gain**2 * squares + t**2 * (1 - (t / s) ** (2 * eta))
    counts = spectrum.counts.numpy()
    gaps = counts * (np.sqrt(squares) - np.sqrt(variances)) ** 2
    expected = math.sqrt(gaps.sum() / (counts * variances).sum())
    assert on_images(solver, grid).value == pytest.approx(expected, rel=1e-9)


def test_groups_have_starts_and_noise_of_their_own():
    starts = []

    def solver(model, x, grid, noise):
        starts.append(x)
        return x

    on_the_line(solver, flow_grid(3), BROAD, count=50, groups=3)
    assert len(starts) == 3
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(starts, 2))


def test_the_error_on_the_line_is_the_scatter_of_repetitions():
    """Of exact samples, moved: the jackknife's error against the scatter of 40 of them."""
    generator = torch.Generator().manual_seed(0)

    def solver(model, x, grid, noise):
        return BROAD.sample(len(x), generator) + 0.3

    found = [on_the_line(solver, flow_grid(3), BROAD, count=200) for _ in range(40)]
    scatter = float(torch.tensor([each.value for each in found]).std())
    error = math.sqrt(sum(each.error**2 for each in found) / len(found))
    assert 0.6 < error / scatter < 1.6


def test_the_floor_is_that_of_exact_samples():
    law = GaussianMixture.scalar((1.0,), (0.3,), (1.0,))
    wide = GaussianMixture.scalar((1.0,), (0.3,), (3.0,))
    found = floor(law, 400)
    assert found.mean < found.high
    assert floor(wide, 400).mean == pytest.approx(3 * found.mean, rel=1e-6)
    assert floor(law, 1600).mean == pytest.approx(found.mean / 2, rel=0.2)
    values = [
        wasserstein(law.sample(400, torch.Generator().manual_seed(seed)), law)
        for seed in range(1000, 1200)
    ]
    above = sum(value > found.high for value in values)
    assert above < 10 + 4 * math.sqrt(2 * 200 * 0.05)  # of 200, 1 in 20; the limit has an error too


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

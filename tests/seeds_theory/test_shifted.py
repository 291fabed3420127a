"""The shifted clock: a wrapped denoiser, and the same as a plan of the noise levels themselves."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from seeds_theory import BrownianPath, SeededNoise, follow, make_plan, path_points
from seeds_theory.errors import ParameterError
from seeds_theory.grids import uniform_log_snr
from seeds_theory.methods import METHODS, method
from seeds_theory.plan import Interval
from seeds_theory.shifted import (
    Shifted,
    matching_shift,
    matching_shifts,
    shifted_levels,
    shifted_plan,
)
from seeds_theory.solver import Solver
from seeds_theory.sources import NoiseSource, silent
from toy_models.gaussian import Gaussian
from toy_models.mixture import CURVED

GRID = uniform_log_snr(4.0, 0.5, 5)
X = torch.linspace(-6.0, 6.0, 7, dtype=torch.float64)[:, None]


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    ("name", "prediction"), [(n, p) for n in METHODS for p in method(n).predictions]
)
def test_the_plan_is_the_run_of_the_wrapped_denoiser(
    name: str, prediction: str, eta: float
) -> None:
    ours = shifted_plan(name, GRID, 0.7, eta=eta, prediction=prediction)
    wrapped = make_plan(name, shifted_levels(GRID, 0.7), eta=eta, prediction=prediction)
    expected = follow(Shifted(CURVED, 0.7), X, wrapped, silent)
    assert follow(CURVED, X, ours, silent).numpy() == pytest.approx(expected.numpy(), abs=1e-12)
    for a, b in zip(ours.steps, wrapped.steps, strict=True):
        assert [row.noise for row in a.rows] == [row.noise for row in b.rows]


def test_without_a_shift_it_is_the_plan() -> None:
    plan = make_plan("seeds-2", [*GRID, 0.0])
    assert shifted_plan("seeds-2", [*GRID, 0.0], 0.0).steps == plan.steps
    assert Shifted(CURVED, 0.0)(X, 0.3).equal(CURVED(X, 0.3))


def test_both_clocks_have_one_limit_on_one_path_also_with_a_shift_of_each_step() -> None:
    sigmas = uniform_log_snr(4.0, 0.5, 150)
    plans = [
        make_plan("seeds-3", sigmas),
        shifted_plan("seeds-3", sigmas, [0.3 + 0.2 * (n % 3) for n in range(150)]),
        shifted_plan("seeds-3", sigmas, 1.3, prediction="noise"),
    ]
    forms = tuple({i.form: None for plan in plans for i in plan.intervals})
    path = BrownianPath(path_points(plans), 1.0, X, SeededNoise(range(7)), forms)
    first, *others = (follow(CURVED, X, plan, path) for plan in plans)
    for other in others:
        assert other.numpy() == pytest.approx(first.numpy(), abs=0.02)


def test_intervals_have_the_deviation_of_their_noise() -> None:
    for interval, wrapped in zip(
        shifted_plan("seeds-3", [math.inf, *GRID, 0.0], [0.7] * 6 + [0.2]).intervals,
        make_plan("seeds-3", shifted_levels([math.inf, *GRID], 0.7)).intervals,
        strict=False,
    ):
        assert interval.deviation == pytest.approx(wrapped.deviation, rel=1e-12)


def test_gaussian_data_are_exact_from_infinity_to_zero_in_two_steps() -> None:
    data = Gaussian.scalar(0.7, 0.3)
    x = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    for eta in (0.0, 1.0):
        plan = shifted_plan("seeds-2", [math.inf, 0.5, 0.0], 0.7, eta=eta)
        spread = (follow(data, x, plan, silent)[0] - 0.3).square() + sum(
            follow(data, 0 * x, plan, _unit(n)).sub(0.3)[0].square() for n in range(plan.normals)
        )
        mean = follow(data, 0 * x, plan, silent)[0]
        assert float(mean) == pytest.approx(0.3, rel=1e-12)
        assert float(spread) == pytest.approx(0.7, rel=1e-12)


def _unit(which: int) -> NoiseSource:
    """A source whose normal of that number is 1, and the others 0."""
    count = 0

    def source(intervals: Sequence[Interval], like: Tensor) -> Tensor:
        nonlocal count
        normals = silent(intervals, like)
        if 0 <= which - count < len(intervals):
            normals[which - count] = 1.0
        count += len(intervals)
        return normals

    return source


def test_any_sampler_takes_the_wrapped_denoiser() -> None:
    data, levels = Gaussian.scalar(0.7, 0.3), shifted_levels([4.0, 1.0, 0.0], 0.7)
    end = Solver("sde-dpm-solver++-2m")(Shifted(data, 0.7), X, levels, silent)
    gain = 0.7 / (0.7 + 16.0)  # of the exact solution at eta = 1
    assert end.numpy() == pytest.approx((0.3 + gain * (X - 0.3)).numpy(), rel=1e-12)


def test_the_matching_shift_of_gaussian_data_is_their_variance() -> None:
    assert matching_shift(0.7 * 4 / 4.7, 2.0) == pytest.approx(0.7, rel=1e-14)
    shifts = matching_shifts(lambda sigma: 0.7 * sigma**2 / (0.7 + sigma**2), [4.0, 1.0, 0.5, 0.0])
    assert shifts == pytest.approx([0.7, 0.7, 0.0], rel=1e-14)


@pytest.mark.parametrize("c", [-1.0, math.nan, math.inf])
def test_a_shift_is_a_variance(c: float) -> None:
    with pytest.raises(ParameterError, match="finite and >= 0"):
        Shifted(CURVED, c)
    with pytest.raises(ParameterError, match="finite and >= 0"):
        shifted_plan("seeds-1", GRID, c)


def test_shifts_are_as_many_as_steps_and_no_stage_is_at_zero() -> None:
    with pytest.raises(ParameterError, match="each of 5 steps; got 2"):
        shifted_plan("seeds-1", GRID, [0.1, 0.2])
    with pytest.raises(ParameterError, match="take c = 0 in the step to 0"):
        shifted_plan("seeds-2@1", [1.0, 0.0], 0.7)
    with pytest.raises(ParameterError, match="above the root of c"):
        Shifted(CURVED, 0.49)(X, 0.7)


@pytest.mark.parametrize("prediction", ["F", "v", "flow", "score"])
def test_a_prediction_with_a_clock_of_its_own_is_refused(prediction: str) -> None:
    with pytest.raises(ParameterError, match="'data' or 'noise'"):
        shifted_plan("seeds-2", [2.0, 1.0], 0.2, prediction=prediction)


@pytest.mark.parametrize("c", [np.float32(0.2), np.float64(0.2), torch.tensor(0.2)])
def test_one_number_is_one_of_any_kind(c):
    levels = [2.0, 1.0, 0.5]
    plan = shifted_plan("seeds-2", levels, c)
    assert plan.steps == shifted_plan("seeds-2", levels, float(c)).steps


@pytest.mark.parametrize("c", [None, "x", math.nan, -0.1, math.inf])
def test_a_shift_that_is_no_variance_is_refused(c):
    with pytest.raises(ParameterError, match="a shift c is a variance"):
        Shifted(lambda x, sigma: x, c)


@pytest.mark.parametrize("levels", [[4.0, math.nan, 1.0], [4.0, -1.0]])
def test_levels_that_are_none_are_refused(levels):
    with pytest.raises(ParameterError, match="noise levels"):
        shifted_levels(levels, 0.2)

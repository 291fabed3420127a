"""Grids: their ends, their spacing, and what they are made of."""

import math

import numpy as np
import pytest
import torch

from seeds_theory.errors import ParameterError
from seeds_theory.grids import beta_grid, require_grid, rho_grid, time_grid, uniform_log_snr
from seeds_theory.schedule import (
    DiscreteSchedule,
    RectifiedFlow,
    Schedule,
    VarianceExploding,
    VariancePreservingCosine,
    VariancePreservingLinear,
)

ZERO_TERMINAL = DiscreteSchedule([*np.linspace(0.99, 0.01, 9), 0.0])
MAKERS = {
    "uniform_log_snr": lambda n, **o: uniform_log_snr(80.0, 0.002, n, **o),
    "rho_grid": lambda n, **o: rho_grid(80.0, 0.002, n, **o),
    "beta_grid": lambda n, **o: beta_grid(80.0, 0.002, n, **o),
    "time_grid": lambda n, **o: time_grid(VariancePreservingLinear(), n, **o),
}
every_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@every_maker
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_grid_of_n_steps_has_n_plus_1_levels(make, steps: int) -> None:
    grid = make(steps)
    assert grid.shape == (steps + 1,)
    assert grid.dtype == np.float64
    assert grid[-1] > 0
    assert (np.diff(grid) < 0).all()


@every_maker
@pytest.mark.parametrize("steps", [2, 3, 7])
def test_to_zero_counts_the_last_step_and_keeps_the_range(make, steps: int) -> None:
    grid, without = make(steps, to_zero=True), make(steps - 1)
    assert grid.shape == (steps + 1,)
    assert grid[-1] == 0
    assert np.array_equal(grid[:-1], without)


def test_uniform_log_snr_is_geometric_with_exact_ends() -> None:
    grid = uniform_log_snr(80.0, 0.002, 13)
    assert (grid[0], grid[-1]) == (80.0, 0.002)
    assert np.diff(np.log(grid)) == pytest.approx(math.log(0.002 / 80) / 13, rel=1e-12)


@pytest.mark.parametrize("rho", [1.0, 3.0, 7.0, 20.0])
def test_rho_grid_is_that_of_edm(rho: float) -> None:
    grid = rho_grid(80.0, 0.002, 17, rho=rho)
    assert grid[[0, -1]] == pytest.approx([80.0, 0.002], rel=1e-13)
    i = np.arange(18)
    first, last = 80 ** (1 / rho), 0.002 ** (1 / rho)
    assert grid == pytest.approx((first + i / 17 * (last - first)) ** rho, rel=1e-12)


@pytest.mark.parametrize("rho", [0.005, 1e-9, 1e-320])
def test_a_rho_whose_powers_overflow_is_refused(rho: float) -> None:
    with pytest.raises(ParameterError, match=r"too small for sigma_max = 80: EDM uses 7"):
        rho_grid(80.0, 0.002, 10, rho=rho)


def test_beta_grid_is_uniform_for_the_uniform_distribution() -> None:
    assert beta_grid(5.0, 1.0, 4, a=1.0, b=1.0) == pytest.approx([5.0, 4.0, 3.0, 2.0, 1.0])
    sines = [1 + 4 * math.sin(math.pi / 8 * (4 - i)) ** 2 for i in range(5)]  # the arcsine law
    assert beta_grid(5.0, 1.0, 4, a=0.5, b=0.5) == pytest.approx(sines)
    with pytest.raises(ParameterError, match="a and b are positive"):
        beta_grid(5.0, 1.0, 4, a=0.0)


def test_rho_grid_tends_to_the_uniform_one() -> None:
    close = rho_grid(80.0, 0.002, 10, rho=1e6)
    assert close == pytest.approx(uniform_log_snr(80.0, 0.002, 10), rel=1e-4)


@pytest.mark.parametrize(
    "schedule",
    [VariancePreservingLinear(), VariancePreservingCosine(), RectifiedFlow(), ZERO_TERMINAL],
    ids=lambda schedule: type(schedule).__name__,
)
def test_time_grid_is_equidistant_in_time(schedule: Schedule) -> None:
    t_max = 0.8 * schedule.t_max  # before the last finite entry of the table
    grid = time_grid(schedule, 8, t_max=t_max, t_min=0.01)
    assert schedule.time(grid) == pytest.approx(np.linspace(t_max, 0.01, 9), rel=1e-12)


@pytest.mark.parametrize(
    ("schedule", "infinite"),
    [
        (VariancePreservingLinear(), False),
        (VariancePreservingCosine(), True),
        (RectifiedFlow(), True),
        (ZERO_TERMINAL, True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_time_grid_starts_at_infinity_where_alpha_vanishes(
    schedule: Schedule, infinite: bool
) -> None:
    grid = time_grid(schedule, 6, to_zero=True)
    assert np.isinf(grid[0]) == infinite
    assert np.isfinite(grid[1:]).all()
    assert np.array_equal(require_grid(grid), grid)


def test_time_grid_of_edm_is_in_the_noise_level_itself() -> None:
    grid = time_grid(VarianceExploding(), 4, t_max=80.0, t_min=1.0)
    assert grid == pytest.approx([80.0, 60.25, 40.5, 20.75, 1.0], rel=1e-14)


@pytest.mark.parametrize(
    "grid",
    [
        [2.0, 1.0],
        (3, 2, 1),
        np.array([2, 1], dtype=np.float32),
        torch.tensor([2.0, 1.0, 0.0]),
        [math.inf, 1.0],
        [math.inf, 1.0, 0.0],
        range(5, 0, -1),
    ],
    ids=str,
)
def test_admissible_grids_become_float64(grid: object) -> None:
    checked = require_grid(grid)  # type: ignore[arg-type]
    assert checked.dtype == np.float64
    assert checked.tolist() == [float(level) for level in grid]  # type: ignore[attr-defined]


def test_checking_does_not_change_the_grid_that_was_given() -> None:
    grid = np.array([2.0, 1.0])
    require_grid(grid)
    assert grid.tolist() == [2.0, 1.0]

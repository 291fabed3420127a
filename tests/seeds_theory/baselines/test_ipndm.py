import itertools

import numpy as np
import pytest
import torch

from seeds_theory.baselines.adams import adams_weights
from seeds_theory.baselines.deis import DEIS_TAB3
from seeds_theory.baselines.ipndm import (
    _WEIGHTS,
    GRADIENT_ESTIMATION,
    IPNDM_2,
    IPNDM_3,
    IPNDM_4,
    LMS,
)
from seeds_theory.errors import ParameterError
from seeds_theory.grids import rho_grid, uniform_log_snr
from seeds_theory.loop import StepInfo
from seeds_theory.solver import Solver
from toy_models.convergence import fit_exact
from toy_models.gaussian import Gaussian
from toy_models.response import probe, weak_errors

DATA = Gaussian(torch.tensor([-2.0, 0.5, 1.0]), torch.tensor([0.01, 1.0, 10.0]))
ENDS = (20.0, 0.5)

each = pytest.mark.parametrize("baseline", [IPNDM_2, IPNDM_3, IPNDM_4], ids=str)


def fixed_ratio(sigma_max, sigma_min, steps):
    """Steps h, 2h, h, 2h, ... in log-SNR."""
    lengths = np.where(np.arange(steps) % 2 == 0, 1.0, 2.0)
    u = np.append(0.0, np.cumsum(lengths)) / lengths.sum()
    return sigma_max * (sigma_min / sigma_max) ** u


def order(baseline, grid, steps=(64, 128, 256)):
    errors = []
    for n in steps:
        levels = grid(*ENDS, n)
        response = probe(lambda D, x, z, levels=levels: baseline(D, x, levels, z), DATA)
        errors.append(float(weak_errors(response, DATA, *ENDS).norm()))
    return fit_exact(steps, errors).order


@each
def test_the_declared_order_is_the_least_and_smooth_grids_have_2(baseline):
    assert order(baseline, fixed_ratio) == pytest.approx(baseline.declared.ode, abs=0.05)
    assert order(baseline, uniform_log_snr) == pytest.approx(2, abs=0.05)
    assert order(baseline, rho_grid) == pytest.approx(2, abs=0.05)


def test_the_weights_are_those_of_equal_steps():
    for count, weights in enumerate(_WEIGHTS, 1):
        found = adams_weights([-float(j) for j in range(count)])
        np.testing.assert_allclose(weights, found, atol=1e-13)


@each
def test_with_equal_steps_in_sigma_a_polynomial_slope_is_integrated_exactly(baseline):
    degree = int(baseline.name[-1]) - 1
    states: list[StepInfo] = []
    grid = np.linspace(4.0, 1.0, 13)
    x = torch.ones(2, 3, dtype=torch.float64)
    baseline(lambda x, s: x - s * s**degree, x, grid, callback=states.append)
    for before, after in list(itertools.pairwise(states))[degree:]:
        s, t = after.sigma, after.sigma_next
        exact = before.x + (t ** (degree + 1) - s ** (degree + 1)) / (degree + 1)
        assert (after.x - exact).abs().max() <= 1e-12


@each
def test_a_step_is_one_call_and_the_first_is_ddim(baseline):
    assert Solver(baseline.name).nfe([20.0, 9.0, 5.0, 2.0, 1.0, 0.0]) == 5
    x = torch.linspace(-20, 20, 8, dtype=torch.float64)[:, None]
    ends = [Solver(name, {"eta": 0.0})(DATA_1, x, [20.0, 9.0]) for name in (baseline.name, "ddim")]
    assert (ends[0] - ends[1]).abs().max() <= 1e-13


DATA_1 = Gaussian(torch.tensor([0.5]), torch.tensor([1.0]))


@pytest.mark.parametrize(
    ("baseline", "values"), [(IPNDM_2, 2), (IPNDM_3, 3), (IPNDM_4, 4)], ids=str
)
def test_a_step_uses_as_many_values_as_the_name_says(baseline, values):
    # With D = x - s f(s) a step adds (t - s) times the sum of weight and slope f.
    grid = np.array([6.0, 5.0, 4.5, 3.0, 2.0, 1.5])
    slopes = dict(zip(grid[:-1], (1.0, -2.0, 3.0, 5.0, -7.0), strict=True))
    states: list[StepInfo] = []
    x = torch.ones(1, 1, dtype=torch.float64)
    end = baseline(lambda x, s: x - s * slopes[float(s)], x, grid, callback=states.append)
    used = list(slopes.values())[::-1][:values]
    change = -0.5 * sum(w * f for w, f in zip(_WEIGHTS[values - 1], used, strict=True))
    torch.testing.assert_close(end, states[-2].x + change)


def test_lms_has_order_2_on_any_steps_and_gradient_estimation_1():
    for grid in (fixed_ratio, uniform_log_snr):
        assert order(LMS, grid, (256, 512, 1024)) == pytest.approx(2, abs=0.05)
    assert order(GRADIENT_ESTIMATION, fixed_ratio) == pytest.approx(1, abs=0.05)
    assert order(GRADIENT_ESTIMATION, uniform_log_snr) == pytest.approx(1, abs=0.05)


def test_lms_integrates_a_cubic_slope_exactly_once_it_has_four_values():
    # D = x - s f(s) has the slope f. On the slope 1 + s deis-tab3 is exact, lms but for Euler's first step.
    grid = np.array([6.0, 5.0, 4.5, 3.0, 2.0, 1.5])
    x = torch.ones(1, 1, dtype=torch.float64)
    states: list[StepInfo] = []
    LMS(lambda x, s: x - s * s**3, x, grid, callback=states.append)
    for before, after in list(itertools.pairwise(states))[2:]:
        exact = (after.sigma_next**4 - after.sigma**4) / 4
        assert float(after.x - before.x) == pytest.approx(exact, abs=1e-12)
    line = [f(lambda x, s: x - s * (1 + s), x, grid) for f in (LMS, DEIS_TAB3)]
    assert float(line[0] - line[1]) == pytest.approx(-(7.0 - 6.5), abs=1e-12)


def test_gradient_estimation_is_euler_at_1_and_two_values_of_ipndm_at_three_halves():
    x, grid = torch.linspace(-20, 20, 8, dtype=torch.float64)[:, None], [20.0, 9.0, 4.0, 1.0, 0.0]
    for gamma, name in ((1.0, "euler"), (1.5, "ipndm-2")):
        ours = Solver("gradient-estimation", {"gamma": gamma})(DATA_1, x, grid)
        torch.testing.assert_close(ours, Solver(name)(DATA_1, x, grid), rtol=0, atol=1e-12)
    with pytest.raises(ParameterError, match="gamma is a number, 1 <= gamma"):
        Solver("gradient-estimation", {"gamma": 0.5})

import itertools

import numpy as np
import pytest
import torch

from seeds_theory.baselines.adams import adams_weights
from seeds_theory.baselines.ipndm import _WEIGHTS, IPNDM_3, IPNDM_4
from seeds_theory.grids import rho_grid, uniform_log_snr
from seeds_theory.loop import StepInfo
from seeds_theory.solver import Solver
from toy_models.convergence import fit_exact
from toy_models.gaussian import Gaussian
from toy_models.response import probe, weak_errors

DATA = Gaussian(torch.tensor([-2.0, 0.5, 1.0]), torch.tensor([0.01, 1.0, 10.0]))
ENDS = (20.0, 0.5)

both = pytest.mark.parametrize("baseline", [IPNDM_3, IPNDM_4], ids=str)


def fixed_ratio(sigma_max, sigma_min, steps):
    """Steps h, 2h, h, 2h, ... in log-SNR."""
    lengths = np.where(np.arange(steps) % 2 == 0, 1.0, 2.0)
    u = np.append(0.0, np.cumsum(lengths)) / lengths.sum()
    return sigma_max * (sigma_min / sigma_max) ** u


def order(baseline, grid):
    steps, errors = (64, 128, 256), []
    for n in steps:
        levels = grid(*ENDS, n)
        response = probe(lambda D, x, z, levels=levels: baseline(D, x, levels, z), DATA)
        errors.append(float(weak_errors(response, DATA, *ENDS).norm()))
    return fit_exact(steps, errors).order


@both
def test_the_declared_order_is_the_least_and_smooth_grids_have_2(baseline):
    assert order(baseline, fixed_ratio) == pytest.approx(baseline.declared.ode, abs=0.05)
    assert order(baseline, uniform_log_snr) == pytest.approx(2, abs=0.05)
    assert order(baseline, rho_grid) == pytest.approx(2, abs=0.05)


def test_the_weights_are_those_of_equal_steps():
    for count, weights in enumerate(_WEIGHTS, 1):
        found = adams_weights([-float(j) for j in range(count)])
        np.testing.assert_allclose(weights, found, atol=1e-13)


@both
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


@both
def test_a_step_is_one_call_and_the_first_is_ddim(baseline):
    assert Solver(baseline.name).nfe([20.0, 9.0, 5.0, 2.0, 1.0, 0.0]) == 5
    x = torch.linspace(-20, 20, 8, dtype=torch.float64)[:, None]
    ends = [Solver(name, {"eta": 0.0})(DATA_1, x, [20.0, 9.0]) for name in (baseline.name, "ddim")]
    assert (ends[0] - ends[1]).abs().max() <= 1e-13


DATA_1 = Gaussian(torch.tensor([0.5]), torch.tensor([1.0]))


@pytest.mark.parametrize(("baseline", "values"), [(IPNDM_3, 3), (IPNDM_4, 4)], ids=str)
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

"""Clocks of F, v, flow and score prediction: their functions, and the plans that run in them."""

import itertools
import math

import mpmath
import numpy as np
import pytest
import torch

from proofs_checks.published import independent_stages, last_stage_only, with_noise
from seeds_theory import BrownianPath, follow, invert, make_plan, path_points
from seeds_theory.clocks import CLOCKS, ClockForm
from seeds_theory.errors import ParameterError, TableauError
from seeds_theory.forms import F as F_NUMBERS
from seeds_theory.grids import uniform_log_snr
from seeds_theory.methods import SEEDS, seeds_2a
from seeds_theory.plan import Interval
from seeds_theory.prediction import PREDICTIONS
from seeds_theory.solver import Solver
from seeds_theory.sources import SeededNoise, silent
from seeds_theory.special_functions import arc
from toy_models.gaussian import Gaussian

every_clock = pytest.mark.parametrize("name", list(CLOCKS))
ETAS = (0.0, 0.3, 1.0, 2.0)
DATA_SET = Gaussian(torch.zeros(2), torch.tensor([0.3, 2.0]))


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0, 2.5, 7.0])
def test_arc_is_the_integral(eta: float) -> None:
    for u in (1e-7, 0.1, 0.999, 1.001, 4.0, 160.0, 1e6):
        exact = mpmath.quad(
            lambda v: (1 + v * v) ** (-1 - mpmath.mpf(eta) / 2), [0, min(u, 1), min(u, 30), u]
        )
        assert float(arc(eta, u)) == pytest.approx(float(exact), rel=3e-14)
    assert float(arc(0.0, math.inf)) == pytest.approx(math.pi / 2, rel=1e-15)
    assert arc(1.0, np.array([0.5, 3.0])) == pytest.approx(
        [0.5 / 1.25**0.5, 3 / 10**0.5], rel=1e-14
    )


def test_every_prediction_but_data_and_noise_has_a_clock() -> None:
    assert {*CLOCKS, "data", "noise"} == set(PREDICTIONS)


@every_clock
@pytest.mark.parametrize("eta", ETAS)
def test_node_inverts_level(name: str, eta: float) -> None:
    clock = CLOCKS[name]
    for sigma in (3.0, 0.4, 0.002):
        level = float(clock.level(sigma, eta, 0.7))
        assert clock.node(level, eta, 0.7, below=sigma / 30) == pytest.approx(sigma, rel=1e-13)


@every_clock
@pytest.mark.parametrize("method", ["seeds-1", "seeds-2@0.7", "seeds-3@0.7,0.4", "seeds-3b@0.5,1"])
def test_noises_of_a_step_are_jointly_exact(name: str, method: str) -> None:
    """Against quadrature of the products of noise kernels."""
    plan = make_plan(method, [2.0, 0.4], eta=0.6, prediction=name, sigma_data=0.7)
    (step,) = plan.steps
    nodes, weights = np.polynomial.legendre.leggauss(40)
    width = len(step.intervals)
    rows = [np.array([*row.noise, *[0.0] * (width - len(row.noise))]) for row in step.rows]
    for (a, one), (b, two) in itertools.product(zip(step.rows, rows, strict=True), repeat=2):
        first, last = -math.log(2.0), -math.log(max(a.sigma, b.sigma))
        points = first + (last - first) * (1 + nodes) / 2
        kernels = (plan.form.noise_kernel(-math.log(r.sigma), points, 0.6, np.nan) for r in (a, b))
        exact = (last - first) / 2 * weights @ np.prod(list(kernels), axis=0)
        assert one @ two == pytest.approx(exact, rel=1e-12)
    for row in step.rows:
        interval = step.intervals[len(row.noise) - 1]
        assert row.noise[-1] == pytest.approx(interval.deviation, rel=1e-12)


def test_the_form_of_f_is_that_of_the_exact_solutions() -> None:
    t, s = 0.9, np.array([-0.3, 0.2])
    ours = ClockForm("F", sigma_data=0.7)
    for what in ("propagator", "noise_kernel"):
        theirs = getattr(F_NUMBERS, what)(t, s, 0.6, 0.7)
        assert getattr(ours, what)(t, s, 0.6) == pytest.approx(theirs, rel=1e-14)
    with pytest.raises(ParameterError, match="no rate"):
        ours.rate(1.0)


@every_clock
@pytest.mark.parametrize("eta", ETAS)
def test_a_constant_output_is_integrated_exactly(name: str, eta: float) -> None:
    """In one step as in fifty, with stages: the denoiser is skip y + out."""
    plans = [
        make_plan(
            method, uniform_log_snr(3.0, 0.2, steps), eta=eta, prediction=name, sigma_data=0.7
        )
        for method, steps in (("seeds-3b", 1), ("seeds-1", 50))
    ]
    skip_and_out = {
        level: pair
        for plan in plans
        for step in plan.steps
        for level, pair in zip(step.levels, step.integrands, strict=True)
    }

    def constant(x: torch.Tensor, sigma: float) -> torch.Tensor:
        skip, out = skip_and_out[sigma]
        return skip * x + out * 1.3

    x = torch.tensor([[0.4], [-2.0]], dtype=torch.float64)
    one, fifty = (follow(constant, x, plan, silent) for plan in plans)
    assert one.numpy() == pytest.approx(fifty.numpy(), rel=1e-12)


@every_clock
def test_all_predictions_have_one_limit_on_one_path(name: str) -> None:
    x = torch.tensor([[0.4, -1.0], [3.0, 0.2]], dtype=torch.float64)
    plans = [
        make_plan("seeds-3", uniform_log_snr(3.0, 0.2, 200), prediction=p, sigma_data=0.7)
        for p in ("data", name)
    ]
    forms = tuple(plan.form for plan in plans)
    path = BrownianPath(path_points(plans), 1.0, x, SeededNoise(range(2)), forms)
    ends = [follow(DATA_SET, x, plan, path) for plan in plans]
    assert ends[0].numpy() == pytest.approx(ends[1].numpy(), abs=0.04)


def test_a_run_may_go_from_infinity_to_zero_and_have_its_eta_along_the_way() -> None:
    sigmas = [math.inf, 5.0, 1.0, 0.1, 0.0]
    noise = SeededNoise(range(3))
    x = noise.initial((2,), torch.float64)
    for name in CLOCKS:
        solver = Solver("seeds-2", {"prediction": name, "eta": "1:0.5-5"})
        assert solver(DATA_SET, x, sigmas, noise).isfinite().all()
        assert solver.nfe(sigmas) == 6


@every_clock
def test_the_ode_goes_back(name: str) -> None:
    plan = make_plan(
        "seeds-3", uniform_log_snr(3.0, 0.2, 100), eta=0.0, prediction=name, sigma_data=0.7
    )
    x = torch.tensor([[0.4, -1.0]], dtype=torch.float64)
    end = follow(DATA_SET, x, plan)
    assert invert(DATA_SET, end, plan).start.numpy() == pytest.approx(x.numpy(), abs=1e-4)


@pytest.mark.parametrize("rule", [independent_stages, last_stage_only])
def test_other_noise_than_the_path_is_refused(rule: object) -> None:
    tableau = with_noise(seeds_2a(1), rule, "another")  # type: ignore[arg-type]
    with pytest.raises(TableauError, match="the path's values"):
        make_plan(tableau, [2.0, 1.0], prediction="F")


def test_methods_of_the_family_are_served() -> None:
    for name in SEEDS:
        assert make_plan(name, [2.0, 1.0], prediction="flow").nfe == len(
            make_plan(name, [2.0, 1.0]).steps[0].rows
        )


def test_averages_of_a_path_are_not_served() -> None:
    form = ClockForm("F", sigma_data=0.7)
    with pytest.raises(ParameterError):
        _ = Interval(2.0, 1.0, form, 1.0, degree=1).parts


@pytest.mark.parametrize("prediction", ["F", "v", "flow"])
@pytest.mark.parametrize(
    ("sigmas", "eta"), [([1e-8, 0.9e-8, 0.8e-8, 0.7e-8], 1.0), ([1e4, 9e3], 3.0), ([1e5, 9e4], 2.0)]
)
def test_levels_that_a_clock_loses_in_rounding_are_refused(
    prediction: str, sigmas: list[float], eta: float
) -> None:
    with pytest.raises(ParameterError, match="apart to rounding"):
        make_plan("seeds-2", sigmas, prediction=prediction, eta=eta)


@pytest.mark.parametrize("sigma_data", [-3, 0.0, math.nan, "a"])
@pytest.mark.parametrize("prediction", ["data", "F"])
def test_a_sigma_data_that_is_none_is_refused(prediction, sigma_data):
    with pytest.raises(ParameterError, match="sigma_data is positive"):
        make_plan("seeds-2", [2.0, 1.0], prediction=prediction, sigma_data=sigma_data)

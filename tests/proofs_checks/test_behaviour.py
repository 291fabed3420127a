"""One step on Gaussian data in closed form, and denoisers that are wrong by a stated amount."""

import math
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
import torch
from scipy.integrate import quad, solve_ivp

from proofs_checks.growth import exact_gain, step_response
from proofs_checks.leading import level
from proofs_checks.ledger import Verdict
from proofs_checks.misfit import Bump, Misfit, noise_error, start_ratio
from proofs_checks.published import lawson_2
from proofs_checks.verdicts import run
from seeds_theory import ParameterError, method
from seeds_theory.exact import DATA, NOISE, eta, variance
from seeds_theory.noise import h
from toy_models import Gaussian

NOTHING = Bump(0.0, 1.0)


@pytest.mark.slow
def test_the_theorems_hold():
    names = ["martingale", "noise-decay", "gain-data", "noise-mean", "stability", "window"]
    records = run([f"behaviour-{name}" for name in names], jobs=1)
    assert [record.verdict for record in records] == [Verdict.proved] * len(names)


def test_a_misfit_is_centred_at_the_mean_of_the_data():
    data = Gaussian(torch.tensor([1.0, -2.0]), torch.tensor([0.5, 2.0]))
    bumps = (Bump(0.3, 1.0), Bump(0.5, 2.0))
    wrong = Misfit(data, (lambda sigma: 3 * sigma, NOTHING), bumps)
    away = torch.tensor([[0.0, 0.0], [0.7, -0.4]], dtype=torch.float64)
    x, sigma = data.mean + away, 0.8
    expected = torch.tensor([2.4, 0.0]) + away * torch.tensor([float(b(sigma)) for b in bumps])
    assert torch.allclose(wrong(x, sigma) - data(x, sigma), expected.to(x.dtype), atol=1e-7)


def at(expression, **values):
    symbols = {"c": variance, "v": level, "h": h, "eta": eta}
    return float(expression.subs({symbols[name]: value for name, value in values.items()}).doit())


def test_a_method_that_does_not_integrate_constants_has_another_gain():
    values = {"c": 1.0, "v": 2.0, "h": 0.7, "eta": 1}
    for tableau, exact in (
        (method("seeds-3"), True),
        (replace(method("seeds-3"), weights=(sp.Integer(1), sp.Integer(5))), True),
        (lawson_2(sp.Rational(1, 2)), False),
    ):
        difference = at(step_response(tableau, DATA).gain - exact_gain(), **values)
        assert (abs(difference) < 1e-14) is exact


@pytest.mark.parametrize("form", [DATA, NOISE])
def test_a_step_of_the_ode_draws_no_noise(form):
    assert at(step_response(method("seeds-3"), form).noise_variance, c=1, v=2, h=0.5, eta=0) == 0


def test_a_bump_knows_its_integral():
    bump = Bump(0.3, 2.0, width=0.7)
    direct, _ = quad(lambda time: bump(math.exp(-time)), -math.log(9.0), -math.log(0.4))
    assert bump.between(9.0, 0.4) == pytest.approx(direct, rel=1e-10)
    assert bump(2.0) == 0.3


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0, 3.0])
def test_the_errors_are_those_of_the_moment_equations(rate):
    ends, data = (20.0, 0.05), Gaussian(torch.tensor([0.7, 0.0]), torch.tensor([0.25, 3.0]))
    bias = (lambda sigma: 0.2 * sigma, Bump(0.5, 3.0))
    slope = (Bump(0.3, 3.0), Bump(-0.2, 0.4, width=1.0))
    means = Misfit(data, bias, (NOTHING,) * 2).mean_errors(*ends, rate)
    spreads = Misfit(data, (NOTHING,) * 2, slope).variance_errors(*ends, rate)

    def moments(time, state, c, b, g):
        sigma = math.exp(-time)
        pull = (1 + rate) * sigma**2 / (c + sigma**2)
        return [
            -pull * state[0] + (1 + rate) * b(sigma),
            2 * ((1 + rate) * g(sigma) - pull) * state[1] + 2 * rate * sigma**2,
        ]

    for i, c in enumerate(data.variances.tolist()):
        solved = solve_ivp(
            moments,
            -np.log(ends),
            [0.0, c + ends[0] ** 2],
            args=(c, bias[i], slope[i]),
            rtol=1e-10,
            atol=1e-12,
            method="DOP853",
        )
        assert means[i] == pytest.approx(solved.y[0, -1], rel=1e-6)
        assert spreads[i] == pytest.approx(solved.y[1, -1] - c - ends[1] ** 2, rel=1e-5)


def test_a_misfit_adds_its_error_to_the_exact_estimate():
    data = Gaussian(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 2.0]))
    wrong = Misfit(data, (lambda sigma: 3 * sigma, NOTHING), (NOTHING, Bump(0.5, 2.0)))
    x = torch.tensor([[2.0, 4.0]], dtype=torch.float64)
    added = wrong(x, 2.0) - data(x, 2.0)
    torch.testing.assert_close(added, torch.tensor([[6.0, 2.0]], dtype=torch.float64))
    assert wrong(x.float(), 2.0).dtype == torch.float32


def test_a_misfit_has_an_error_for_each_coordinate_of_diagonal_data():
    data = Gaussian(torch.zeros(2), torch.ones(2))
    with pytest.raises(ParameterError, match="1 and 2 for d = 2"):
        Misfit(data, (NOTHING,), (NOTHING,) * 2)
    rotated = Gaussian(torch.zeros(2), torch.ones(2), torch.eye(2).flip(0))
    with pytest.raises(ParameterError, match="diagonal"):
        Misfit(rotated, (NOTHING,) * 2, (NOTHING,) * 2)


@pytest.mark.parametrize(("rate", "rho"), [(sp.Rational(1, 2), 3), (sp.Integer(2), 10)])
def test_the_constant_error_is_the_integral(rate, rho):
    q = 1 + float(rate)
    direct, _ = quad(lambda x: q * (1 + x * x) ** (-q / 2), 0, rho)
    assert float(noise_error(rate).subs(start_ratio, rho)) == pytest.approx(direct, rel=1e-9)

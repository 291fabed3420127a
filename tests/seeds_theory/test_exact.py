"""The exact solution: propagators, kernels and frozen steps against quadrature."""

import math
from functools import cache
from typing import Any

import pytest
import sympy as sp
from scipy.integrate import quad

from seeds_theory.errors import ParameterError, SeedsError
from seeds_theory.exact import (
    DATA,
    FORMS,
    GAUSSIAN,
    NOISE,
    F,
    SemilinearForm,
    eta,
    frozen_step,
    lam,
    lam_s,
    lam_t,
    variance,
)
from seeds_theory.plan import Interval
from seeds_theory.prediction import sigma_data

ALL = (DATA, NOISE, F, GAUSSIAN)
ETAS = (0.3, 1.0, 2.5)
PARAMETER = 0.7  # the variance of GAUSSIAN, the standard deviation of F
VALUES = {variance: PARAMETER, sigma_data: PARAMETER}

every_form = pytest.mark.parametrize("form", ALL, ids=lambda form: form.name)
solver_forms = pytest.mark.parametrize("form", (DATA, NOISE), ids=lambda form: form.name)


@cache
def function(form: SemilinearForm, part: str) -> Any:
    """A form's linear or drift coefficient (l, eta), or one of its kernels (t, l, eta)."""
    if part.endswith("kernel"):
        expression = getattr(form, part)(lam_t, lam).subs(VALUES)
        return sp.lambdify((lam_t, lam, eta), expression, modules="math")
    return sp.lambdify((lam, eta), getattr(form, part)(lam).subs(VALUES), modules="math")


def propagator(form: SemilinearForm, t: float, s: float, eta_value: float) -> float:
    return float(form.numeric_propagator()(t, s, eta_value, PARAMETER))


@pytest.mark.parametrize("eta_value", (0.0, *ETAS))
@every_form
def test_propagators_form_a_semigroup(form: SemilinearForm, eta_value: float) -> None:
    s, m, t = -2.0, 0.4, 1.7
    joined = propagator(form, t, m, eta_value) * propagator(form, m, s, eta_value)
    assert propagator(form, t, s, eta_value) == pytest.approx(joined, rel=1e-14)
    assert propagator(form, t, t, eta_value) == 1.0
    there_and_back = propagator(form, s, t, eta_value) * propagator(form, t, s, eta_value)
    assert there_and_back == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("eta_value", (0.0, *ETAS))
@every_form
def test_propagator_is_the_exponential_of_the_integrated_coefficient(
    form: SemilinearForm, eta_value: float
) -> None:
    s, t = -2.0, 1.7
    integral, _ = quad(function(form, "linear"), s, t, args=(eta_value,), epsrel=1e-12, epsabs=0)
    assert propagator(form, t, s, eta_value) == pytest.approx(math.exp(integral), rel=1e-11)


@pytest.mark.parametrize("eta_value", (0.0, *ETAS))
@every_form
def test_kernels_are_the_propagator_times_the_coefficients(
    form: SemilinearForm, eta_value: float
) -> None:
    t, l = 0.9, -0.4
    moved = propagator(form, t, l, eta_value)
    noise = moved * math.sqrt(2 * eta_value) * math.exp(-l)
    drift = moved * function(form, "drift")(l, eta_value)
    assert function(form, "noise_kernel")(t, l, eta_value) == pytest.approx(noise, rel=1e-13)
    assert function(form, "drift_kernel")(t, l, eta_value) == pytest.approx(drift, rel=1e-13)


@pytest.mark.parametrize("eta_value", (0.0, *ETAS))
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_splitting_is_of_the_same_equation(form: SemilinearForm, eta_value: float) -> None:
    """A y + B F = (1 + eta)(D - y) where F is the output that belongs to D."""
    y, denoised, l = 1.3, -0.8, 0.2
    skip, out = form.prediction.coefficients(1.0, math.exp(-l), PARAMETER)
    output = (denoised - skip * y) / out
    right = (
        function(form, "linear")(l, eta_value) * y + function(form, "drift")(l, eta_value) * output
    )
    assert right == pytest.approx((1 + eta_value) * (denoised - y), rel=1e-13)


@pytest.mark.parametrize("eta_value", (0.0, *ETAS))
def test_gaussian_splitting_is_its_denoiser(eta_value: float) -> None:
    y, mean, l = 1.3, -0.8, 0.2
    sigma_sq = math.exp(-2 * l)
    denoised = (PARAMETER * y + sigma_sq * mean) / (PARAMETER + sigma_sq)
    linear, drift = (function(GAUSSIAN, part)(l, eta_value) for part in ("linear", "drift"))
    assert linear * y + drift * mean == pytest.approx((1 + eta_value) * (denoised - y), rel=1e-13)


@pytest.mark.parametrize("eta_value", ETAS)
@pytest.mark.parametrize(("sigma", "sigma_next"), [(80.0, 20.0), (1.0, 0.9), (0.1, 0.002)])
@solver_forms
def test_noise_variance_is_the_squared_deviation(
    form: SemilinearForm, sigma: float, sigma_next: float, eta_value: float
) -> None:
    s, t = -math.log(sigma), -math.log(sigma_next)
    kernel = function(form, "noise_kernel")
    total, _ = quad(lambda l: kernel(t, l, eta_value) ** 2, s, t, epsrel=1e-12, epsabs=0)
    interval = Interval(sigma, sigma_next, form, eta_value)
    assert interval.deviation**2 == pytest.approx(total, rel=1e-11)


@pytest.mark.parametrize("eta_value", ETAS)
def test_gaussian_solution_preserves_the_marginals(eta_value: float) -> None:
    """Data of variance c: Phi^2 (c + sigma_s^2) + noise variance = c + sigma_t^2."""
    s, t = -1.0, 0.8
    kernel = function(GAUSSIAN, "noise_kernel")
    noise, _ = quad(lambda l: kernel(t, l, eta_value) ** 2, s, t, epsrel=1e-12, epsabs=0)
    start, end = (PARAMETER + math.exp(-2 * time) for time in (s, t))
    total = propagator(GAUSSIAN, t, s, eta_value) ** 2 * start + noise
    assert total == pytest.approx(end, rel=1e-11)


@solver_forms
def test_kernels_are_exponentials_of_the_declared_rates(form: SemilinearForm) -> None:
    t, l = 0.9, -0.4
    for eta_value in ETAS:
        zeta, rate = (
            float(sp.sympify(r).subs(eta, eta_value)) for r in (form.drift_rate, form.noise_rate)
        )
        drift = function(form, "drift")(t, eta_value) * math.exp(zeta * (t - l))
        noise = math.sqrt(2 * eta_value) * math.exp(-t) * math.exp(-rate * (t - l))
        assert function(form, "drift_kernel")(t, l, eta_value) == pytest.approx(drift, rel=1e-13)
        assert function(form, "noise_kernel")(t, l, eta_value) == pytest.approx(noise, rel=1e-13)


@pytest.mark.parametrize("form", (F, GAUSSIAN), ids=lambda form: form.name)
def test_forms_without_exponential_kernels_say_so(form: SemilinearForm) -> None:
    with pytest.raises(ParameterError, match=f"'{form.name}' form has no exponential kernel"):
        _ = form.noise_rate


@pytest.mark.parametrize("eta_value", (0, 1))
@pytest.mark.parametrize(("sigma", "sigma_next"), [(80.0, 20.0), (1.0, 0.9), (0.1, 0.002)])
def test_frozen_step_is_the_drift_integral(eta_value: int, sigma: float, sigma_next: float) -> None:
    s, t = -math.log(sigma), -math.log(sigma_next)
    kernel = function(F, "drift_kernel")
    total, _ = quad(lambda l: kernel(t, l, eta_value), s, t, epsrel=1e-12, epsabs=0)
    value = frozen_step(F, eta_value).subs({lam_s: s, lam_t: t, sigma_data: PARAMETER})
    assert float(value) == pytest.approx(total, rel=1e-11)


@pytest.mark.parametrize(("form", "eta_value"), [(DATA, 1), (NOISE, 0), (F, 2), (F, 0.5)])
def test_frozen_step_is_for_f_prediction_at_eta_0_and_1(
    form: SemilinearForm, eta_value: float
) -> None:
    with pytest.raises(ParameterError) as caught:
        frozen_step(form, eta_value)  # type: ignore[arg-type]
    assert isinstance(caught.value, SeedsError)
    assert form.name in str(caught.value)
    assert str(eta_value) in str(caught.value)

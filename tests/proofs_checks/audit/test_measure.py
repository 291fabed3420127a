"""Orders, limits and their uncertainties; every method and baseline has the orders it declares."""

from __future__ import annotations

import functools
import inspect
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import samplers as s

from proofs_checks.audit.affine import Source
from proofs_checks.audit.measure import (
    MEANS,
    SIGMA_MAX,
    SIGMA_MIN,
    VARIANCES,
    Limit,
    Measurement,
    grid,
)
from proofs_checks.audit.measure import STEPS as AUDIT_STEPS
from proofs_checks.audit.orders import Curve, Verdict
from proofs_checks.audit.protocol import Target
from seeds_theory.baselines import BASELINES
from seeds_theory.errors import ParameterError
from seeds_theory.kdiffusion import as_k_diffusion
from seeds_theory.methods import METHODS
from toy_models import Gaussian, weak_errors
from toy_models.response import probe

STEPS = (16, 32, 64, 128, 256)
FEW = (16, 32, 64, 128)
MANY = (128, 256, 512, 1024)


@functools.cache
def measured(
    sampler: Callable | str, steps: tuple[int, ...] = STEPS, eta: float | None = None
) -> Measurement:
    function = as_k_diffusion(sampler) if isinstance(sampler, str) else sampler
    return Measurement(Target("sampler", function, {} if eta is None else {"eta": eta}), steps)


# ------------------------------------------------------------------------------------------- grids


@pytest.mark.parametrize("steps", [1, 7, 16, 512])
def test_grids_have_the_ends_of_the_audit_and_equal_steps(steps: int) -> None:
    levels = grid(steps)
    assert len(levels) == steps + 1
    assert (levels[0], levels[-1]) == pytest.approx((SIGMA_MAX, SIGMA_MIN), rel=1e-14)
    ratios = [a / b for a, b in itertools.pairwise(levels)]
    assert ratios == pytest.approx([(SIGMA_MAX / SIGMA_MIN) ** (1 / steps)] * steps)


# ------------------------------------------------------------------------------------------- errors


def test_the_errors_of_the_law_are_those_of_the_library() -> None:
    """SEEDS-2 measured here through k-diffusion's signature, and by `toy_models.response`."""
    from seeds_theory import follow, make_plan

    measurement = measured("seeds-2", FEW)
    gaussian = Gaussian(MEANS, VARIANCES)
    found = measurement.law_errors(measurement.map(16))
    plan = make_plan("seeds-2", grid(16))
    response = probe(lambda denoiser, x, noise: follow(denoiser, x, plan, noise), gaussian)
    exact = (VARIANCES + SIGMA_MIN**2).sqrt()
    expected = weak_errors(response, gaussian, SIGMA_MAX, SIGMA_MIN) / exact
    assert found.square().sum(0).sqrt().tolist() == pytest.approx(expected.tolist(), abs=1e-12)
    assert measurement.weak_curve.errors[0] == pytest.approx(float(expected.norm()), abs=1e-12)


def test_the_number_of_model_calls_a_step() -> None:
    counts = [measured(f, FEW).nfe_per_step for f in (s.two_m, s.heun, s.three_s, s.three_m)]
    assert counts == [1, 2, 3, 1]  # the extra first call of 3M is not of a step


def test_the_source_is_the_noise_sampler_where_there_is_one() -> None:
    def own(model, x, sigmas):
        return s.euler_ancestral(model, x, sigmas)

    given, drawn = measured(s.euler_ancestral, FEW), measured(own, FEW)
    assert (given.source, drawn.source) == (Source.BROWNIAN, Source.OWN)
    assert drawn.weak_curve.errors == pytest.approx(given.weak_curve.errors, abs=1e-12)
    assert drawn.strong_curve is not None
    assert given.strong_curve is not None
    assert drawn.strong_curve.errors == pytest.approx(given.strong_curve.errors, abs=1e-12)
    assert drawn.independent_curve is drawn.weak_curve


def test_independent_noise_is_measured_apart_where_stretches_overlap() -> None:
    measurement = measured(s.dpmpp_sde)
    assert measurement.weak_curve.order.value == pytest.approx(2, abs=0.1)
    assert measurement.independent_curve.order.value == pytest.approx(1, abs=0.1)
    disjoint = measured(s.two_noises)
    assert disjoint.independent_curve is disjoint.weak_curve


def test_two_draws_a_step_of_its_own_have_no_strong_order() -> None:
    def own(model, x, sigmas):
        return s.two_noises(model, x, sigmas)

    assert measured(own, FEW).strong_curve is None
    assert measured(own, FEW).limit.path is None


# ------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("name", ["seeds-2", "two_noises", "two_m_sde"])
def test_the_limit_is_the_sde_of_the_eta_given(name: str, eta: float) -> None:
    limit = measured(name if name in METHODS else getattr(s, name), STEPS, eta).limit
    assert limit.law
    assert limit.eta == eta
    assert limit.etas == pytest.approx([eta] * 5, abs=0.01)
    assert limit.path is (True if eta else None)
    assert str(limit) == (f"SDE, eta {eta:g}" if eta else "ODE")


@pytest.mark.parametrize("eta", [0.5, 0.8, 1.0])
def test_an_ancestral_eta_is_the_root_of_that_of_the_sde(eta: float) -> None:
    assert measured(s.euler_ancestral, STEPS, eta).limit.eta == pytest.approx(eta**2)


def test_an_eta_that_varies_is_said_so() -> None:
    """ER-SDE's is sigma/(1 + sigma), so that the mean over narrower data is smaller."""
    limit = measured(s.er_sde_2).limit
    assert limit.law
    assert limit.eta is None
    assert list(limit.etas) == sorted(limit.etas)
    assert 0 < limit.etas[0] < limit.etas[-1] < 1
    assert "eta varies" in str(limit)


@functools.cache
def too_wide(spread: float) -> Limit:
    return measured(functools.partial(s.two_s_ancestral, spread=spread)).limit


@pytest.mark.parametrize("spread", [1.003, 0.99])
def test_a_law_that_stays_off_is_off_by_what_its_noise_is(spread: float) -> None:
    """For data at a point the variance is nearly all noise: its deviation is off by the factor."""
    limit = too_wide(spread)
    assert not limit.law
    assert limit.law_error == pytest.approx(abs(spread - 1), rel=0.15)
    assert str(limit).startswith("another law")
    assert limit.eta is None


def test_noises_that_are_not_joint_lead_off_the_path() -> None:
    off = measured(functools.partial(s.two_noises, joint=False)).limit
    assert off.law
    assert off.eta == 1
    assert off.path is False
    assert off.path_error is not None
    assert off.path_error > 0.1
    assert str(off).endswith("not on its path")
    assert measured(s.two_noises).limit.path is True


def test_the_sign_of_the_path_is_a_convention() -> None:
    def mirrored(model, x, sigmas, noise_sampler=None):
        return s.two_m_sde(model, x, sigmas, noise_sampler=lambda a, b: -noise_sampler(a, b))

    limit, found = measured(s.two_m_sde).limit, measured(mirrored).limit
    assert (found.eta, found.path) == (limit.eta, True)
    assert found.path_error == pytest.approx(limit.path_error, abs=1e-9)


def test_a_limit_is_strict_json() -> None:
    limit = measured(s.two_m_sde).limit
    assert limit.to_json() == {
        "text": "SDE, eta 1",
        "law": True,
        "law_error": limit.law_error,
        "eta": 1.0,
        "path": True,
    }
    assert math.isfinite(limit.law_error)


# ---------------------------------------------------------------------------- this library's methods

WITHIN = 0.15
"""Of an order, with few steps; the next lower one is at least 0.5 away."""


def shows(found: Curve | None, order: float | None) -> bool:
    """At least the order, within its uncertainty: errors may happen to fall faster."""
    if order is None:
        return True
    if found is None or found.order.verdict is Verdict.rounding:
        return False
    return found.order.least > order - WITHIN - (found.order.uncertainty or 0.0)


def confirmed(name: str, eta: float | None, law: float | None, path: float | None) -> Measurement:
    """A measurement that shows the orders: on the audit's own grids, if fewer steps do not do.

    Or on more, where leading errors nearly cancel.
    """
    for steps in (FEW, AUDIT_STEPS, MANY):
        found = measured(name, steps, eta)
        if shows(found.weak_curve, law) and (path is None or shows(found.strong_curve, path)):
            return found
    raise AssertionError(f"weak {found.weak_curve}, strong {found.strong_curve}")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*METHODS, *BASELINES])
def test_the_declared_orders_are_the_measured_ones(name: str) -> None:
    sampler = as_k_diffusion(name)
    declared, takes_eta = sampler.solver.declared, "eta" in inspect.signature(sampler).parameters
    if declared.weak is not None:
        noisy = confirmed(
            name, (sampler.solver.eta or 1.0) if takes_eta else None, declared.weak, declared.strong
        )
        assert not noisy.deterministic
        assert noisy.limit.law
    if declared.ode is not None:
        ode = confirmed(name, 0.0 if takes_eta else None, declared.ode, None)
        assert ode.limit.law
        assert ode.deterministic
    else:
        with pytest.raises(ParameterError):
            _ = as_k_diffusion(name, eta=0.0)


def test_a_declared_order_that_is_too_high_would_be_seen() -> None:
    assert not shows(measured(s.two_m, FEW).weak_curve, 3)
    assert not shows(measured(s.euler_ancestral, FEW).weak_curve, 2)
    assert not shows(measured(s.two_noises, FEW).strong_curve, 1.5)
    assert np.isfinite(measured(s.two_m, FEW).weak_curve.errors).all()

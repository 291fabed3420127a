"""Single precision inside a sampler explains what its results scatter by, and no true fault."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import samplers as s
import torch

from proofs_checks.audit.affine import probe
from proofs_checks.audit.measure import MEANS, VARIANCES, Measurement, grid
from proofs_checks.audit.protocol import NotAffine, Target
from proofs_checks.audit.rounding import SHIFTS, explained, rounds_to_single

SINGLE = (s.single_inside, s.cancelling)
NOT_ACCUSED = ("weak-order", "convergence", "accident", "sagging-order", "limit")


def named(value: Callable) -> str:
    return value.__name__


@pytest.mark.parametrize("rounded", SINGLE, ids=named)
@pytest.mark.parametrize(
    ("sampler", "order"),
    [
        (s.euler, "ode=1"),
        pytest.param(s.two_m, "ode=2", marks=pytest.mark.slow),
        pytest.param(s.euler_ancestral, "weak=1", marks=pytest.mark.slow),
        pytest.param(s.two_m_sde, "weak=2", marks=pytest.mark.slow),
        pytest.param(s.heun, "ode=2", marks=pytest.mark.slow),
        pytest.param(s.three_m, "", marks=pytest.mark.slow),
        pytest.param(s.three_s, "", marks=pytest.mark.slow),
        pytest.param(s.three_m_sde, "", marks=pytest.mark.slow),
    ],
)
def test_single_precision_inside_is_accused_of_nothing(
    sampler: Callable, order: str, rounded: Callable, findings_of
) -> None:
    around = rounded(sampler)
    for check in NOT_ACCUSED:
        assert not findings_of(around, check, order), check


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "rounded", "share"),
    [
        (s.three_s, lambda sound: sound, 6.5e-5),
        (s.three_s, s.single_inside, 1e-3),
        (s.three_s, s.cancelling, 1e-3),
        (s.two_m_sde, s.single_inside, 1e-3),
        (s.two_m_sde, s.cancelling, 1e-3),
    ],
)
def test_another_law_is_found_below_and_above_rounding(
    sampler: Callable, rounded: Callable, share: float
) -> None:
    found = Measurement(Target("sampler", s.scaled(share)(rounded(sampler)))).limit
    assert not found.law
    assert found.law_error == pytest.approx(share, rel=0.5)


@pytest.mark.slow
def test_a_third_order_at_its_floor_has_the_right_law() -> None:
    for rounded in SINGLE:
        measured = Measurement(Target("sampler", rounded(s.three_s)))
        assert measured.limit.law
        assert measured.weak_curve.order.least > 2.5


@pytest.mark.slow
def test_errors_that_stand_far_above_rounding_do_not_converge(findings_of) -> None:
    (found,) = findings_of(s.scaled(2e-4)(s.single_inside(s.three_s)), "convergence")
    assert "does not converge" in found.found


def test_only_single_precision_on_levels_that_can_be_shifted_is_measured() -> None:
    for rounded in SINGLE:
        assert rounds_to_single(Target("sampler", rounded(s.two_m)))
    assert not rounds_to_single(Target("sampler", s.two_m))
    assert not rounds_to_single(Target("sampler", s.half_levels(s.two_m)))

    def from_a_table(model, x, sigmas):
        table = torch.logspace(2, -3, 1000, dtype=torch.float64)
        nearest = (table - sigmas[:, None]).abs().argmin(1)
        return s.two_m(model, x, table[nearest])

    def half_states(model, x, sigmas):
        return s.two_m(model, x.half().to(x), sigmas)

    assert not rounds_to_single(Target("sampler", from_a_table))
    assert not rounds_to_single(Target("sampler", half_states))


def test_what_is_explained_is_the_scatter_and_no_common_error() -> None:
    def common(shift: float) -> np.ndarray:
        return np.array([1e-3, -1e-3])

    assert explained(common) == 0

    draws = dict(
        zip(SHIFTS, np.random.default_rng(0).standard_normal((len(SHIFTS), 40)), strict=True)
    )
    # The norm of 40 normals, four times, within four of its standard errors.
    assert explained(lambda shift: 1 + draws[shift]) == pytest.approx(
        4 * 40**0.5, rel=4 / (2 * 200) ** 0.5
    )


def ill_conditioned(model, x, sigmas):
    """Another digit of single precision is lost: by numbers that are added and taken away again."""
    end = s.two_m(model, x, sigmas).float()
    far = 2 * (1 + sigmas[0].float())
    return ((end + far) - far).to(x)


def curved_and_ill_conditioned(model, x, sigmas):
    """The same with a true curvature."""
    return ill_conditioned(model, x, sigmas) + 1e-4 * x**2


def test_a_misfit_of_rounding_is_affine_and_a_curvature_is_not() -> None:
    with pytest.raises(NotAffine):
        probe(Target("sampler", ill_conditioned), MEANS, VARIANCES, grid(32))
    assert Measurement(Target("sampler", ill_conditioned)).map(32).deterministic(VARIANCES.sqrt())
    with pytest.raises(NotAffine):
        Measurement(Target("sampler", curved_and_ill_conditioned)).map(32)

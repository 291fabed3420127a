"""The curved problem: exact expectations, orders, strong errors, and what the calls of a step allow."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest
import samplers as s
import torch

from proofs_checks.audit import grids
from proofs_checks.audit.affine import BatchDependent, Source
from proofs_checks.audit.orders import Verdict
from proofs_checks.audit.protocol import NotAffine, Target, call
from proofs_checks.audit.targets import find_target
from proofs_checks.audit.triangular import (
    DRIVERS,
    GAIN,
    SIGMA_MAX,
    SIGMA_MIN,
    START,
    THIRD,
    TriangularStudy,
    chain,
    exact,
)
from seeds_theory.sources import seeded_generator


@functools.cache
def study(
    sampler: Callable | str, kind: str = "even", steps: tuple[int, ...] = (8, 16, 32, 64, 128)
) -> TriangularStudy:
    target = find_target(sampler) if isinstance(sampler, str) else Target("sampler", sampler)
    source = Source.BROWNIAN if target.takes_noise_sampler else Source.OWN
    return TriangularStudy(target, source, steps, getattr(grids, kind))


ORDERS = {
    s.euler: (1, 1),
    s.heun: (2, 2),
    s.two_m: (2, 2),
    s.three_m: (3, 3),
    s.three_s: (3, 3),
    s.adams_moulton: (3, 3),
    s.euler_ancestral: (1, 1),
    s.two_m_sde: (2, 1),
    s.dpmpp_sde: (2, 1),
    s.er_sde_2: (2, 1),
    s.flow_midpoint: (2, 2),
}
"""Weak and strong orders on curved data; of the ODE's both are its order."""


@pytest.mark.parametrize("kind", ["even", "uneven"])
@pytest.mark.parametrize("sampler", ORDERS, ids=lambda f: f.__name__)
def test_orders_on_curved_data_are_exact(sampler: Callable, kind: str) -> None:
    weak, strong = ORDERS[sampler]
    found = study(sampler, kind)
    assert found.weak_curve.order.value == pytest.approx(weak, abs=0.05)
    assert found.strong_curve is not None
    assert found.strong_curve.order.value == pytest.approx(strong, abs=0.06)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "weak"),
    [
        ("seeds-2", 2),
        ("seeds-3", 2),
        ("seeds-2s", 2),
        ("seeds-3s", 2),
        ("seeds-4s", 3),
        ("seeds-2m", 2),
    ],
)
def test_the_orders_of_this_library_on_curved_data(name: str, weak: int) -> None:
    """As its order conditions decide them; SEEDS-3S has 3 on Gaussian data only."""
    found = study(name, "even", (16, 32, 64, 128, 256))
    assert found.weak_curve.order.value == pytest.approx(weak, abs=0.05)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0, 2.0])
def test_the_expectations_tend_to_the_exact_ones(eta: float) -> None:
    """By two methods that have nothing in common with the quadrature."""
    found = study(f"seeds-4s?eta={eta}" if eta else "seeds-4s?eta=0", "even", (16, 32))
    coarse, fine = found.expectations()
    extrapolated = fine + (fine - coarse) / 7
    assert extrapolated == pytest.approx(exact(eta), abs=3e-5)


def test_the_expectations_are_those_of_sampled_paths() -> None:
    """Euler's ancestral step on the problem itself, 40,000 paths, within four standard errors."""
    levels = grids.even(SIGMA_MAX, SIGMA_MIN, 8)
    target = Target("sampler", s.euler_ancestral)
    expected = chain(target, levels, Source.BROWNIAN).expectations
    paths, generator = 40_000, seeded_generator(5, 0)

    class Drawn:
        injects = True

        def stretch(self, sigma, sigma_next, like):
            z = torch.randn(like.shape, generator=generator, dtype=torch.float64)
            return z * torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)[:, None, None]

        def draw(self, number, like):
            raise AssertionError

    for i, driver in enumerate(DRIVERS):

        def model(x, sigma, driver=driver, **_):
            y, level = x[..., 0, 0], float(sigma[0])
            first, second = GAIN * y[:, 0], driver(y[:, 0], level)
            return torch.stack([first, second, y[:, 1] * THIRD(y[:, 0], level)], 1)[..., None, None]

        x = torch.zeros(paths, 3, 1, 1, dtype=torch.float64)
        x[:, 0] = START
        y = call(target, model, x, torch.tensor(levels, dtype=torch.float64), Drawn())[..., 0, 0]
        values = torch.stack([y[:, 1], y[:, 0] * y[:, 1], y[:, 1] ** 2, y[:, 2]], 1)
        errors = values.std(0) / paths**0.5
        off = (values.mean(0) - torch.from_numpy(expected[2 + 4 * i : 6 + 4 * i])).abs()
        assert (off < 4 * errors).all(), off / errors


def test_a_method_of_two_calls_has_order_two_where_gaussian_data_show_three() -> None:
    assert study(s.flow_midpoint).estimates_a_step == 2
    assert study(s.flow_midpoint).weak_curve.order.value == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize(
    ("sampler", "estimates"),
    [(s.euler, 1), (s.heun, 2), (s.two_m, 2), (s.three_m, 3), (s.three_s, 3), (s.two_m_sde, 2)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_estimates_that_a_step_uses_are_counted(sampler: Callable, estimates: int) -> None:
    assert study(sampler).estimates_a_step == estimates


def test_a_sampler_that_is_not_affine_in_its_estimates_is_refused() -> None:
    with pytest.raises(NotAffine, match="estimates"):
        _ = study(s.thresholded(s.euler)).weak_curve
    with pytest.raises((NotAffine, BatchDependent)):
        _ = study(s.rows_meet(s.euler)).weak_curve


def test_noise_that_no_path_can_carry_has_no_strong_order() -> None:
    assert study("seeds-2s", "even", (8, 16, 32)).strong_curve is None
    own = functools.partial(lambda model, x, sigmas: s.euler_ancestral(model, x, sigmas))
    drawn, given = study(own), study(s.euler_ancestral)
    assert drawn.strong_curve is not None
    assert given.strong_curve is not None
    assert drawn.strong_curve.errors == pytest.approx(given.strong_curve.errors, abs=1e-12)


def test_an_order_lost_on_curved_data_alone_is_seen() -> None:
    """SEEDS-2M's node at 1/2: order 1, and 2 on Gaussian data."""
    wrong = study(functools.partial(s.two_noises, joint=False))
    assert wrong.weak_curve.order.value == pytest.approx(1, abs=0.1)
    assert wrong.strong_curve is not None
    assert wrong.strong_curve.order.verdict is Verdict.standing


@pytest.mark.parametrize("kind", ["even", "stretched", "uneven"])
def test_grids_descend_between_their_ends(kind: str) -> None:
    levels = np.array(getattr(grids, kind)(5.0, 0.1, 16))
    assert levels[[0, -1]] == pytest.approx([5.0, 0.1], rel=1e-14)
    steps = -np.diff(np.log(levels))
    assert (steps > 0).all()
    assert len(levels) == 17
    ratios = steps[1:] / steps[:-1]
    if kind == "even":
        assert ratios == pytest.approx(1.0)
    elif kind == "stretched":
        assert (ratios > 1).all()
        assert (ratios < 1.1).all()
    else:
        assert ratios[::2] == pytest.approx(2.1, abs=0.2)
        assert ratios[1::2] == pytest.approx(0.55, abs=0.06)

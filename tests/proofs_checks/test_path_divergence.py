"""Divergences of paths, the bound along paths, and the expansion for exact denoisers."""

import math

import numpy as np
import pytest

from proofs_checks.contraction import bounded_and_smoothed, log_concave, strong_bound
from proofs_checks.martingale_expansion import COEFFICIENTS, defects
from proofs_checks.path_divergence import (
    bound_by_dimension,
    bound_by_information,
    discretisation,
    energy,
    information,
    least_error,
    model_part,
    ratios,
)
from seeds_theory import uniform_log_snr

SPREAD = np.array([2.0, 0.3, 0.01])
GRID = uniform_log_snr(5.0, 0.1, 8)


def test_an_infinite_level_has_the_ratio_0():
    assert ratios([math.inf, 2.0]).tolist() == [0.0, 0.25]
    first = discretisation(SPREAD, [math.inf, 2.0])
    assert first == pytest.approx(0.125 * SPREAD.sum() - float(information(SPREAD, 0.25)))


def test_the_excess_is_the_left_sum_of_the_least_error_less_the_information():
    gamma = ratios(GRID)
    left = 0.5 * (np.diff(gamma) * least_error(SPREAD, gamma[:-1])).sum()
    gained = np.diff(information(SPREAD, gamma[[0, -1]]))[0]
    assert discretisation(SPREAD, GRID) == pytest.approx(left - gained, rel=1e-12)


def test_at_eta_1_the_energy_is_the_identity():
    shifts = np.linspace(0.01, 0.2, 24).reshape(8, 3)
    parts = discretisation(SPREAD, GRID) + model_part(GRID, (shifts**2).sum(-1))
    assert energy(SPREAD, GRID, 1.0, shifts) == pytest.approx(parts, rel=1e-9)


@pytest.mark.parametrize("rate", [0.3, 3.0])
def test_away_from_eta_1_a_shift_costs_more(rate):
    shifts = np.full((8, 3), 0.1)
    added = energy(SPREAD, GRID, rate, shifts) - energy(SPREAD, GRID, rate)
    least = model_part(GRID, (shifts**2).sum(-1))
    assert added == pytest.approx((1 + rate) ** 2 / (4 * rate) * least, rel=1e-9)


def test_bounds_on_a_longer_grid_are_above_and_of_the_stated_form():
    gamma = ratios(GRID)
    first = float(gamma[0] * least_error(SPREAD, gamma[0]))
    gained = float(np.diff(information(SPREAD, gamma[[0, -2]]))[0])
    exact = discretisation(SPREAD, GRID)
    assert exact < bound_by_information(GRID, first, gained) < 20 * exact
    assert exact < bound_by_dimension(GRID, 3, first) < 20 * exact


def test_the_recursion_without_model_and_slope_adds_squares():
    least = np.array([3.0, 2.0, 0.5])
    bound = strong_bound([4.0, 2.0, 1.0], np.ones(2), np.zeros(2), least)
    assert bound == pytest.approx(0.75 * math.sqrt(2.5))
    started = strong_bound([4.0, 2.0, 1.0], np.full(2, 0.5), np.zeros(2), np.ones(3), start=8.0)
    assert started == pytest.approx(2.0)


def test_contractions_telescope():
    product = np.prod(log_concave(GRID, 0.7))
    assert product == pytest.approx((0.7 + 0.01) / (0.7 + 25))
    fine = uniform_log_snr(5.0, 0.5, 4000)
    wide = np.prod(bounded_and_smoothed(fine, 0.2, 0.6))
    ends = 0.36 * (1 / (0.2 + 0.25) - 1 / (0.2 + 25))
    assert wide == pytest.approx((0.45 / 25.2) * math.exp(ends), rel=1e-3)
    assert wide < (0.45 / 25.2) * math.exp(ends)


def test_the_midpoint_has_the_defects_of_its_order():
    at = {"b2": 1, "b3": 0, "a32": 0, "c2": 0.5, "c3": 0, "k2": 0.5, "k3": 0, "k23": 0}
    values = {
        key: float(value.as_expr().subs({name: at[name] for name in COEFFICIENTS}))
        for key, value in defects().items()
    }
    left = {key: value for key, value in values.items() if value}
    assert left == {(1, 3, "D1 D2"): -0.125, (3, 3, "D2"): -0.25}

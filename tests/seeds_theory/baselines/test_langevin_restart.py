"""Predictor-corrector and Restart: what their noise amounts to, and the laws they converge to."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from seeds_theory.baselines.edm import EDM_HEUN
from seeds_theory.baselines.langevin import PREDICTOR_CORRECTOR
from seeds_theory.baselines.restart import RESTART
from seeds_theory.grids import uniform_log_snr
from seeds_theory.plan import Interval
from seeds_theory.sources import InjectedNoise
from toy_models.convergence import fit_exact
from toy_models.gaussian import Gaussian
from toy_models.mixture import GaussianMixture
from toy_models.response import probe, strong_errors, weak_errors

ENDS = (20.0, 0.02)
DATA = Gaussian(torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.1, 1.0, 10.0]))
CURVED = GaussianMixture.scalar([0.3, 0.7], [-1.0, 1.2], [0.4, 0.6])
X = torch.linspace(-20, 20, 7, dtype=torch.float64)[:, None]
Z = torch.randn(12, 7, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


# ------------------------------------------------------------------------------ predictor-corrector


@pytest.mark.parametrize("eta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.75, 1.0])
def test_predictor_and_corrector_add_up_to_eta(share: float, eta: float) -> None:
    # Both the law and the path are those of the SDE of eta, however it is divided.
    steps, strong, weak = [64, 128, 256], [], []
    for n in steps:
        grid = uniform_log_snr(*ENDS, n)
        response = probe(
            lambda D, x, noise, g=grid: PREDICTOR_CORRECTOR(
                D, x, g, noise, eta=eta, corrector=share
            ),
            DATA,
        )
        strong.append(float(strong_errors(response, DATA, *ENDS, eta).norm()))
        weak.append(float(weak_errors(response, DATA, *ENDS).norm()))
    assert fit_exact(steps, strong).order == pytest.approx(1, abs=0.05)
    assert fit_exact(steps, weak).order == pytest.approx(1, abs=0.05)


def test_the_signal_to_noise_ratio_that_is_consistent() -> None:
    grid = uniform_log_snr(9.0, 0.1, 6)
    h, predictor, corrector = math.log(90) / 6, 0.5, 0.75
    total = predictor + corrector
    by_eta = PREDICTOR_CORRECTOR(
        CURVED, X, grid, InjectedNoise(Z), eta=total, corrector=corrector / total
    )
    by_snr = PREDICTOR_CORRECTOR(
        CURVED, X, grid, InjectedNoise(Z), eta=predictor, snr=math.sqrt(corrector * h / 2)
    )
    assert torch.allclose(by_eta, by_snr, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_a_fixed_ratio_has_a_biased_limit(eta: float) -> None:
    # v / (1 - r^2 t^2 / v), with v = c + t^2.
    snr, ends = 0.4, (4.0, 0.5)
    v = DATA.variances + ends[1] ** 2
    limit = v / (1 - snr**2 * ends[1] ** 2 / v)
    steps, errors = [100, 200, 400], []
    for n in steps:
        grid = uniform_log_snr(*ends, n)
        response = probe(
            lambda D, x, noise, g=grid: PREDICTOR_CORRECTOR(D, x, g, noise, eta=eta, snr=snr), DATA
        )
        found = response.variance(DATA.variances + ends[0] ** 2)
        errors.append(float(((found - limit) / limit).abs().max()))
    assert fit_exact(steps, errors).order == pytest.approx(1, abs=0.05)
    assert errors[-1] < 0.2 * float(((limit - v) / v).abs().max())


def test_a_corrector_that_does_nothing_calls_nothing() -> None:
    assert PREDICTOR_CORRECTOR.nfe([3.0, 1.0, 0.5], corrector=0.0) == 2
    assert PREDICTOR_CORRECTOR.nfe([3.0, 1.0, 0.5], eta=0.0, snr=0.1) == 4


def test_a_corrector_beyond_eta_has_a_path_of_its_own() -> None:
    asked: list[Interval] = []

    def source(intervals: list[Interval], like: Tensor) -> Tensor:
        asked.extend(intervals)
        return like.new_zeros((len(intervals), *like.shape))

    PREDICTOR_CORRECTOR(CURVED, X, [3.0, 1.0], source, eta=1.0, snr=0.1)
    assert [(i.sigma, i.sigma_next, i.path) for i in asked] == [(3.0, 1.0, 0), (3.0, 1.0, 1)]
    asked.clear()
    PREDICTOR_CORRECTOR(CURVED, X, [4.0, 1.0], source, eta=1.0)
    assert [(i.sigma, i.sigma_next, i.path) for i in asked] == [(4.0, 2.0, 0), (2.0, 1.0, 0)]


# ----------------------------------------------------------------------------------------- Restart


def by_hand(x: Tensor, z: Tensor, repeats: int) -> Tensor:
    """Down [9, 3, 1, 0.5, 0.2], with the interval [0.5, 3]."""
    x = EDM_HEUN(CURVED, x, [9.0, 3.0, 1.0, 0.5])
    for k in range(repeats):
        x = x + math.sqrt(3.0**2 - 0.5**2) * z[k]
        x = EDM_HEUN(CURVED, x, [3.0, 1.0, 0.5])
    return EDM_HEUN(CURVED, x, [0.5, 0.2])


@pytest.mark.parametrize("repeats", [0, 1, 3])
def test_restart_goes_back_up_and_down_again(repeats: int) -> None:
    grid, interval = [9.0, 3.0, 1.0, 0.5, 0.2], {"t_min": 0.45, "t_max": 3.0}
    expected = by_hand(X, Z, repeats)
    found = RESTART(CURVED, X, grid, InjectedNoise(Z), eta=repeats, **interval)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    found = RESTART(CURVED, X, grid, InjectedNoise(Z), repeats=repeats, **interval)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert RESTART.nfe(grid, eta=repeats, **interval) == 8 + 4 * repeats


def test_every_repeat_has_noise_of_its_own() -> None:
    asked: list[Interval] = []

    def source(intervals: list[Interval], like: Tensor) -> Tensor:
        asked.extend(intervals)
        return like.new_zeros((len(intervals), *like.shape))

    RESTART(CURVED, X, [9.0, 3.0, 1.0, 0.5, 0.2], source, eta=2, t_min=0.5, t_max=3.0)
    assert [(i.sigma, i.sigma_next, i.path) for i in asked] == [(3.0, 0.5, 1), (3.0, 0.5, 2)]
    asked.clear()
    RESTART(CURVED, X, [9.0, 3.0, 1.0, 0.5, 0.2], source, eta=2, t_min=0.6, t_max=2.0)
    assert not asked  # one point: nothing to repeat


@pytest.mark.parametrize("repeats", [1, 4])
def test_restart_over_the_whole_grid_has_order_2_in_law(repeats: int) -> None:
    steps, weak = [32, 64, 128], []
    for n in steps:
        grid = uniform_log_snr(*ENDS, n)
        response = probe(
            lambda D, x, noise, g=grid: RESTART(
                D, x, g, noise, eta=repeats, t_min=0.01, t_max=30.0
            ),
            DATA,
        )
        weak.append(float(weak_errors(response, DATA, *ENDS).norm()))
    assert fit_exact(steps, weak).order == pytest.approx(2, abs=0.05)


def test_the_intervals_of_restart_end_at_grid_points() -> None:
    # Any ends between the same points are the same sampler.
    grid, z = uniform_log_snr(9.0, 0.1, 10), Z[:2]
    inside = [level for level in grid if 0.3 <= level <= 4.0]
    narrow = {"t_min": inside[-1], "t_max": inside[0]}
    ends = [
        RESTART(CURVED, X, grid, InjectedNoise(z), eta=2, **options)
        for options in (narrow, {"t_min": 0.3, "t_max": 4.0})
    ]
    assert torch.equal(*ends)
    assert all(a > b for a, b in itertools.pairwise(inside))

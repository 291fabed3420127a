"""ER-SDE solvers: coefficients against their integrals, both noise scales, the published differences."""

import math
from functools import partial

import mpmath as mp
import pytest
import torch
from torch import Tensor

from seeds_theory.baselines.er_sde import (
    ER_SDE_1,
    ER_SDE_2,
    ER_SDE_3,
    er_sde_5_excess,
    eta_excess,
    eta_taylor,
    quadrature,
)
from seeds_theory.baselines.run import Baseline
from seeds_theory.errors import ParameterError
from seeds_theory.grids import rho_grid, uniform_log_snr
from seeds_theory.sources import InjectedNoise
from toy_models.convergence import fit_exact
from toy_models.gaussian import Gaussian
from toy_models.response import probe, weak_errors

GENERATOR = torch.Generator().manual_seed(1)
X = 20 * torch.randn(4, 2, dtype=torch.float64, generator=GENERATOR)
Z = torch.randn(8, 4, 2, dtype=torch.float64, generator=GENERATOR)
GRID = [20.0, 9.0, 5.0, 2.1, 1.2, 0.5, 0.3]
LENGTHS = [1e-6, 1e-3, 0.1, 1.0, 6.0]


def curved(x: Tensor, sigma: float) -> Tensor:
    return torch.tanh(x / sigma**2)


def far(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def er_sde_5(sigma: mp.mpf) -> mp.mpf:
    return sigma * (mp.exp(sigma ** mp.mpf("0.3")) + 10)


def published_coefficient(noise_scale, k: int, t: float, h: float) -> float:
    """c_k as the paper writes it, with digits enough for its subtraction."""
    with mp.workdps(40):
        t, s = mp.mpf(t), t * mp.exp(mp.mpf(h))
        integral = mp.quad(lambda sigma: (sigma - s) ** (k - 1) / noise_scale(sigma), [t, s])
        return float((t - s) ** k / mp.factorial(k) + noise_scale(t) * integral)


@pytest.mark.parametrize("h", LENGTHS)
@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("eta", [0.0, 0.3, 0.5, 1.0, 2.0])
def test_closed_form_and_quadrature_are_the_published_integrals(
    eta: float, k: int, h: float
) -> None:
    exact = published_coefficient(lambda sigma: sigma ** (1 + mp.mpf(eta)), k, 0.7, h)
    assert eta_taylor(eta, k, 0.7, h) == pytest.approx(exact, rel=1e-12)
    assert quadrature(partial(eta_excess, eta), k, 0.7, h) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("h", LENGTHS)
@pytest.mark.parametrize("t", [1e-3, 0.7, 20.0])
def test_er_sde_5_is_the_published_scale(t: float, h: float) -> None:
    with mp.workdps(40):
        s = t * mp.exp(mp.mpf(h))
        excess = float(mp.log(er_sde_5(s) / s * t / er_sde_5(mp.mpf(t))))
    assert er_sde_5_excess(t, h) == pytest.approx(excess, rel=1e-12)
    for k in (1, 2):
        exact = published_coefficient(er_sde_5, k, t, h)
        assert quadrature(er_sde_5_excess, k, t, h) == pytest.approx(exact, rel=1e-12)


def test_er_sde_5_does_not_overflow() -> None:
    assert er_sde_5_excess(1e20, 0.1) == pytest.approx(1e6 * math.expm1(0.03), rel=1e-12)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_solver_3_by_hand(eta: float) -> None:
    """The published lines, phi = sigma^(1 + eta), integrals by mpmath."""

    def scale(sigma: float) -> float:
        return sigma ** (1 + eta)

    x, D, slopes = X, [], []
    for n in range(len(GRID) - 1):
        s, t = GRID[n], GRID[n + 1]
        D.append(curved(x, s))
        r = scale(t) / scale(s)
        x = r * x + (1 - r) * D[n] + math.sqrt(max(t**2 - s**2 * r**2, 0.0)) * Z[n]
        if n > 0:
            slopes.append((D[n] - D[n - 1]) / (s - GRID[n - 1]))
            x = x + published_coefficient(scale, 1, t, math.log(s / t)) * slopes[-1]
        if n > 1:
            second = 2 * (slopes[-1] - slopes[-2]) / (s - GRID[n - 2])
            x = x + published_coefficient(scale, 2, t, math.log(s / t)) * second
    assert far(ER_SDE_3(curved, X, GRID, InjectedNoise(Z), eta=eta), x) <= 1e-12


def test_solver_3_by_hand_with_er_sde_5() -> None:
    def scale(sigma: float) -> float:
        return float(er_sde_5(mp.mpf(sigma)))

    x, D = X, []
    for n in range(2):
        s, t = GRID[n], GRID[n + 1]
        D.append(curved(x, s))
        r = scale(t) / scale(s)
        x = r * x + (1 - r) * D[n] + math.sqrt(t**2 - s**2 * r**2) * Z[n]
    slope = (D[1] - D[0]) / (GRID[1] - GRID[0])
    x = x + published_coefficient(er_sde_5, 1, GRID[2], math.log(GRID[1] / GRID[2])) * slope
    found = ER_SDE_3(curved, X, GRID[:3], InjectedNoise(Z), noise_scale="er-sde-5")
    assert far(found, x) <= 1e-12


@pytest.mark.parametrize("grid", [uniform_log_snr, rho_grid])
@pytest.mark.parametrize(
    ("baseline", "order"), [(ER_SDE_1, 1), (ER_SDE_2, 2), (ER_SDE_3, 2)], ids=str
)
def test_er_sde_5_tends_to_the_same_law(baseline: Baseline, order: int, grid) -> None:
    data = Gaussian(torch.tensor([-1.0, 1.0, 2.0]), torch.tensor([0.1, 1.0, 100.0]))
    errors, steps = [], (64, 128, 256)
    for n in steps:
        levels = grid(20.0, 0.5, n)
        response = probe(
            lambda D, x, z, levels=levels: baseline(D, x, levels, z, noise_scale="er-sde-5"), data
        )
        errors.append(float(weak_errors(response, data, 20.0, 0.5).norm()))
    assert fit_exact(steps, errors).order == pytest.approx(order, abs=0.05)


@pytest.mark.parametrize("noise_scale", ["er-sde-4", "", None, 5])
def test_other_noise_scales_are_refused(noise_scale: object) -> None:
    with pytest.raises(ParameterError, match="noise scales are"):
        ER_SDE_2(curved, X, GRID, noise_scale=noise_scale)


def test_er_sde_5_has_no_ode() -> None:
    with pytest.raises(ParameterError, match="an eta of its own"):
        ER_SDE_2(curved, X, GRID, noise_scale="er-sde-5", eta=0.0)

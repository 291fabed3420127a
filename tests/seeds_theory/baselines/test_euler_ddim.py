"""Euler, DDIM, DDPM, gDDIM, stochastic Heun: one step is the same as another method's, or is not."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from seeds_theory.baselines.ddim import DDIM, DDPM
from seeds_theory.baselines.dpm_solver import SDE_DPM_SOLVER_PP_1
from seeds_theory.baselines.euler import EULER, EULER_MARUYAMA
from seeds_theory.baselines.gddim import GDDIM
from seeds_theory.baselines.stochastic_heun import STOCHASTIC_HEUN
from seeds_theory.loop import follow
from seeds_theory.plan import make_plan
from seeds_theory.sources import InjectedNoise
from toy_models.mixture import GaussianMixture

GRID = [9.0, 3.0, 2.9999, 1.0, 0.2, 0.1, 0.0]
MODEL = GaussianMixture.scalar([0.3, 0.7], [-1.0, 1.2], [0.4, 0.6])
X = torch.linspace(-20, 20, 7, dtype=torch.float64)[:, None]
Z = torch.randn(5, 7, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def close(found: Tensor, expected: Tensor) -> bool:
    return float((found - expected).abs().max()) <= 1e-12 * float(expected.abs().max())


def seeds_1(eta: float, prediction: str = "data") -> Tensor:
    plan = make_plan("seeds-1", GRID, eta=eta, prediction=prediction)
    return follow(MODEL, X, plan, InjectedNoise(Z))


@pytest.mark.parametrize("baseline", [DDIM, DDPM, GDDIM, SDE_DPM_SOLVER_PP_1], ids=lambda b: b.name)
def test_at_eta_1_they_are_seeds_1(baseline) -> None:
    assert close(baseline(MODEL, X, GRID, InjectedNoise(Z), eta=1.0), seeds_1(1.0))


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0, 2.0])
def test_gddim_is_seeds_1_at_every_eta(eta: float) -> None:
    assert close(GDDIM(MODEL, X, GRID, InjectedNoise(Z), eta=eta), seeds_1(eta))


@pytest.mark.parametrize("prediction", ["data", "noise"])
def test_without_noise_ddim_is_euler_in_sigma_and_seeds_1(prediction: str) -> None:
    for baseline in (DDIM, EULER, GDDIM):
        assert close(baseline(MODEL, X, GRID, eta=0.0), seeds_1(0.0, prediction))


def test_ddim_with_some_noise_is_another_method() -> None:
    ddim = DDIM(MODEL, X, GRID, InjectedNoise(Z), eta=0.5)
    assert float((ddim - seeds_1(0.5)).abs().max()) > 1e-3


@pytest.mark.parametrize("eta", [0.25, 1.0, 1.5])
def test_ddim_is_the_split_of_its_end_noise(eta: float) -> None:
    x = X
    for (s, t), z in zip(itertools.pairwise(GRID[:-1]), Z, strict=True):
        up = min(t, math.sqrt(eta) * (t**2 * (s**2 - t**2) / s**2) ** 0.5)
        down = (t**2 - up**2) ** 0.5
        D = MODEL(x, s)
        x = x + (x - D) / s * (down - s) + up * z
    found = DDIM(MODEL, X, GRID[:-1], InjectedNoise(Z), eta=eta)
    assert torch.allclose(found, x, rtol=1e-12, atol=1e-12)


def test_more_noise_than_the_end_has_is_cut_off() -> None:
    z = Z[:1]
    found = DDIM(MODEL, X, [9.0, 1.0], InjectedNoise(z), eta=4.0)
    assert close(found, MODEL(X, 9.0) + z[0])


def log_snr_ode(x: Tensor, lam: float) -> Tensor:
    return MODEL(x, math.exp(-lam)) - x


def test_without_noise_the_sde_methods_are_classical_in_the_log_snr() -> None:
    euler, heun = X, X
    for s, t in itertools.pairwise(GRID[:-1]):
        start, stop = -math.log(s), -math.log(t)
        h = stop - start
        euler = euler + h * log_snr_ode(euler, start)
        slope = log_snr_ode(heun, start)
        heun = heun + h / 2 * (slope + log_snr_ode(heun + h * slope, stop))
    assert close(EULER_MARUYAMA(MODEL, X, GRID[:-1], eta=0.0), euler)
    assert close(STOCHASTIC_HEUN(MODEL, X, GRID[:-1], eta=0.0), heun)


def test_the_stages_of_stochastic_heun_share_their_increment() -> None:
    # Of data at 0 the step is linear in z, and known by hand.
    s, t, eta = 1.0, 0.5, 0.7
    h, k = math.log(2), 1.7

    def at_zero(x: Tensor, sigma: float) -> Tensor:
        return torch.zeros_like(x)

    weight = (s + t) / 2 - k * h / 2 * s
    found = STOCHASTIC_HEUN(at_zero, 0 * X, [s, t], InjectedNoise(Z), eta=eta)
    assert close(found, weight * math.sqrt(2 * eta * h) * Z[0])
    found = EULER_MARUYAMA(at_zero, 0 * X, [s, t], InjectedNoise(Z), eta=eta)
    assert close(found, s * math.sqrt(2 * eta * h) * Z[0])

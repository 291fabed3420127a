"""DPM-Solver++ 2M and 3M: the published lines, their limits, and the curvature that is missing from them."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from seeds_theory.baselines.dpm_multistep import (
    DPM_SOLVER_PP_2M,
    DPM_SOLVER_PP_3M,
    SDE_DPM_SOLVER_PP_2M,
    SDE_DPM_SOLVER_PP_3M,
)
from seeds_theory.baselines.run import Baseline
from seeds_theory.baselines.sa_solver import SA_SOLVER
from seeds_theory.baselines.unipc import unified_step
from seeds_theory.grids import uniform_log_snr
from seeds_theory.sources import InjectedNoise
from toy_models.convergence import fit_exact
from toy_models.gaussian import Gaussian
from toy_models.response import probe, strong_errors, weak_errors

GRID = [20.0, 9.0, 5.0, 2.1, 1.2, 0.5, 0.3]
GENERATOR = torch.Generator().manual_seed(1)
X = 20 * torch.randn(4, 2, dtype=torch.float64, generator=GENERATOR)
Z = torch.randn(len(GRID), 4, 2, dtype=torch.float64, generator=GENERATOR)


def curved(x: Tensor, sigma: float) -> Tensor:
    return torch.tanh(x / sigma**2)


def far(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def published_2m(eta: float) -> Tensor:
    """2M as lines of lambda, alpha = 1, with D_0 and D_{-1} in the midpoint form of the paper."""
    x, lambdas = X, [-math.log(sigma) for sigma in GRID]
    D = [torch.zeros_like(X)]
    for n in range(len(GRID) - 1):
        h = lambdas[n + 1] - lambdas[n]
        D.append(curved(x, GRID[n]))
        mixed = D[-1]
        if n > 0:
            r = (lambdas[n] - lambdas[n - 1]) / h
            mixed = (1 + 1 / (2 * r)) * D[-1] - 1 / (2 * r) * D[-2]
        x = (
            GRID[n + 1] / GRID[n] * math.exp(-eta * h) * x
            + (1 - math.exp(-(1 + eta) * h)) * mixed
            + GRID[n + 1] * math.sqrt(1 - math.exp(-2 * eta * h)) * Z[n]
        )
    return x


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_2m_is_the_published_one(eta: float) -> None:
    found = SDE_DPM_SOLVER_PP_2M(curved, X, GRID, InjectedNoise(Z), eta=eta)
    assert far(found, published_2m(eta)) <= 1e-13


@pytest.mark.parametrize(
    ("ode", "sde"),
    [(DPM_SOLVER_PP_2M, SDE_DPM_SOLVER_PP_2M), (DPM_SOLVER_PP_3M, SDE_DPM_SOLVER_PP_3M)],
)
def test_without_noise_the_sde_solver_is_the_ode_solver(ode: Baseline, sde: Baseline) -> None:
    assert torch.equal(ode(curved, X, GRID), sde(curved, X, GRID, eta=0.0))


@pytest.mark.parametrize("eta", [0.01, 0.5, 1.0, 2.0])
def test_3m_is_exponential_adams_bashforth(eta: float) -> None:
    three = SDE_DPM_SOLVER_PP_3M(curved, X, GRID, InjectedNoise(Z), eta=eta)
    adams = SA_SOLVER(curved, X, GRID, InjectedNoise(Z), eta=eta, corrector_steps=0)
    assert far(three, adams) <= 1e-13


def test_2m_is_unip_2() -> None:
    x, past = X, []
    for s, t in itertools.pairwise(GRID):
        past = [(s, curved(x, s)), *past][:2]
        x = unified_step(x, t, past, [], "bh2")
    assert far(DPM_SOLVER_PP_2M(curved, X, GRID), x) <= 1e-13


# The published 3M: half the curvature. An order is lost at eta = 0, and none at eta = 1.


def orders(eta: float, steps: tuple[int, ...]) -> tuple[float | None, float | None]:
    data = Gaussian(torch.tensor([-1.0, 1.0, 2.0]), torch.tensor([0.1, 1.0, 100.0]))
    strong, weak = [], []
    for n in steps:
        grid = uniform_log_snr(20.0, 0.5, n)
        response = probe(
            lambda D, x, z, grid=grid: SDE_DPM_SOLVER_PP_3M(
                D, x, grid, z, eta=eta, as_published=True
            ),
            data,
        )
        strong.append(float(strong_errors(response, data, 20.0, 0.5, eta).norm()))
        weak.append(float(weak_errors(response, data, 20.0, 0.5).norm()))
    return fit_exact(steps, strong).order, fit_exact(steps, weak).order


def test_the_published_3m_has_order_2() -> None:
    assert orders(0.0, (64, 128, 256))[0] == pytest.approx(2, abs=0.05)
    assert orders(1.0, (64, 128, 256)) == pytest.approx((1, 2), abs=0.05)


def published_3m(eta: float) -> Tensor:
    """3M in the notation of the public codes: their phi_3 is -kappa h times ours."""
    x, lambdas = X, [-math.log(sigma) for sigma in GRID]
    D: list[Tensor] = []
    for n in range(len(GRID) - 1):
        h = lambdas[n + 1] - lambdas[n]
        h_eta = (1 + eta) * h
        phi_2 = math.expm1(-h_eta) / h_eta + 1
        phi_3 = phi_2 / h_eta - 0.5
        D.append(curved(x, GRID[n]))
        x = math.exp(-h_eta) * x - math.expm1(-h_eta) * D[n]
        if n == 1:
            r0 = (lambdas[1] - lambdas[0]) / h
            x = x + phi_2 * (D[1] - D[0]) / r0
        if n > 1:
            r0, r1 = ((lambdas[n - j] - lambdas[n - j - 1]) / h for j in (0, 1))
            D1_0, D1_1 = (D[n] - D[n - 1]) / r0, (D[n - 1] - D[n - 2]) / r1
            D1 = D1_0 + r0 / (r0 + r1) * (D1_0 - D1_1)
            D2 = (D1_0 - D1_1) / (r0 + r1)
            x = x + phi_2 * D1 - phi_3 * D2
        x = x + GRID[n + 1] * math.sqrt(1 - math.exp(-2 * eta * h)) * Z[n]
    return x


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_as_published_is_the_published_one(eta: float) -> None:
    found = SDE_DPM_SOLVER_PP_3M(curved, X, GRID, InjectedNoise(Z), eta=eta, as_published=True)
    assert far(found, published_3m(eta)) <= 1e-12
    mended = SDE_DPM_SOLVER_PP_3M(curved, X, GRID, InjectedNoise(Z), eta=eta)
    assert far(found, mended) >= 1e-4

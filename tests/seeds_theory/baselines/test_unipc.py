"""UniPC: its coefficients, its corrector by hand, the role of B(h)."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from seeds_theory.baselines.adams import Values, exponential_weights
from seeds_theory.baselines.run import Baseline
from seeds_theory.baselines.unipc import UNIPC_2, UNIPC_3, coefficients, unified_step
from seeds_theory.errors import ParameterError
from seeds_theory.grids import uniform_log_snr
from toy_models.convergence import fit_exact
from toy_models.gaussian import Gaussian
from toy_models.response import probe, strong_errors

GRID = [20.0, 9.0, 5.0, 2.1, 1.2, 0.5, 0.3]
GENERATOR = torch.Generator().manual_seed(1)
X = 20 * torch.randn(4, 2, dtype=torch.float64, generator=GENERATOR)
D = torch.randn(4, 4, 2, dtype=torch.float64, generator=GENERATOR)


def curved(x: Tensor, sigma: float) -> Tensor:
    return torch.tanh(x / sigma**2)


def far(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("variant", ["bh1", "bh2"])
@pytest.mark.parametrize("t", [1.5, 1.999, 2 - 1e-6])
@pytest.mark.parametrize(
    ("past", "ahead"), [([0, 1, 2], []), ([0, 1], [3]), ([0, 1, 2], [3])], ids=["P3", "C2", "C3"]
)
def test_with_two_differences_or_more_it_is_exact_interpolation(
    past: list[int], ahead: list[int], t: float, variant: str
) -> None:
    levels = [2.0, 2.2, 3.1, t]
    known: Values = [(levels[i], D[i]) for i in past]
    new: Values = [(levels[i], D[i]) for i in ahead]
    weights = exponential_weights(1.0, 2.0, t, [levels[i] for i in (*past, *ahead)])
    adams = t / 2 * X
    for weight, i in zip(weights, (*past, *ahead), strict=True):
        adams = adams + weight * D[i]
    assert far(unified_step(X, t, known, new, variant), adams) <= 1e-13


@pytest.mark.parametrize("h", [1e-6, 1e-3, 0.3, 2.0])
@pytest.mark.parametrize("r", [[-0.7, -2.1], [-1.0, 1.0], [-0.7, -2.1, 1.0]])
def test_the_coefficients_solve_their_equations(r: list[float], h: float) -> None:
    B = -math.expm1(-h)
    theta, weights = np.polynomial.legendre.leggauss(30)
    theta = (1 + theta) / 2
    for k in range(1, len(r) + 1):
        moment = float((weights * h * np.exp(-h * (1 - theta)) * theta**k).sum() / 2)
        total = sum(a * r_m ** (k - 1) for a, r_m in zip(coefficients(r, h, B), r, strict=True))
        assert B * total == pytest.approx(moment, rel=1e-12)


def unipc_2_by_hand(variant: str) -> Tensor:
    """Three steps of UniPC-2, written out."""
    s, m, t, u = 9.0, 5.0, 3.5, 2.0
    B = (lambda h: h) if variant == "bh1" else (lambda h: 1 - math.exp(-h))
    h = math.log(s / m)
    D_s = curved(X, s)
    base = m / s * X + (1 - math.exp(-h)) * D_s
    D_m = curved(base, m)  # UniP-1
    x_m = base + B(h) * 0.5 * (D_m - D_s)  # UniC-1
    h, r = math.log(m / t), math.log(m / s) / math.log(m / t)
    base = t / m * x_m + (1 - math.exp(-h)) * D_m
    D_t = curved(base + B(h) * 0.5 / r * (D_s - D_m), t)  # UniP-2
    a, c = coefficients([r, 1.0], h, B(h))
    x_t = base + B(h) * (a / r * (D_s - D_m) + c * (D_t - D_m))  # UniC-2
    h, r = math.log(t / u), math.log(t / m) / math.log(t / u)
    base = u / t * x_t + (1 - math.exp(-h)) * D_t
    return base + B(h) * 0.5 / r * (D_m - D_t)  # UniP-2, not corrected


@pytest.mark.parametrize("variant", ["bh1", "bh2"])
def test_three_steps_by_hand(variant: str) -> None:
    found = UNIPC_2(curved, X, [9.0, 5.0, 3.5, 2.0], variant=variant)
    assert far(found, unipc_2_by_hand(variant)) <= 1e-13


def test_bh2_is_the_default_and_differs() -> None:
    assert torch.equal(UNIPC_2(curved, X, GRID), UNIPC_2(curved, X, GRID, variant="bh2"))
    assert far(UNIPC_2(curved, X, GRID), UNIPC_2(curved, X, GRID, variant="bh1")) > 1e-4


@pytest.mark.parametrize("baseline", [UNIPC_2, UNIPC_3], ids=lambda b: b.name)
def test_bh1_has_the_same_order(baseline: Baseline) -> None:
    data = Gaussian(torch.tensor([-1.0, 2.0]), torch.tensor([1.0, 400.0]))
    errors, steps = [], (64, 128, 256)
    for n in steps:
        grid = uniform_log_snr(20.0, 0.5, n)
        response = probe(lambda D, x, z, grid=grid: baseline(D, x, grid, z, variant="bh1"), data)
        errors.append(float(strong_errors(response, data, 20.0, 0.5, 0.0).norm()))
    assert fit_exact(steps, errors).order == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("variant", ["bh3", "", None, 1])
def test_other_variants_are_refused(variant: object) -> None:
    with pytest.raises(ParameterError, match="'bh1' or 'bh2'"):
        UNIPC_2(curved, X, GRID, variant=variant)

"""The law of samples under guidance between two Gaussians."""

from __future__ import annotations

import math

import pytest
import torch

from seeds_theory import GeneratorNoise, follow, make_plan, uniform_log_snr
from seeds_theory.errors import ParameterError
from toy_models.guided import GuidedGaussian

START = (0.0, 1e8)


def test_its_denoiser_is_the_formula() -> None:
    data = GuidedGaussian(0.25, 2.0, 3.0, mean=-0.4)
    x = torch.tensor([[0.3], [-2.0]], dtype=torch.float64)
    for sigma in (0.1, 1.0, 20.0):
        u = sigma**2
        g = 3.0 / (0.25 + u) - 2.0 / (2.0 + u)
        expected = x - u * g * x + u * 3.0 * -0.4 / (0.25 + u)
        assert torch.allclose(data(x, sigma), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0, 7.0])
def test_without_guidance_it_is_the_class(eta: float) -> None:
    mean, variance = GuidedGaussian(0.25, 2.0, 1.0, mean=0.7).law(eta, (0.7, 1e8 + 0.25), 1e4)
    assert mean == pytest.approx(0.7, rel=1e-9)
    assert variance == pytest.approx(0.25, rel=1e-7)


def test_closed_forms() -> None:
    data = GuidedGaussian(0.25, 1.0, 2.0)
    assert data.law(0.0, START, 1e4)[1] == pytest.approx(0.25**2, rel=1e-7)
    assert data.law(1.0, START, 1e4)[1] == pytest.approx(0.25 * 1.3125 / 3, rel=1e-7)
    assert data.tilted == (0.0, pytest.approx(0.25 / 1.75))
    for eta in (1e4, 1e6):
        assert data.law(eta, START, 1e4)[1] == pytest.approx(data.tilted[1], rel=2 / eta)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_samples_have_the_law(eta: float) -> None:
    data, count, high, low = GuidedGaussian(0.25, 1.0, 2.0, mean=0.7), 40_000, 10.0, 0.05
    plan = make_plan("seeds-3s", uniform_log_snr(high, low, 60), eta=eta)
    generator = torch.Generator().manual_seed(3)
    x = math.sqrt(high**2 + 1) * torch.randn(count, 1, generator=generator, dtype=torch.float64)
    found = follow(data, x, plan, GeneratorNoise(generator)).flatten()
    mean, variance = data.law(eta, (0.0, high**2 + 1), high, low)
    assert abs(float(found.mean()) - mean) < 4 * math.sqrt(variance / count)
    assert abs(float(found.var()) - variance) < 4 * variance * math.sqrt(2 / count)


@pytest.mark.parametrize("wrong", [(0.0, 1.0, 1.0), (1.0, -1.0, 2.0), (4.0, 1.0, 2.0)])
def test_a_guided_density_that_is_none(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ParameterError, match="positive"):
        GuidedGaussian(*wrong)

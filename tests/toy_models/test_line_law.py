import math

import pytest
import torch

from toy_models import Gaussian
from toy_models.line_law import exact_wave_means, wave_means
from toy_models.mixture import CURVED, GaussianMixture


def exact_step(y, sigma, sigma_next, z):
    """The exact solution at eta = 1 for a standard normal as data, started right."""
    gain = (1 + sigma_next**2) / (1 + sigma**2)
    spread = 1 + sigma_next**2 - gain**2 * (1 + sigma**2)
    return gain * y + math.sqrt(spread) * z[0]


def test_an_exact_sampler_has_the_exact_means():
    data = GaussianMixture([1.0], [Gaussian.scalar(1.0)])
    levels = [4.0 * 2 ** (-k / 2) for k in range(7)]
    found = wave_means(exact_step, 1, data, levels)
    torch.testing.assert_close(found, exact_wave_means(data, 0.5), atol=2e-6, rtol=0)


def test_exact_means_are_the_characteristic_function():
    waves = exact_wave_means(GaussianMixture([1.0], [Gaussian.scalar(0.25, 1.0)]), 0.5)
    k = 0.8
    assert float(waves[0, 1]) == pytest.approx(math.cos(k) * math.exp(-(k**2) / 4), abs=1e-12)
    assert float(waves[1, 1]) == pytest.approx(math.sin(k) * math.exp(-(k**2) / 4), abs=1e-12)


def test_a_sampler_that_forgets_its_noise_is_seen():
    still = wave_means(lambda y, s, t, z: y + 0 * z[0], 1, CURVED, (1.0, 0.5))
    assert float((still - exact_wave_means(CURVED, 0.5)).abs().max()) > 0.05

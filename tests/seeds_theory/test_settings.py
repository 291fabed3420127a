"""Settings for few calls: their grids, their numbers of calls, and what is asked of the caller."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from seeds_theory import GeneratorNoise, ParameterError, few_steps
from seeds_theory.settings import Setting, settings

KEYS = sorted(settings())


@pytest.mark.parametrize(("nfe", "eta"), KEYS)
def test_a_setting_keeps_within_its_calls(nfe: int, eta: float) -> None:
    setting = few_steps(nfe, eta=eta)
    calls = 0

    def denoiser(x: torch.Tensor, sigma: float) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return x / (1 + sigma**2)

    setting(denoiser, torch.zeros(2, 3), 1.0)
    assert calls == setting.nfe <= nfe
    assert setting.eta == eta


@pytest.mark.parametrize(("nfe", "eta"), KEYS)
def test_the_grid_is_uniform_in_log_snr_scales_with_the_data_and_ends_at_0(
    nfe: int, eta: float
) -> None:
    setting = few_steps(nfe, eta=eta)
    sigmas = setting.sigmas(3.0)
    assert sigmas[-1] == 0
    assert len(sigmas) == setting.steps + 1
    np.testing.assert_allclose(sigmas, 3.0 * setting.sigmas())
    ratios = [b / a for a, b in pairwise(sigmas[:-1])]
    np.testing.assert_allclose(ratios, ratios[0])


@pytest.mark.parametrize(("nfe", "eta"), KEYS)
def test_rescaled_data_are_sampled_alike(nfe: int, eta: float) -> None:
    setting, latents = few_steps(nfe, eta=eta), torch.randn(4, 3, dtype=torch.float64)

    def denoiser(width: float) -> object:
        return lambda x, sigma: width * torch.tanh(x / width) / (1 + (sigma / width) ** 2)

    def noise() -> GeneratorNoise:  # by the number of the step: the levels are others
        return GeneratorNoise(torch.Generator().manual_seed(1))

    small = setting(denoiser(1.0), latents, 1.0, noise=noise())
    large = setting(denoiser(8.0), latents, width=8.0, noise=noise())
    torch.testing.assert_close(large, 8.0 * small, rtol=1e-10, atol=1e-12)


def test_between_the_tuned_numbers_the_lower_one_is_taken() -> None:
    assert few_steps(13) == few_steps(10)
    assert few_steps(10**6) == few_steps(80)


def test_fewer_calls_than_were_tuned_are_refused_with_those_that_were() -> None:
    with pytest.raises(ParameterError, match="no setting for 5 model calls; tuned for 10, 20"):
        few_steps(5)
    with pytest.raises(ParameterError, match=r"for eta = 0 and eta = 1; got 0\.5"):
        few_steps(10, eta=0.5)


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan"), float("inf"), "wide", None])
def test_a_width_is_positive_and_finite(width: object) -> None:
    with pytest.raises(ParameterError, match="the width of the data is positive and finite"):
        few_steps(10).sigmas(width)  # type: ignore[arg-type]


def test_a_setting_that_is_changed_changes_no_other() -> None:
    few_steps(10).options["eta"] = 0.5
    assert few_steps(10).eta == 1.0


def test_a_setting_is_data() -> None:
    setting = Setting("seeds-3", 4, 10.0, 0.01, {"eta": 0.5})
    assert setting.nfe == 10
    assert setting.sampler.name == "seeds-3"
    assert setting.eta == 0.5


def test_the_first_level_can_be_bounded() -> None:
    setting = few_steps(10)
    sigmas = setting.sigmas(100.0, highest=80.0)
    assert sigmas[0] == pytest.approx(80.0)
    assert sigmas[-2] == pytest.approx(100.0 * setting.sigma_min)


def test_latents_are_floating_point() -> None:
    with pytest.raises(ParameterError, match="floating-point"):
        few_steps(10)(lambda x, sigma: x, torch.ones(2, 3, dtype=torch.int64), 1.0)

"""Settings for few calls: their grids, their numbers of calls, and what is asked of the caller."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from seeds_theory import GeneratorNoise, ParameterError, SeededNoise, few_steps, sample
from seeds_theory.kdiffusion import run
from seeds_theory.settings import ETAS, Setting, settings

KEYS = sorted(settings())
every = pytest.mark.parametrize(("nfe", "kind"), KEYS)


@every
def test_a_setting_keeps_within_its_calls(nfe: int, kind: str) -> None:
    setting = few_steps(nfe, eta=ETAS[kind])
    calls = 0

    def denoiser(x: torch.Tensor, sigma: float) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return x / (1 + sigma**2)

    setting(denoiser, torch.zeros(2, 3), 1.0)
    assert calls == setting.nfe <= nfe
    assert kind == "best" or setting.eta == ETAS[kind]


@every
def test_the_grid_is_of_its_spacing_scales_with_the_data_and_ends_at_0(nfe: int, kind: str) -> None:
    setting = few_steps(nfe, eta=ETAS[kind])
    sigmas = setting.sigmas(3.0)
    assert sigmas[-1] == 0
    assert len(sigmas) == setting.steps + 1
    np.testing.assert_allclose(sigmas, 3.0 * setting.sigmas())
    root = np.log(sigmas[:-1]) if setting.rho is None else sigmas[:-1] ** (1 / setting.rho)
    np.testing.assert_allclose(np.diff(root), np.diff(root)[0])


@every
def test_rescaled_data_are_sampled_alike(nfe: int, kind: str) -> None:
    setting, latents = few_steps(nfe, eta=ETAS[kind]), torch.randn(4, 3, dtype=torch.float64)

    def denoiser(width: float) -> object:
        return lambda x, sigma: width * torch.tanh(x / width) / (1 + (sigma / width) ** 2)

    def noise() -> GeneratorNoise:  # by the number of the step: the levels are others
        return GeneratorNoise(torch.Generator().manual_seed(1))

    small = setting(denoiser(1.0), latents, 1.0, noise=noise())
    large = setting(denoiser(8.0), latents, width=8.0, noise=noise())
    torch.testing.assert_close(large, 8.0 * small, rtol=1e-10, atol=1e-12)


def written(folder: Path, *entries: tuple[int, str, Setting]) -> Path:
    file = folder / "settings.json"
    rows = [{"nfe": n, "kind": kind, "setting": asdict(setting)} for n, kind, setting in entries]
    file.write_text(json.dumps(rows))
    return file


def test_between_two_budgets_of_one_sampler_the_ends_are_between_theirs(tmp_path: Path) -> None:
    low = Setting("seeds-ab", 4, 5.0, 0.1, {"eta": 1.0}, noisy=1)
    high = replace(low, steps=16, sigma_max=20.0, sigma_min=0.025)
    file = written(tmp_path, (4, "best", low), (16, "best", high))
    middle = few_steps(8, settings_file=file)
    assert (middle.steps, middle.nfe, middle.noisy) == (8, 8, 1)
    assert (middle.sigma_max, middle.sigma_min) == pytest.approx((10.0, 0.05))
    assert few_steps(16, settings_file=file) == few_steps(99, settings_file=file) == high
    assert few_steps(4.9, settings_file=file) == low


def test_between_two_samplers_the_lower_one_has_more_steps(tmp_path: Path) -> None:
    low = Setting("seeds-3b", 3, 5.0, 0.1, {"eta": 1.0})
    file = written(tmp_path, (7, "sde", low), (20, "sde", replace(low, solver="seeds-2b")))
    assert few_steps(13, eta=1, settings_file=file) == replace(low, steps=5)
    with pytest.raises(ParameterError, match="no setting for 9 model calls; tuned for"):
        few_steps(9, settings_file=file)


@pytest.mark.parametrize("nfe", range(5, 41))
@pytest.mark.parametrize("kind", ETAS)
def test_every_number_of_calls_has_a_setting_that_uses_it(nfe: int, kind: str) -> None:
    setting = few_steps(nfe, eta=ETAS[kind])
    assert nfe - 3 < setting.nfe <= nfe


def test_noise_in_the_first_steps_only_is_one_setting_of_every_interface() -> None:
    setting = Setting("seeds-ab", 6, 8.0, 0.05, {"eta": 1.0, "values": 3}, noisy=2)
    assert setting.eta == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert replace(setting, noisy=0).eta == 0.0
    sigmas, seeds = setting.sigmas(), [3, 4]

    def model(x: torch.Tensor, sigma: float) -> torch.Tensor:
        return torch.tanh(x) / (1 + sigma**2)

    expected = sample(model, setting.sampler, shape=(3,), seeds=seeds, sigmas=sigmas)
    start = SeededNoise(seeds).initial((3,), torch.float32)
    ours = setting(model, start, 1.0, SeededNoise(seeds))
    torch.testing.assert_close(ours, expected)
    found = run(
        setting.sampler,
        lambda x, sigma: model(x, float(sigma[0])),
        start * sigmas[0],
        torch.from_numpy(sigmas),
        noise=SeededNoise(seeds),
    )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_what_is_no_file_of_settings_is_told(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('[{"nfe": 5}]')
    (tmp_path / "text.json").write_text("no JSON")
    for name in ("other.json", "text.json", "missing.json"):
        with pytest.raises(ParameterError, match=f"{name} holds no settings"):
            few_steps(10, settings_file=tmp_path / name)


def test_fewer_calls_than_were_tuned_are_refused_with_those_that_were() -> None:
    with pytest.raises(ParameterError, match="no setting for 4 model calls; tuned for 5, 6"):
        few_steps(4)
    with pytest.raises(ParameterError, match=r"for eta = 0 and eta = 1; got 0\.5"):
        few_steps(10, eta=0.5)
    with pytest.raises(ParameterError, match="takes more than 3 model calls"):
        Setting("seeds-3", 2, 8.0, 0.1).within(3)


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan"), float("inf"), "wide", None])
def test_a_width_is_positive_and_finite(width: object) -> None:
    with pytest.raises(ParameterError, match="the width of the data is positive and finite"):
        few_steps(10).sigmas(width)  # type: ignore[arg-type]


def test_a_setting_that_is_changed_changes_no_other() -> None:
    few_steps(10, eta=1).options["eta"] = 0.5
    assert few_steps(10, eta=1).eta == 1.0


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


def test_numbers_of_calls_that_are_none_are_refused_and_infinity_is_many():
    with pytest.raises(ParameterError, match="no setting for nan"):
        few_steps(math.nan)
    assert few_steps(math.inf) == few_steps(80)
    with pytest.raises(ParameterError, match="highest is a noise level"):
        few_steps(10).sigmas(highest=math.nan)

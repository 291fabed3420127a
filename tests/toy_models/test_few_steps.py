"""Tuning: spectra, the exact error it minimises against sampling, and the comparison on mixtures."""

import math
from dataclasses import replace

import pytest
import torch

from seeds_theory.errors import SeedsError
from seeds_theory.settings import Setting, few_steps
from seeds_theory.solver import Solver
from seeds_theory.sources import GeneratorNoise
from toy_models.few_steps import (
    TRAINING,
    law_errors,
    objective,
    power_law,
    spectrum_of,
    steps_within,
    tune,
)
from toy_models.gaussian import Gaussian


def test_a_power_law_counts_every_eigenvalue_once() -> None:
    spectrum = power_law(1.5, dimension=200, points=6)
    assert spectrum.counts.sum() == 200
    assert spectrum.variances[0] == 1
    exact = (torch.arange(1, 201, dtype=torch.float64) ** -1.5).sum()
    assert (spectrum.counts * spectrum.variances).sum() == pytest.approx(float(exact), rel=1e-12)


def test_the_spectrum_of_a_covariance_keeps_its_trace() -> None:
    variances = torch.rand(300, dtype=torch.float64) ** 6
    spectrum = spectrum_of(variances)
    total = (spectrum.counts * spectrum.variances).sum() * variances.max()
    assert spectrum.counts.sum() == 300
    assert float(total) == pytest.approx(float(variances.sum()), rel=1e-12)


def test_the_exact_error_is_that_of_samples() -> None:
    setting = Setting("seeds-2", 4, 3.0, 0.1, {"eta": 1.0})
    spectrum = power_law(2.0, dimension=3, points=3)
    data = Gaussian(
        spectrum.variances.sqrt(), spectrum.variances
    )  # its mean as far as its deviation
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(200_000, 3, generator=generator, dtype=torch.float64)
    x = setting(data, latents, 1.0, GeneratorNoise(generator))
    squares = (x.std(0) - data.variances.sqrt()).square() + (x.mean(0) - data.mean).square()
    sampled = math.sqrt(squares.sum() / data.variances.sum())
    (exact,) = law_errors(setting.sampler, setting.sigmas(), [spectrum])
    assert sampled == pytest.approx(math.sqrt(exact), abs=4 * 2 / math.sqrt(200_000))


def test_a_model_may_be_wrong() -> None:
    setting = few_steps(20)
    problem = setting.sampler, setting.sigmas(), [power_law(2.0)]
    (exact,) = law_errors(*problem)
    (off,) = law_errors(*problem, lambda data: lambda x, sigma: 1.05 * data(x, sigma))
    assert off > 10 * exact


@pytest.mark.parametrize(
    ("solver", "nfe", "steps"), [("seeds-3", 10, 4), ("seeds-2", 10, 5), ("sa-solver", 10, 10)]
)
def test_steps_within_a_number_of_calls(solver: str, nfe: int, steps: int) -> None:
    assert steps_within(Solver(solver), nfe) == steps


def test_tuning_finds_a_minimum_and_refuses_too_few_calls() -> None:
    setting = tune("seeds-2", 9, {"eta": 1.0}, TRAINING[:1])
    value = objective(setting, TRAINING[:1])
    for factor in (0.9, 1.1):
        for end in ("sigma_max", "sigma_min"):
            moved = replace(setting, **{end: factor * getattr(setting, end)})
            assert objective(moved, TRAINING[:1]) > value
    with pytest.raises(SeedsError, match="more than 2 model calls"):
        tune("seeds-3", 2)


def test_a_flat_spectrum_is_one_group() -> None:
    spectrum = spectrum_of(torch.full((5,), 3.0, dtype=torch.float64))
    assert (spectrum.variances.tolist(), spectrum.counts.tolist()) == ([1.0], [5.0])

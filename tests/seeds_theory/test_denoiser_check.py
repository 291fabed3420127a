"""Whether a model is a denoiser, and what it looks like instead."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from outputs import OUTPUTS
from torch import Tensor

from seeds_theory import (
    DenoiserError,
    DiscreteSchedule,
    EDMDenoiser,
    NetworkDenoiser,
    ParameterError,
    RectifiedFlow,
    Schedule,
    SeedsError,
    VarianceExploding,
    VariancePreservingCosine,
    VariancePreservingLinear,
    check_denoiser,
    guided,
)
from toy_models.gaussian import Gaussian
from toy_models.mixture import GaussianMixture

SCHEDULES: dict[str, Schedule] = {
    "exploding": VarianceExploding(),
    "linear": VariancePreservingLinear(),
    "cosine": VariancePreservingCosine(),
    "flow": RectifiedFlow(),
    "discrete": DiscreteSchedule(np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))),
}
_PLACES = torch.Generator().manual_seed(3)
MIXTURE = GaussianMixture(
    [0.5, 0.3, 0.2],
    [
        Gaussian(
            torch.randn(2, generator=_PLACES, dtype=torch.float64),
            torch.full((2,), 0.05, dtype=torch.float64),
        )
        for _ in range(3)
    ],
)
DATA = MIXTURE.sample(1000, torch.Generator().manual_seed(5))
BLURRED = {("noise", 1, "flow"), ("noise", -1, "score")}
"""What differs from the truth by noise that is left in: nearly the posterior mean of blurred data."""


def network(
    schedule: Schedule,
    predicts: str,
    sign: float = 1.0,
    at: Callable[[float], float] = lambda t: t,
    model: Callable[[Tensor, float], Tensor] = MIXTURE,
) -> Callable[[Tensor, Tensor], Tensor]:
    """A network that expects ``at(t)`` where it is given t."""

    def evaluate(x: Tensor, t: Tensor) -> Tensor:
        time = min(max(at(float(t[0])), 0.0), float(schedule.t_max))
        alpha = max(float(schedule.alpha(time)), 1e-9)
        sigma = max(float(schedule.sigma(time)), 1e-9)
        return sign * OUTPUTS[predicts](x, model(x / alpha, sigma / alpha), alpha, sigma)

    return evaluate


@pytest.mark.parametrize("predicts", OUTPUTS)
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("data", [None, DATA], ids=["drawn", "given"])
def test_a_denoiser_passes(name: str, predicts: str, data: Tensor | None) -> None:
    schedule = SCHEDULES[name]
    model = NetworkDenoiser(network(schedule, predicts), schedule, predicts)
    check_denoiser(model, (2,), data=data, dtype=torch.float64)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("predicts", OUTPUTS)
@pytest.mark.parametrize("name", ["flow", pytest.param("linear", marks=pytest.mark.slow)])
def test_what_it_predicts_is_found_out(name: str, predicts: str, sign: int) -> None:
    schedule = SCHEDULES[name]
    inner = network(schedule, predicts, sign)
    for declared in OUTPUTS:
        if (sign, declared) == (1, predicts):
            continue
        model = NetworkDenoiser(inner, schedule, declared)
        with pytest.raises(DenoiserError, match="its output behaves like") as said:
            check_denoiser(model, data=DATA, dtype=torch.float64)
        assert f"(predicts={predicts!r}{'' if sign > 0 else ', negated'})" in str(said.value)
        if (predicts, sign, declared) not in BLURRED:
            with pytest.raises(DenoiserError, match="no posterior mean"):
                check_denoiser(model, (2,), batch=1000, dtype=torch.float64)


def test_a_velocity_of_the_other_sign_is_told_in_one_line() -> None:
    model = NetworkDenoiser(network(RectifiedFlow(), "flow", -1.0), RectifiedFlow(), "flow")
    for data in (None, DATA):
        with pytest.raises(DenoiserError) as said:
            check_denoiser(model, (2,), data=data, dtype=torch.float64)
        assert "a velocity x0 - noise (predicts='flow', negated)" in str(said.value)
        assert "\n" not in str(said.value)


def test_v_declared_as_noise_is_found() -> None:
    schedule = VariancePreservingCosine()
    model = NetworkDenoiser(network(schedule, "v"), schedule, "noise")
    with pytest.raises(DenoiserError, match=r"v = alpha noise - sigma x0 \(predicts='v'\)"):
        check_denoiser(model, (2,), dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "at", "says"),
    [
        ("flow", lambda t: 1 - t, "at t_max - t"),
        ("flow", lambda t: t / 1000, "at 1000 t"),
        ("discrete", lambda t: 1000 * t, "at t / 1000"),
    ],
)
def test_times_of_another_scale_are_found(
    name: str, at: Callable[[float], float], says: str
) -> None:
    schedule = SCHEDULES[name]
    model = NetworkDenoiser(network(schedule, "flow", at=at), schedule, "flow")
    for data in (None, DATA):
        with pytest.raises(DenoiserError, match=f"predicts='flow', {says}"):
            check_denoiser(model, (2,), data=data, dtype=torch.float64)


def test_states_that_are_not_scaled_are_found() -> None:
    schedule = VariancePreservingLinear()
    for wrong in (VarianceExploding(), RectifiedFlow()):
        for data in (None, DATA):
            with pytest.raises(DenoiserError, match="no posterior mean"):
                check_denoiser(
                    NetworkDenoiser(network(schedule, "noise"), wrong, "noise"),
                    (2,),
                    data=data,
                    dtype=torch.float64,
                )


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (lambda x, d, s: (x - d) / s, r"the noise \(predicts='noise'\)"),
        (lambda x, d, s: (d - x) / s, r"minus the noise \(predicts='noise', negated\)"),
        (lambda x, d, s: (d - x) / s**2, r"a score \(predicts='score'\)"),
        (lambda x, d, s: -d, r"minus the data"),
        (lambda x, d, s: 1.5 * d, "no posterior mean"),
        (lambda x, d, s: d + 0.3 * s * torch.sign(x), "no posterior mean"),
        (lambda x, d, s: x, "no posterior mean"),
        (lambda x, d, s: x * math.nan, "not finite"),
    ],
)
def test_a_function_is_told_what_its_output_is(output: Callable[..., Tensor], says: str) -> None:
    with pytest.raises(DenoiserError, match=says):
        check_denoiser(lambda x, s: output(x, MIXTURE(x, s), s), data=DATA, dtype=torch.float64)


def test_an_infinite_level_belongs_to_it() -> None:
    schedule = RectifiedFlow()

    def ends_wrongly(x: Tensor, t: Tensor) -> Tensor:
        right = network(schedule, "flow")(x, t)
        return right + 2 * x if float(t[0]) == 1 else right

    good = NetworkDenoiser(network(schedule, "flow"), schedule, "flow")
    check_denoiser(good, (2,), sigma_max=math.inf, dtype=torch.float64)
    with pytest.raises(DenoiserError, match="at sigma = inf"):
        check_denoiser(
            NetworkDenoiser(ends_wrongly, schedule, "flow"),
            (2,),
            sigma_max=math.inf,
            dtype=torch.float64,
        )


def test_images_take_few_samples_and_few_calls() -> None:
    calls = []

    def gaussian(x: Tensor, sigma: float) -> Tensor:
        calls.append(len(x))
        return 0.25 * x / (0.25 + sigma**2)

    check_denoiser(gaussian, (3, 32, 32))
    assert set(calls) == {8} and len(calls) < 40
    model = EDMDenoiser(lambda x, c: torch.zeros_like(x))  # a Gaussian of deviation sigma_data
    check_denoiser(model, (3, 16, 16))


def test_outputs_in_containers_with_a_learned_variance() -> None:
    schedule = SCHEDULES["discrete"]
    inner = network(schedule, "noise", model=lambda x, s: 0.3 * x / (0.3 + s**2))

    def learned(x: Tensor, t: Tensor) -> SimpleNamespace:
        assert t.dtype == torch.int64
        return SimpleNamespace(sample=torch.cat([-inner(x, t), x], dim=1))

    model = NetworkDenoiser(
        learned, schedule, "noise", time_dtype=torch.int64, learned_variance=True
    )
    with pytest.raises(DenoiserError, match="minus the noise"):
        check_denoiser(model, (2, 8, 8))


def test_a_network_that_fails_at_other_times_is_no_alternative() -> None:
    schedule = SCHEDULES["discrete"]
    inner, table = network(schedule, "noise"), torch.nn.Embedding(1000, 1)

    def strict(x: Tensor, t: Tensor) -> Tensor:
        return -inner(x, t) + 0 * table(t).to(x)

    model = NetworkDenoiser(strict, schedule, "noise", time_dtype=torch.int64)
    with pytest.raises(DenoiserError, match="minus the noise"):
        check_denoiser(model, data=DATA, dtype=torch.float64)


def test_guidance_is_no_posterior_mean() -> None:
    model = guided(lambda x, s, c=0: MIXTURE.components[0](x, s), 3.0, against=MIXTURE)
    with pytest.raises(DenoiserError, match="no posterior mean"):
        check_denoiser(model, data=DATA, dtype=torch.float64)


@pytest.mark.parametrize("count", [8, 9, 12, 20])
@pytest.mark.parametrize("dimension", [1, 4])
def test_few_samples_accuse_no_denoiser(count: int, dimension: int) -> None:
    model = Gaussian(torch.zeros(dimension), torch.ones(dimension))
    for seed in range(30):
        data = model.sample(count, torch.Generator().manual_seed(seed))
        check_denoiser(model, data=data, seed=seed, dtype=torch.float64)
        check_denoiser(model, (dimension,), batch=count, seed=seed, dtype=torch.float64)


@pytest.mark.parametrize("mean", [0.0, 30.0])
@pytest.mark.parametrize("deviation", [1e-3, 1.0, 8.0])
def test_data_of_any_width_and_place(mean: float, deviation: float) -> None:
    model = Gaussian.scalar(deviation**2, mean)
    data = model.sample(500, torch.Generator().manual_seed(1))
    for high in (14.6, 80.0, math.inf):
        check_denoiser(model, data=data, sigma_max=high, dtype=torch.float64)
    check_denoiser(model, (1,), sigma_min=min(0.02, deviation / 50), dtype=torch.float64)


@pytest.mark.parametrize("deviation", [0.01, 12.0])
def test_levels_that_are_too_near_are_named(deviation: float) -> None:
    model = Gaussian.scalar(deviation**2)
    with pytest.raises(DenoiserError, match="too near its data"):
        check_denoiser(model, (1,), dtype=torch.float64)
    apart = {"sigma_max": 300 * deviation, "sigma_min": deviation / 50}
    check_denoiser(model, (1,), dtype=torch.float64, **apart)


def test_a_noise_that_is_five_per_cent_off_is_none() -> None:
    schedule = SCHEDULES["discrete"]
    inner = network(schedule, "noise")
    model = NetworkDenoiser(lambda x, t: 1.05 * inner(x, t), schedule, "noise")
    check_denoiser(model, (2,), dtype=torch.float64)
    check_denoiser(model, data=DATA, dtype=torch.float64)


@pytest.mark.parametrize("kind", ["list", "dictionary"])
def test_a_condition_goes_with_the_samples(kind: str) -> None:
    labels = [k % 3 for k in range(300)]
    condition: Any = labels if kind == "list" else {"labels": labels}

    def of_labels(x: Tensor, sigma: float, given: Any) -> Tensor:
        told = given if kind == "list" else given["labels"]
        pairs = zip(x, told, strict=True)
        return torch.cat([MIXTURE.components[k](row[None], sigma) for row, k in pairs])

    draws = torch.Generator().manual_seed(2)
    data = torch.cat([MIXTURE.components[k].sample(1, draws) for k in labels])
    options: dict[str, Any] = {"condition": condition, "dtype": torch.float64}
    check_denoiser(of_labels, (2,), **options)
    check_denoiser(of_labels, data=data, **options)
    with pytest.raises(DenoiserError, match="minus the data"):
        check_denoiser(lambda x, s, c: -of_labels(x, s, c), data=data, **options)
    with pytest.raises(ParameterError, match="one entry for each of 1000 samples"):
        check_denoiser(of_labels, data=DATA, **options)

    def labelled(x: Tensor, t: Tensor, labels: Any) -> Tensor:
        time = float(t[0])
        return -(x - (1 - time) * of_labels(x / (1 - time), time / (1 - time), condition)) / time

    if kind == "dictionary":
        model = NetworkDenoiser(labelled, RectifiedFlow(), "noise")
        with pytest.raises(DenoiserError, match="minus the noise"):
            check_denoiser(model, data=data, **options)


@pytest.mark.parametrize("factor", [0.18215, 0.5, 2.0])
def test_data_in_another_scale_are_found(factor: float) -> None:
    with pytest.raises(DenoiserError, match="no posterior mean"):
        check_denoiser(MIXTURE, data=factor * DATA, dtype=torch.float64)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_an_estimate_that_is_not_finite_at_one_level(number: float) -> None:
    def broken(x: Tensor, sigma: float) -> Tensor:
        return MIXTURE(x, sigma) * (number if 0.3 < sigma < 0.6 else 1.0)

    for data in (None, DATA):
        with pytest.raises(DenoiserError, match="not finite"):
            check_denoiser(broken, None if data is DATA else (2,), data=data, dtype=torch.float64)


def test_an_error_of_memory_is_no_answer() -> None:
    inner, calls = network(RectifiedFlow(), "flow", -1.0), []

    def heavy(x: Tensor, t: Tensor) -> Tensor:
        calls.append(t)
        if len(calls) > 40:
            raise torch.OutOfMemoryError("out of memory")
        return inner(x, t)

    with pytest.raises(torch.OutOfMemoryError):
        check_denoiser(NetworkDenoiser(heavy, RectifiedFlow(), "flow"), (2,), dtype=torch.float64)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "a shape"),
        ({"shape": (2,), "sigma_min": 0.0}, "descend"),
        ({"shape": (2,), "sigma_max": 0.01}, "descend"),
        ({"shape": (2,), "sigma_max": math.nan}, "descend"),
        ({"shape": ()}, "a shape"),
        ({"shape": (0,)}, "a shape"),
        ({"shape": (2,), "batch": 7}, "8 samples"),
        ({"data": torch.zeros(7, 2)}, "8 samples"),
        ({"data": torch.zeros(64)}, "samples first"),
        ({"data": torch.full((64, 2), math.nan)}, "finite"),
        ({"data": torch.zeros(64, 2), "shape": (3,)}, "leave them out"),
        ({"data": torch.zeros(64, 2), "batch": 100}, "leave them out"),
    ],
)
def test_bad_input_is_a_typed_line(options: dict[str, object], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        check_denoiser(MIXTURE, **options)  # type: ignore[arg-type]


def test_a_wrong_shape_is_the_error_that_it_is() -> None:
    with pytest.raises(DenoiserError, match="returns what it is given"):
        check_denoiser(lambda x, s: x[:, :1], (2,))
    with pytest.raises(SeedsError, match="a denoiser is a function"):
        check_denoiser(None, (2,))  # type: ignore[arg-type]

"""Guidance as a denoiser, and conditions that reach a network."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from seeds_theory import (
    DenoiserError,
    EDMDenoiser,
    NetworkDenoiser,
    ParameterError,
    guided,
    sample,
)
from toy_models.mixture import GaussianMixture

CLASSES = [
    GaussianMixture.scalar((0.5, 0.5), (-1.0, 0.4), (0.3, 0.2)),
    GaussianMixture.scalar((1.0,), (1.0,), (0.5,)),
]
EVERYTHING = GaussianMixture.scalar((0.25, 0.25, 0.5), (-1.0, 0.4, 1.0), (0.3, 0.2, 0.5))


class Classes:
    """A denoiser of two classes, of everything under None; it notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __call__(self, x: Tensor, sigma: float, labels: Any) -> Tensor:
        self.asked.append(None if labels is None else list(labels))
        if labels is None:
            return EVERYTHING(x, sigma)
        rows = [CLASSES[k](x[i : i + 1], sigma) for i, k in enumerate(labels)]
        return torch.cat(rows)


X = torch.tensor([[0.3], [-2.0], [1.5]], dtype=torch.float64)


@pytest.mark.parametrize("scale", [-1.0, 0.0, 1.0, 3.5])
def test_it_is_the_sum_of_two_estimates(scale: float) -> None:
    model = Classes()
    led = guided(model, scale)
    labels = [0, 1, 0]
    plain, other = Classes()(X, 0.7, labels), EVERYTHING(X, 0.7)
    assert torch.allclose(led(X, 0.7, labels), other + scale * (plain - other), rtol=1e-14, atol=0)
    assert len(model.asked) == (1 if scale in (0.0, 1.0) else 2)


def test_outside_of_its_interval_the_denoiser_is_alone() -> None:
    model = Classes()
    led = guided(model, 4.0, interval=(0.5, 2.0))
    for level, calls in {0.49: 1, 0.5: 2, 2.0: 2, 2.01: 1, math.inf: 1}.items():
        model.asked.clear()
        estimate = led(X, level, [1, 1, 1])
        assert len(model.asked) == calls
        assert torch.equal(estimate, CLASSES[1](X, level)) == (calls == 1)


def test_against_another_model_with_a_condition_or_without() -> None:
    worse = CLASSES[1]
    led = guided(EVERYTHING, 2.0, against=worse)
    assert torch.equal(led(X, 0.5), worse(X, 0.5) + 2.0 * (EVERYTHING(X, 0.5) - worse(X, 0.5)))
    model = Classes()
    guided(model, 2.0, against=worse)(X, 0.5, [0, 0, 0])
    assert model.asked == [[0, 0, 0]]


@pytest.mark.parametrize("batch", [None, 2])
def test_its_samples_are_those_of_each_label_alone(batch: int | None) -> None:
    labels = [0, 1, 1, 0, 1]
    led = guided(Classes(), 2.5, interval=(0.1, 10.0))
    options: dict[str, Any] = {"shape": (1,), "steps": 6, "dtype": torch.float64}
    found = sample(led, seeds=range(5), condition=labels, batch=batch, **options)
    for seed, label in enumerate(labels):
        alone = sample(led, seeds=[seed], condition=[label], **options)
        assert torch.allclose(found[seed : seed + 1], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("wrap", [NetworkDenoiser, EDMDenoiser])
def test_a_condition_reaches_the_network(wrap: Any) -> None:
    def network(x: Tensor, t: Tensor, labels: Any = None, *, hint: Any = None) -> Tensor:
        asked.append((labels, hint))
        return torch.zeros_like(x)

    asked: list[Any] = []
    model = wrap(network)
    model(X, 1.0)
    model(X, 1.0, [1, 2, 3])
    model(X, 1.0, {"labels": [4, 5, 6], "hint": "abc"})
    guided(model, 2.0)(X, 1.0, {"hint": "def"})
    assert asked == [
        (None, None),
        ([1, 2, 3], None),
        ([4, 5, 6], "abc"),
        (None, None),
        (None, "def"),
    ]


@pytest.mark.parametrize(
    ("scale", "options", "says"),
    [
        (math.nan, {}, "finite"),
        (math.inf, {}, "finite"),
        ("much", {}, "a scale and an interval"),
        (2.0, {"interval": (1.0,)}, "an interval of two"),
        (2.0, {"interval": 3.0}, "an interval of two"),
        (2.0, {"interval": (2.0, 1.0)}, "goes up"),
        (2.0, {"interval": (-1.0, 1.0)}, "goes up"),
        (2.0, {"interval": (0.0, math.nan)}, "goes up"),
        (2.0, {"against": 3}, "a denoiser is a function"),
    ],
)
def test_bad_input_is_a_typed_line(scale: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        guided(EVERYTHING, scale, **options)


def test_estimates_of_another_shape_are_not_broadcast() -> None:
    for first, second in [(1, 3), (3, 1)]:
        led = guided(lambda x, s, n=first: x[:n], 2.0, against=lambda x, s, n=second: x[:n])  # type: ignore[misc]
        with pytest.raises(DenoiserError, match="returns what it is given"):
            led(X, 1.0)


def test_guidance_without_a_condition_is_refused() -> None:
    with pytest.raises(ParameterError, match="against="):
        sample(guided(Classes(), 2.0), shape=(1,), seeds=range(3), steps=3)


@pytest.mark.parametrize("wrap", [NetworkDenoiser, EDMDenoiser])
def test_a_network_is_a_function(wrap: Any) -> None:
    with pytest.raises(ParameterError, match="a network is a function of x and t; got NoneType"):
        wrap(None)

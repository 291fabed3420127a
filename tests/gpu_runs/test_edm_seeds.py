"""EDM's convention of seeds, against its recipe told again: one image at a time, no code of the project."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from tiny_networks import tiny_network
from typer.testing import CliRunner

from gpu_runs import generate
from gpu_runs.benchmarks.plans import parse_plan
from gpu_runs.generation.sampler import Generation, ImageSampler
from seeds_theory.errors import ParameterError, UnknownNameError

STEPS = 5


def recipe(network, seed, *, churn=0.0, s_min=0.0, s_max=math.inf, s_noise=1.0):
    """EDM's script for one seed: (state, class), drawn from one generator in its order."""
    generator = torch.Generator().manual_seed(seed % 2**32)
    shape = (1, network.channels, network.resolution, network.resolution)
    latents = torch.randn(shape[1:], generator=generator)[None]
    label, one_hot = None, None
    if network.label_dim:
        label = int(torch.randint(network.label_dim, (1,), generator=generator))
        one_hot = torch.eye(network.label_dim)[[label]]
    ramp = torch.arange(STEPS, dtype=torch.float64) / (STEPS - 1)
    levels = (80 ** (1 / 7) + ramp * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    levels = [*levels.tolist(), 0.0]
    x = latents.double() * levels[0]
    for now, after in pairwise(levels):
        gamma = min(churn / STEPS, math.sqrt(2) - 1) if s_min <= now <= s_max else 0.0
        high = now * (1 + gamma)
        fresh = torch.randn(shape[1:], generator=generator, dtype=torch.float64)[None]
        x = x + math.sqrt(high**2 - now**2) * s_noise * fresh
        slope = (x - network(x, high, one_hot).double()) / high
        end = x + (after - high) * slope
        if after:
            other = (end - network(end, after, one_hot).double()) / after
            end = x + (after - high) * (slope + other) / 2
        x = end
    return (x * 127.5 + 128).clip(0, 255).to(torch.uint8), label


CHURN = {"churn": 3.0, "s_min": 0.01, "s_max": 40.0, "s_noise": 1.007}


@pytest.mark.parametrize("options", [{"eta": 0.0}, CHURN], ids=["deterministic", "churned"])
@pytest.mark.parametrize("label_dim", [0, 4])
@pytest.mark.parametrize("batch", [1, 3, 7])
def test_images_are_those_of_the_recipe_one_by_one(options, label_dim, batch):
    network = tiny_network(label_dim=label_dim)
    sampler = ImageSampler(network, Generation("edm-heun", STEPS, options, seeds_like="edm"))
    seeds = [0, 1, 5, 6, 1000, 2**32 + 3, 49_999]
    images = torch.cat([sampler(seeds[i : i + batch]) for i in range(0, len(seeds), batch)])
    churn = {} if "eta" in options else options
    classes = []
    for seed, image in zip(seeds, images, strict=True):
        expected, label = recipe(network, seed, **churn)
        classes.append(label)
        # A level of 256 apart where rounding of another batch's shape crosses a threshold.
        apart = (image.int() - expected[0].int()).abs()
        assert apart.max() <= 1
        assert (apart > 0).double().mean() < 0.01
    if label_dim:
        assert [sampler.class_of(seed) for seed in seeds] == classes
        assert len(set(classes)) > 1


@pytest.mark.slow
def test_other_methods_have_the_initial_noise_and_the_class():
    network = tiny_network()
    of_edm = ImageSampler(network, Generation("edm-heun", 30, {"eta": 0.0}, seeds_like="edm"))
    others = [
        ImageSampler(network, Generation("dpm-solver++-2m", 60, seeds_like=convention))
        for convention in ("edm", None)
    ]
    exact, near, far = (sampler(range(6)).double() for sampler in (of_edm, *others))
    assert (near - exact).abs().mean() < 0.2 * (far - exact).abs().mean()
    assert [others[0].class_of(seed) for seed in range(6)] == [
        of_edm.class_of(seed) for seed in range(6)
    ]


def test_methods_with_noise_draw_it_by_their_own_convention():
    network = tiny_network(label_dim=0)
    first, second = (
        ImageSampler(network, Generation("seeds-2", 4, seeds_like="edm"))(seeds)
        for seeds in ([3, 4], [4])
    )
    assert (first[1].int() - second[0].int()).abs().max() <= 1
    assert not torch.equal(first[0], first[1])


def test_given_classes_stay():
    sampler = ImageSampler(
        tiny_network(), Generation("edm-heun", STEPS, labels="3", seeds_like="edm")
    )
    assert [sampler.class_of(seed) for seed in range(5)] == [3] * 5


def test_conventions_that_are_not_known():
    with pytest.raises(UnknownNameError, match="convention of seeds"):
        ImageSampler(tiny_network(), Generation("edm-heun", STEPS, seeds_like="edn"))
    with pytest.raises(UnknownNameError, match="convention of seeds"):
        parse_plan({"seeds_like": "x", "nfe": [4], "methods": [{"method": "ddim"}]})
    with pytest.raises(ParameterError):
        ImageSampler(tiny_network(), Generation("edm-heun", STEPS, seeds_like="edm"))([-1])


def test_the_manifest_says_so(tmp_path):
    arguments = [
        "--network",
        "fashion-mnist",
        "--method",
        "edm-heun",
        "--steps",
        "2",
        "--seeds",
        "0-1",
    ]
    result = CliRunner().invoke(
        generate.app, [*arguments, "--seeds-like", "edm", "--out", str(tmp_path / "a")]
    )
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "a" / "run.json").read_text())
    assert record["settings"]["seeds_like"] == "edm"
    plan = parse_plan({"seeds_like": "edm", "nfe": [4], "methods": [{"method": "ddim"}]})
    assert plan.settings(plan.curves[0], 4).seeds_like == "edm"
    assert np.isfinite(record["nfe"])

"""EDM's sampler against outputs of the published one, and its noise by eta against its churn.

``tests/data/edm`` holds runs of the published samplers in float64, on the exact denoiser of the mixture
in ``gmm_denoiser.npz``: initial unit noise, the normals of each step, every noise level at which the
model was called, the result, and the settings.
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edm_runs import OPTIONS, published_run
from torch import Tensor

from seeds_theory.baselines.coordinates import LinearBeta
from seeds_theory.baselines.edm import EDM_HEUN
from seeds_theory.errors import GridError, ParameterError, UnknownNameError
from seeds_theory.grids import rho_grid, uniform_log_snr
from seeds_theory.plan import Interval
from seeds_theory.sources import InjectedNoise
from toy_models.convergence import fit_exact
from toy_models.gaussian import Gaussian
from toy_models.mixture import GaussianMixture
from toy_models.response import probe, strong_errors, weak_errors

FOLDER = Path(__file__).parents[2] / "data" / "edm"


def oracles(pattern: str) -> list[str]:
    names = sorted(path.stem for path in FOLDER.glob(pattern))
    assert names, f"no {pattern} in {FOLDER}"
    return names


def load(name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with np.load(FOLDER / f"{name}.npz") as file:
        arrays = dict(file)
    return json.loads(str(arrays["settings"]))["kwargs"], arrays


def mixture() -> GaussianMixture:
    with np.load(FOLDER / "gmm_denoiser.npz") as file:
        parts = zip(file["m"], file["s"], strict=True)
        components = [Gaussian(torch.tensor(m), torch.tensor([s**2] * len(m))) for m, s in parts]
        return GaussianMixture(file["w"].tolist(), components)


MIXTURE = mixture()


def model(x: Tensor, sigma: float) -> Tensor:
    return MIXTURE(x.flatten(1), sigma).reshape(x.shape)


def distance(name: str, grid: np.ndarray, **options: Any) -> float:
    _, arrays = load(name)
    x = torch.tensor(arrays["latents"]).double() * grid[0]
    end = EDM_HEUN(model, x, grid, InjectedNoise(torch.tensor(arrays["noises"])), **options)
    expected = arrays["x_final64"]
    return float(np.abs(end.numpy() - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("name", oracles("gmm_edm_*"))
def test_the_published_sampler(name: str) -> None:
    settings, _ = load(name)
    ends = settings.get("sigma_max", 80.0), settings.get("sigma_min", 0.002)
    grid = rho_grid(*ends, settings["num_steps"], rho=settings.get("rho", 7.0), to_zero=True)
    options = {ours: settings[name] for name, ours in OPTIONS.items() if name in settings}
    assert distance(name, grid, **options) <= 1e-12


@pytest.mark.parametrize("name", oracles("gmm_abl_*"))
def test_the_published_solvers_schedules_and_scalings(name: str) -> None:
    grid, options = published_run(load(name)[0])
    assert distance(name, grid, **options) <= 1e-10


def test_a_schedule_by_name_is_that_of_the_grids_range() -> None:
    grid = rho_grid(80.0, 0.002, 6, to_zero=True)
    x = torch.linspace(-80, 80, 8, dtype=torch.float64).reshape(2, 4)
    by_name = EDM_HEUN(MIXTURE, x, grid, schedule="vp", scaled=True)
    given = EDM_HEUN(MIXTURE, x, grid, schedule=LinearBeta(grid[0], grid[-2]))
    assert torch.equal(by_name, given)


@pytest.mark.parametrize("wrong", [{"schedule": "cosine"}, {"solver": "rk4"}])
def test_unknown_names_list_the_known(wrong: dict[str, str]) -> None:
    x = torch.ones(1, 4, dtype=torch.float64)
    with pytest.raises(UnknownNameError, match=r"are 'linear', 've' and 'vp'|'heun' and 'euler'"):
        EDM_HEUN(MIXTURE, x, [2.0, 1.0], **wrong)


def test_round_sigma_is_a_function() -> None:
    with pytest.raises(ParameterError, match="round_sigma is a function of a noise level; got 1"):
        EDM_HEUN(MIXTURE, torch.ones(1, 4, dtype=torch.float64), [2.0, 1.0], round_sigma=1)


@pytest.mark.parametrize("schedule", ["ve", "vp"])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("solver", "order"), [("heun", 2), ("euler", 1)])
def test_orders_are_the_same_in_all_coordinates(
    schedule: str, scaled: bool, solver: str, order: int
) -> None:
    data, ends = Gaussian(torch.tensor([1.0, -2.0]), torch.tensor([0.1, 10.0])), (2.0, 0.2)
    options = {"schedule": schedule, "scaled": scaled, "solver": solver}
    steps, errors = [128, 256, 512], []
    for n in steps:
        grid = uniform_log_snr(*ends, n)
        response = probe(lambda D, x, noise, g=grid: EDM_HEUN(D, x, g, **options), data)
        errors.append(float(weak_errors(response, data, *ends).norm()))
    assert fit_exact(steps, errors).order == pytest.approx(order, abs=0.05)


def test_churn_goes_up_to_levels_that_the_model_knows_with_the_noise_that_leads_there() -> None:
    asked: list[float] = []
    states: list[Tensor] = []

    def asking(x: Tensor, sigma: float) -> Tensor:
        asked.append(sigma)
        states.append(x)
        return MIXTURE(x, sigma)

    x = torch.ones(1, 4, dtype=torch.float64)
    z = torch.randn(2, 1, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    options = {"solver": "euler", "churn": 0.6, "round_sigma": math.ceil, "s_noise": 1.01}
    EDM_HEUN(asking, x, [3.0, 2.0, 1.0], InjectedNoise(z), **options)
    assert asked == [4.0, 3.0]
    torch.testing.assert_close(states[0], x + 1.01 * math.sqrt(4.0**2 - 3.0**2) * z[0])


def test_churn_is_an_eta_on_a_uniform_grid() -> None:
    grid, eta = uniform_log_snr(10.0, 0.1, 12), 0.4
    x = torch.linspace(-20, 20, 8, dtype=torch.float64).reshape(2, 4)
    z = torch.randn(12, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    churn = 12 * math.expm1(eta * math.log(100) / 12)
    by_eta = EDM_HEUN(MIXTURE, x, grid, InjectedNoise(z), eta=eta)
    by_churn = EDM_HEUN(MIXTURE, x, grid, InjectedNoise(z), churn=churn)
    assert torch.allclose(by_eta, by_churn, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("window", [{}, {"s_min": 0.5, "s_max": 2.0}])
def test_churn_draws_in_every_step(window: dict[str, float]) -> None:
    asked: list[Interval] = []

    def source(intervals: list[Interval], like: Tensor) -> Tensor:
        asked.extend(intervals)
        return like.new_zeros((len(intervals), *like.shape))

    grid = [9.0, 3.0, 1.0, 0.2]
    x = torch.ones(1, 4, dtype=torch.float64)
    EDM_HEUN(MIXTURE, x, grid, source, churn=0.9, **window)
    assert [(i.sigma, i.sigma_next, i.path) for i in asked] == [
        (9.0, 3.0, 0),
        (3.0, 1.0, 0),
        (1.0, 0.2, 0),
    ]
    asked.clear()
    EDM_HEUN(MIXTURE, x, [*grid, 0.0], source, churn=1.2, **window)
    assert [i.path for i in asked] == [0, 0, 0, 1]
    asked.clear()
    EDM_HEUN(MIXTURE, x, [*grid, 0.0], source, churn=0.0, **window)
    assert not asked


def test_a_repeated_level_goes_up_and_comes_down_again() -> None:
    levels, churn, s_noise = [3.0, 1.0, 1.0, 0.4, 0.0], 0.8, 1.01
    x = torch.linspace(-6, 6, 8, dtype=torch.float64).reshape(2, 4)
    z = torch.randn(4, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = EDM_HEUN(MIXTURE, x, levels, InjectedNoise(z), churn=churn, s_noise=s_noise)
    gamma = min(churn / 4, math.sqrt(2) - 1)
    for i, (s, t) in enumerate(itertools.pairwise(levels)):  # as published
        top = s * (1 + gamma)
        up = x + s_noise * math.sqrt(top**2 - s**2) * z[i]
        d = (up - MIXTURE(up, top)) / top
        x = up + (t - top) * d
        if t > 0:
            x = up + (t - top) * (d + (x - MIXTURE(x, t)) / t) / 2
    assert torch.allclose(found, x, rtol=1e-12, atol=1e-12)


def test_only_positive_levels_are_repeated() -> None:
    x = torch.ones(1, 4, dtype=torch.float64)
    for levels in ([2.0, 1.0, 0.0, 0.0], [1.0, 2.0]):
        with pytest.raises(GridError, match="descend"):
            EDM_HEUN(MIXTURE, x, levels, eta=1.0)


# 1/2 is left to curved data: see below.
@pytest.mark.parametrize("alpha", [2 / 3, 0.9])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_every_node_has_the_declared_orders(alpha: float, eta: float) -> None:
    data, ends = Gaussian(torch.tensor([1.0, -2.0]), torch.tensor([0.1, 10.0])), (20.0, 0.02)
    steps, strong, weak = [64, 128, 256], [], []
    for n in steps:
        grid = uniform_log_snr(*ends, n)
        response = probe(
            lambda D, x, noise, g=grid: EDM_HEUN(D, x, g, noise, eta=eta, alpha=alpha), data
        )
        strong.append(float(strong_errors(response, data, *ends, eta).norm()))
        weak.append(float(weak_errors(response, data, *ends).norm()))
    assert fit_exact(steps, weak).order == pytest.approx(2, abs=0.05)
    assert fit_exact(steps, strong).order == pytest.approx(1 if eta else 2, abs=0.05)


def test_on_gaussian_data_the_midpoint_rule_has_order_3() -> None:
    data, ends = Gaussian(torch.tensor([1.0, -2.0]), torch.tensor([0.1, 10.0])), (20.0, 0.02)
    steps, errors = [64, 128, 256], []
    for n in steps:
        grid = rho_grid(*ends, n)
        response = probe(lambda D, x, noise, g=grid: EDM_HEUN(D, x, g, alpha=0.5), data)
        errors.append(float(weak_errors(response, data, *ends).norm()))
    assert fit_exact(steps, errors).order == pytest.approx(3, abs=0.05)


def test_churn_in_a_window_keeps_the_law() -> None:
    data, ends = Gaussian(torch.tensor([1.0, -2.0]), torch.tensor([0.1, 10.0])), (20.0, 0.02)
    steps, weak = [64, 128, 256], []
    for n in steps:
        # The window's ends lie between grid points at every n.
        options = {"churn": 5.0, "s_min": 0.02 * 1000**0.251, "s_max": 0.02 * 1000**0.751}
        grid = uniform_log_snr(*ends, n)
        response = probe(lambda D, x, noise, g=grid, o=options: EDM_HEUN(D, x, g, noise, **o), data)
        weak.append(float(weak_errors(response, data, *ends).norm()))
    assert fit_exact(steps, weak).order == pytest.approx(2, abs=0.05)

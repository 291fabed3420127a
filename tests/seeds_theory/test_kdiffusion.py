"""Methods and baselines behind k-diffusion's signature: same numbers, its contracts, typed refusals."""

from __future__ import annotations

import inspect
import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from seeds_theory import METHODS, SEEDS, InjectedNoise, follow, make_plan
from seeds_theory.baselines import BASELINES
from seeds_theory.baselines.run import Declared
from seeds_theory.errors import (
    DenoiserError,
    GridError,
    NoiseError,
    ParameterError,
    SeedsError,
    UnknownNameError,
)
from seeds_theory.kdiffusion import as_k_diffusion

NAMES = [*METHODS, *BASELINES]
GRID = torch.tensor([20.0, 6.0, 2.0, 0.7, 0.3], dtype=torch.float64)
TO_ZERO = torch.cat([GRID, torch.zeros(1, dtype=torch.float64)])


def curved(x: Tensor, sigma: Any) -> Tensor:
    """A denoiser that is not linear: data at -1 and 1."""
    level = torch.as_tensor(sigma, dtype=x.dtype).reshape(-1, 1)
    return torch.tanh(x / (1 + level**2))


def start(dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return 20 * torch.randn(3, 2, generator=generator, dtype=torch.float64).to(dtype)


class Noises:
    """A noise sampler that keeps what it was asked for and what it answered."""

    def __init__(self, x: Tensor) -> None:
        self.x, self.asked, self.rows = x, list[tuple[float, float]](), list[Tensor]()
        self._generator = torch.Generator().manual_seed(2)

    def __call__(self, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        self.asked.append((sigma.item(), sigma_next.item()))
        row = torch.randn(self.x.shape, generator=self._generator, dtype=torch.float64)
        self.rows.append(row.to(self.x))
        return self.rows[-1]


# ------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("grid", [GRID, TO_ZERO], ids=["positive", "to zero"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", [*SEEDS, "seeds-2@0.7"])
def test_a_method_gives_what_sample_gives_on_the_same_noise(
    name: str, eta: float, grid: Tensor
) -> None:
    x, noises = start(), Noises(start())
    found = as_k_diffusion(name)(curved, x, grid, eta=eta, noise_sampler=noises)
    plan = make_plan(name, grid.tolist(), eta=eta)
    assert len(noises.rows) == plan.normals
    source = InjectedNoise(torch.stack(noises.rows)) if noises.rows else None
    assert torch.equal(found, follow(curved, x, plan, source))


@pytest.mark.parametrize(
    "options", [{"prediction": "noise"}, {"prediction": "F", "sigma_data": 0.7}]
)
@pytest.mark.parametrize("name", SEEDS)
def test_options_of_a_method_are_used(name: str, options: dict) -> None:
    sampler = as_k_diffusion(name, eta=0.25, **options)
    x, noises = start(), Noises(start())
    found = sampler(curved, x, GRID, noise_sampler=noises)
    plan = make_plan(name, GRID.tolist(), eta=0.25, **options)
    assert torch.equal(found, follow(curved, x, plan, InjectedNoise(torch.stack(noises.rows))))
    assert inspect.signature(sampler).parameters["eta"].default == 0.25


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_gives_what_it_gives_itself(name: str) -> None:
    baseline = BASELINES[name]
    torch.manual_seed(3)
    expected = baseline(curved, start(), TO_ZERO.tolist())
    torch.manual_seed(3)
    assert torch.equal(as_k_diffusion(name)(curved, start(), TO_ZERO), expected)


def test_a_grid_may_be_numbers_and_loses_no_digits() -> None:
    sampler = as_k_diffusion("seeds-1", eta=0.0)
    assert torch.equal(sampler(curved, start(), GRID.tolist()), sampler(curved, start(), GRID))


@pytest.mark.parametrize("name", NAMES)
def test_the_states_keep_their_type_and_are_not_changed(name: str) -> None:
    sampler = as_k_diffusion(name)
    for dtype in (torch.float32, torch.float64):
        x = start(dtype)
        sigmas, before = TO_ZERO.to(dtype), x.clone()
        found = sampler(curved, x, sigmas)
        assert (found.dtype, found.shape) == (dtype, x.shape)
        assert torch.equal(x, before)
        assert torch.equal(sigmas, TO_ZERO.to(dtype))


@pytest.mark.parametrize("name", ["seeds-3", *BASELINES])
def test_to_wrap_a_sampler_draws_nothing(name: str) -> None:
    before = torch.get_rng_state()
    as_k_diffusion(name)
    assert torch.equal(torch.get_rng_state(), before)


# ------------------------------------------------------------------------------------------ the noise


@pytest.mark.parametrize(
    "name", [n for n in NAMES if as_k_diffusion(n).solver.declared.strong is not None]
)
def test_stretches_are_asked_for_in_time_order_and_cover_each_step(name: str) -> None:
    noises = Noises(start())
    sampler = as_k_diffusion(name)
    eta = {"eta": 1.0} if "eta" in inspect.signature(sampler).parameters else {}
    sampler(curved, start(), TO_ZERO, **eta, noise_sampler=noises)
    levels = [noises.asked[0][0], *(stop for _, stop in noises.asked)]
    assert noises.asked == list(itertools.pairwise(levels))  # without a gap or overlap
    assert (levels[0], levels[-1]) == (float(GRID[0]), float(GRID[-1]))
    assert levels == sorted(levels, reverse=True)
    assert set(GRID.tolist()) <= set(levels)


@pytest.mark.parametrize("name", ["seeds-2", "sde-dpm-solver++-2m", "euler-maruyama"])
def test_no_noise_is_asked_for_at_eta_0(name: str) -> None:
    noises = Noises(start())
    sampler = as_k_diffusion(name)
    found = sampler(curved, start(), TO_ZERO, eta=0.0, noise_sampler=noises)
    assert not noises.asked
    assert torch.equal(found, sampler(curved, start(), TO_ZERO, eta=0.0))


def test_without_a_noise_sampler_torch_draws() -> None:
    sampler = as_k_diffusion("seeds-2")
    torch.manual_seed(0)
    first, second = (sampler(curved, start(), GRID) for _ in range(2))
    torch.manual_seed(0)
    assert torch.equal(sampler(curved, start(), GRID), first)
    assert not torch.equal(first, second)


def test_noise_comes_in_the_type_of_the_states() -> None:
    found = as_k_diffusion("seeds-1")(
        curved, start(torch.float32), GRID, noise_sampler=lambda a, b: torch.ones(3, 2).double()
    )
    assert found.dtype == torch.float32


# ------------------------------------------------------------------------------------------ the model


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_the_model_is_given_a_level_a_sample_and_extra_args(name: str, dtype: torch.dtype) -> None:
    seen: list[tuple] = []

    def model(x: Tensor, sigma: Tensor, **extra: Any) -> Tensor:
        seen.append((x.dtype, tuple(sigma.shape), sigma.dtype, extra))
        return torch.zeros_like(x)

    extra = {"condition": "a", "scale": 2.0}
    as_k_diffusion(name)(model, start(dtype), GRID, extra_args=extra)
    assert seen
    assert all(call == (dtype, (3,), dtype, {"condition": "a", "scale": 2.0}) for call in seen)
    assert extra == {"condition": "a", "scale": 2.0}


def test_levels_are_those_of_the_grid_also_from_single_precision() -> None:
    levels: list[float] = []

    def model(x: Tensor, sigma: Tensor) -> Tensor:
        levels.append(float(sigma[0]))
        return torch.zeros_like(x)

    sigmas = TO_ZERO.float()
    as_k_diffusion("euler")(model, start(), sigmas)
    assert levels == sigmas[:-1].double().tolist()


# --------------------------------------------------------------------------------------- the callback


@pytest.mark.parametrize("grid", [GRID, TO_ZERO], ids=["positive", "to zero"])
@pytest.mark.parametrize("name", [*METHODS, "euler", "sde-dpm-solver++-2m", "unipc-2"])
def test_the_callback_has_the_contract_of_k_diffusion(name: str, grid: Tensor) -> None:
    seen: list[dict] = []
    x = start()
    end = as_k_diffusion(name)(curved, x, grid, callback=seen.append)
    steps = len(grid) - 1
    assert [call["i"] for call in seen] == list(range(steps))
    assert [call["sigma"] for call in seen] == grid[:-1].tolist()
    for call in seen:
        assert call.keys() == {"x", "i", "sigma", "sigma_hat", "denoised"}
        assert call["sigma_hat"] == call["sigma"]
        assert torch.allclose(call["denoised"], curved(call["x"], call["sigma"]))
    assert torch.equal(seen[0]["x"], x)
    if grid[-1] == 0:
        assert torch.equal(seen[-1]["denoised"], end)


def test_a_callback_can_stop_the_run() -> None:
    class Enough(Exception):
        pass

    def callback(call: dict) -> None:
        if call["i"] == 1:
            raise Enough

    with pytest.raises(Enough):
        as_k_diffusion("seeds-2")(curved, start(), GRID, callback=callback)


# --------------------------------------------------------------------------------------- the signature


@pytest.mark.parametrize("name", NAMES)
def test_the_signature_is_k_diffusions(name: str) -> None:
    sampler = as_k_diffusion(name)
    names = list(inspect.signature(sampler).parameters)
    assert names[:6] == ["model", "x", "sigmas", "extra_args", "callback", "disable"]
    assert set(names[6:]) <= {"eta", "s_noise", "noise_sampler", "flow"}
    assert ("s_noise" in names) == (name in METHODS or BASELINES[name].stochastic)
    assert ("eta" in names) == (name in METHODS or BASELINES[name].only_eta is None)
    assert ("noise_sampler" in names) == (sampler.solver.declared.strong is not None)
    assert isinstance(sampler.solver.declared, Declared)
    found = sampler(curved, start(), TO_ZERO, {}, None, True)
    assert found.shape == (3, 2)


def test_a_method_declares_the_orders_of_its_tableau() -> None:
    assert as_k_diffusion("seeds-3").solver.declared == Declared(1, 2, 3)
    assert as_k_diffusion("seeds-1").solver.declared == Declared(1, 1, 1)
    assert as_k_diffusion("euler").solver.declared == BASELINES["euler"].declared


@pytest.mark.parametrize(
    ("name", "options", "error", "says"),
    [
        ("seeds-9", {}, UnknownNameError, "known: seeds-1"),
        ("euler@0.5", {}, UnknownNameError, "known: seeds-1"),
        ("seeds-2", {"rho": 7}, ParameterError, "no option 'rho'; known: eta, prediction"),
        ("seeds-2", {"eta": -1.0}, ParameterError, "eta is a finite number >= 0"),
        ("seeds-2", {"eta": "much"}, ParameterError, "eta is a number >= 0, one for each step"),
        ("seeds-2", {"prediction": "eps"}, UnknownNameError, "known: data, noise"),
        ("seeds-2@2", {}, SeedsError, "(0, 1]"),
        ("euler", {"eta": 1.0}, ParameterError, "has eta = 0 only"),
        ("euler", {"rho": 7}, ParameterError, "no option 'rho'"),
    ],
)
def test_wrong_options_are_refused_at_once(
    name: str, options: dict, error: type, says: str
) -> None:
    with pytest.raises(error) as caught:
        as_k_diffusion(name, **options)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"sigmas": [1.0, 2.0]}, GridError, "descend"),
        ({"eta": -1.0}, ParameterError, "eta"),
        ({"s_churn": 1.0}, ParameterError, "s_churn"),
        ({"model": lambda x, sigma: x[:1]}, DenoiserError, "denoiser returns"),
        (
            {"noise_sampler": lambda a, b: torch.zeros(1)},
            NoiseError,
            "noise sampler returns a tensor (3, 2), like x; got (1,)",
        ),
    ],
)
def test_wrong_calls_are_typed(change: dict, error: type, says: str) -> None:
    arguments = {"model": curved, "x": start(), "sigmas": GRID} | change
    with pytest.raises(error) as caught:
        as_k_diffusion("seeds-2")(**arguments)
    assert says in str(caught.value)


def test_a_deterministic_baseline_takes_no_noise() -> None:
    with pytest.raises(ParameterError, match="noise_sampler"):
        as_k_diffusion("euler")(curved, start(), GRID, noise_sampler=Noises(start()))
    with pytest.raises(ParameterError, match="eta"):
        as_k_diffusion("euler")(curved, start(), GRID, eta=0.0)


def test_equal_wrappers_are_equal() -> None:
    assert as_k_diffusion("seeds-2", eta=0.5) == as_k_diffusion("seeds-2", eta=0.5)
    assert as_k_diffusion("seeds-2", eta=0.5) != as_k_diffusion("seeds-2")

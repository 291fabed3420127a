"""The plain functions of k-diffusion's signature: ComfyUI's formulas, seeds, flow, dtypes, progress bar."""

from __future__ import annotations

import inspect
import math
import re
import sys
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import straightforward
import torch
from torch import Tensor

from proofs_checks.audit.peers import LibraryError
from proofs_checks.audit.peers.kdiffusion import sampling_module
from seeds_theory import SeededNoise, kdiffusion, make_plan, method
from seeds_theory.errors import (
    DenoiserError,
    GridError,
    NoiseError,
    ParameterError,
    SeedsError,
    TableauError,
    UnknownNameError,
)
from seeds_theory.kdiffusion import as_k_diffusion, run
from seeds_theory.solver import Solver

FUNCTIONS = {
    name.removeprefix("sample_").replace("_", "-"): function
    for name, function in vars(kdiffusion).items()
    if name.startswith("sample_")
}
GRID = torch.tensor([20.0, 6.0, 2.0, 0.7, 0.3], dtype=torch.float64)
FLOW = torch.tensor([0.98, 0.8, 0.5, 0.2, 0.05], dtype=torch.float64)


def to_zero(grid: Tensor) -> Tensor:
    return torch.cat([grid, grid.new_zeros(1)])


def curved(x: Tensor, sigma: Tensor, **_: Any) -> Tensor:
    """A denoiser that is not linear: data at -1 and 1."""
    return torch.tanh(x / (1 + sigma[:, None] ** 2))


def normals(seed: int = 1) -> Tensor:
    return torch.randn(3, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Noises:
    """The same noise for each run, and what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, float]] = []
        self._generator = torch.Generator().manual_seed(2)

    def __call__(self, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        self.asked.append((float(sigma), float(sigma_next)))
        return torch.randn(3, 2, generator=self._generator, dtype=torch.float64)


# -------------------------------------------------------------------------------- ComfyUI's formulas

PAIRS = {
    "2a": (kdiffusion.sample_seeds_2, straightforward.seeds_2, [{}, {"r": 0.3}, {"r": 0.9}]),
    "2b": (
        partial(kdiffusion.sample_seeds_2, solver_type="phi_2"),
        partial(straightforward.seeds_2, solver_type="phi_2"),
        [{}, {"r": 0.7}],
    ),
    "3a": (
        kdiffusion.sample_seeds_3,
        straightforward.seeds_3,
        [{}, {"r_1": 0.25, "r_2": 0.8}],
    ),
}
NODES = [
    pytest.param(kind, nodes, id=f"{kind}-{nodes}") for kind in PAIRS for nodes in PAIRS[kind][2]
]


@pytest.mark.parametrize("flow", [False, True], ids=["x0 + sigma noise", "flow"])
@pytest.mark.parametrize("zero", [False, True], ids=["positive", "to zero"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("kind", "nodes"), NODES)
def test_the_same_noise_gives_what_comfyuis_formulas_give(
    kind: str, nodes: dict[str, float], eta: float, zero: bool, flow: bool
) -> None:
    ours, theirs, _ = PAIRS[kind]
    grid = FLOW if flow else GRID
    sigmas, x = to_zero(grid) if zero else grid, float(grid[0]) * normals()
    for s_noise in (1.0, 1.1):
        options = {"disable": True, "eta": eta, "s_noise": s_noise, "flow": flow, **nodes}
        first, second = Noises(), Noises()
        found = ours(curved, x, sigmas, noise_sampler=first, **options)
        expected = theirs(curved, x, sigmas, noise_sampler=second, **options)
        assert torch.allclose(found, expected, rtol=1e-12, atol=1e-13)
        assert len(first.asked) == len(second.asked)
        for one, other in zip(first.asked, second.asked, strict=True):
            assert one == pytest.approx(other, rel=1e-13)


@pytest.mark.parametrize(
    ("ours", "theirs", "nodes"),
    [
        (kdiffusion.sample_seeds_2, straightforward.seeds_2, {"r": 1.0}),
        (kdiffusion.sample_seeds_3, straightforward.seeds_3, {"r_1": 0.5, "r_2": 1.0}),
    ],
)
def test_at_node_1_the_empty_stretch_is_asked_for_as_comfyui_does(
    ours: Callable[..., Tensor], theirs: Callable[..., Tensor], nodes: dict[str, float]
) -> None:
    """So a generator serves both alike. ComfyUI's formulas multiply the answer by 0; here it is dropped."""
    first, second = Noises(), Noises()

    def theirs_but_nan(sigma: Tensor, sigma_next: Tensor) -> Tensor:
        noise = second(sigma, sigma_next)
        return noise * 0 if math.isclose(sigma, sigma_next, rel_tol=1e-12) else noise

    found = ours(curved, 20 * normals(), GRID, noise_sampler=first, **nodes)
    expected = theirs(
        curved, 20 * normals(), GRID, disable=True, noise_sampler=theirs_but_nan, **nodes
    ).nan_to_num()
    assert len(first.asked) == len(second.asked) == (len(GRID) - 1) * (len(nodes) + 1)
    for one, other in zip(first.asked, second.asked, strict=True):
        assert one == pytest.approx(other, rel=1e-13)
    assert torch.allclose(found, expected, rtol=1e-7, atol=1e-7)


def asked_by(name: str, sigmas: list[float], *, flow: bool = False) -> list[tuple[float, float]]:
    """What a method asks a noise sampler for, whose answers to what is empty are not finite."""
    noises = Noises()

    def noise_sampler(sigma: Tensor, sigma_next: Tensor) -> Tensor:
        noise = noises(sigma, sigma_next)
        return noise / 0 if sigma == sigma_next else noise

    function = kdiffusion.as_k_diffusion(name)
    x = float(sigmas[0]) * normals()
    found = function(curved, x, sigmas, noise_sampler=noise_sampler, disable=True, flow=flow)
    assert found.isfinite().all()
    return [(round(a, 12), round(b, 12)) for a, b in noises.asked]


def test_a_step_that_goes_nowhere_asks_for_empty_stretches_where_it_is() -> None:
    m = round(math.sqrt(5.0), 12)
    assert asked_by("seeds-2", [5.0, 5.0, 1.0, 1.0, 0.0, 0.0]) == [
        *[(5.0, 5.0)] * 2,
        *[(5.0, m), (m, 1.0)],
        *[(1.0, 1.0)] * 2,
    ]
    assert asked_by("seeds-1", [5.0, 5.0, 5.0, 1.0]) == [*[(5.0, 5.0)] * 2, (5.0, 1.0)]
    assert asked_by("seeds-1", [9.0, 5.0, 5.0, 5.0, 1.0]) == [
        *[(9.0, 5.0), (5.0, 5.0), (5.0, 5.0), (5.0, 1.0)]
    ]


@pytest.mark.parametrize(("name", "count"), [("seeds-1", 1), ("seeds-2", 2), ("seeds-3", 3)])
def test_from_sigma_1_of_flow_all_stretches_but_one_are_empty(name: str, count: int) -> None:
    asked = asked_by(name, [1.0, 0.5, 0.2, 0.0], flow=True)
    assert asked[:count] == [*[(1.0, 1.0)] * (count - 1), (1.0, 0.5)]
    assert len(asked) == 2 * count and (asked[count][0], asked[-1][1]) == (0.5, 0.2)


def test_from_sigma_1_of_flow_a_node_at_1_is_at_the_end() -> None:
    """As in ComfyUI, where the noise of the step comes first and then the one for the empty stretch."""
    asked = asked_by("seeds-2@1", [1.0, 0.5, 0.2, 0.0], flow=True)
    assert asked == [(1.0, 0.5), (0.5, 0.5), (0.5, 0.2), (0.2, 0.2)]
    assert asked_by("seeds-3@0.4,1", [1.0, 0.5], flow=True) == [(1.0, 1.0), (1.0, 0.5), (0.5, 0.5)]


def test_seeds_1_at_eta_1_is_the_ancestral_step() -> None:
    arguments = (curved, 20 * normals(), GRID, None, None, True, 1.0, 1.1)
    found = kdiffusion.sample_seeds_1(*arguments, Noises())
    expected = straightforward.euler_ancestral(*arguments, Noises())
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_the_solver_of_its_name(name: str) -> None:
    sampler = as_k_diffusion(name)
    for eta in (0.0, 0.5):
        torch.manual_seed(0)
        found = FUNCTIONS[name](curved, 20 * normals(), GRID, eta=eta)
        torch.manual_seed(0)
        assert torch.equal(found, sampler(curved, 20 * normals(), GRID, eta=eta))


def test_without_s_noise_there_is_no_noise() -> None:
    noises = Noises()
    found = kdiffusion.sample_seeds_2(
        curved, 20 * normals(), GRID, s_noise=0.0, noise_sampler=noises
    )
    zero = kdiffusion.sample_seeds_2(
        curved, 20 * normals(), GRID, noise_sampler=lambda a, b: torch.zeros(3, 2).double()
    )
    assert torch.equal(found, zero)
    assert not noises.asked


# -------------------------------------------------------------------------------- signatures and nodes


def test_the_signatures_are_comfyuis() -> None:
    common = ["model", "x", "sigmas", "extra_args", "callback", "disable", "eta", "s_noise"]
    own = {
        "seeds-1": ["noise_sampler"],
        "seeds-2": ["noise_sampler", "r", "solver_type"],
        "seeds-3": ["noise_sampler", "r_1", "r_2"],
    }
    assert len(FUNCTIONS) == 7
    for name, function in FUNCTIONS.items():
        parameters = inspect.signature(function).parameters
        named = [p for p in parameters if parameters[p].kind != inspect.Parameter.KEYWORD_ONLY]
        assert named == common + own.get(name, [])
        assert parameters["eta"].default == parameters["s_noise"].default == 1.0
        assert ("noise_sampler" in parameters) == Solver(name).follows_values


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("seeds-2@0.7", "7/10"),
        ("seeds-2@0.3333333333333333", "1/3"),
        ("seeds-2@0.333333333333333", "333333333333333/1000000000000000"),
        ("seeds-3@0.3333333333333333,0.6666666666666666", "1/3, 2/3"),
    ],
)
def test_a_double_stands_for_the_fraction_it_is_nearest_to(text: str, nodes: str) -> None:
    assert ", ".join(map(str, method(text).nodes)) == nodes


def test_nodes_of_the_default_are_the_default_and_others_are_named_by_fractions() -> None:
    assert kdiffusion.with_nodes("seeds-3", 1 / 3, 2 / 3).name == "seeds-3"
    assert kdiffusion.with_nodes("seeds-2", 1 / 3).name == "seeds-2@1/3"
    assert kdiffusion.with_nodes("seeds-2", 1 / 3) is kdiffusion.with_nodes("seeds-2", 1 / 3)


def test_a_second_run_makes_no_new_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    def sample(flow: bool) -> Tensor:
        return kdiffusion.sample_seeds_2(curved, normals(), FLOW, r=1 / 3, flow=flow, eta=0.0)

    first = [sample(False), sample(True)]
    monkeypatch.setattr(kdiffusion, "make_plan", None)
    assert all(map(torch.equal, first, [sample(False), sample(True)]))


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"solver_type": "phi_3"}, UnknownNameError, "solver_type is one of 'phi_1', 'phi_2'"),
        ({"r": 0.0}, TableauError, "(0, 1]; got 0"),
        ({"r": math.nan}, TableauError, "nodes are numbers or fractions in (0, 1]; got nan"),
        ({"r": "half"}, TableauError, "nodes are numbers or fractions in (0, 1]; got half"),
        ({"s_noise": -1.0}, ParameterError, "s_noise is a finite number >= 0; got -1.0"),
        ({"s_noise": math.inf}, ParameterError, "s_noise is a finite number >= 0; got inf"),
        ({"eta": math.nan}, ParameterError, "eta is a finite number >= 0; got nan"),
        ({"sigmas": torch.ones(2, 2)}, GridError, "one-dimensional sequence; got shape (2, 2)"),
        ({"sigmas": "karras"}, GridError, "a sequence of noise levels; got 'karras'"),
        ({"flow": True}, GridError, "sigmas of flow lie in [0, 1]; got 20"),
        ({"noise_sampler": lambda a, b: 0.0}, NoiseError, "like x; got float"),
        ({"x": 3}, ParameterError, "floating-point tensor"),
        (
            {"noise_sampler": lambda a, b: torch.zeros(1)},
            NoiseError,
            "noise sampler returns a tensor (3, 2), like x; got (1,)",
        ),
    ],
)
def test_wrong_calls_are_typed(change: dict, error: type[SeedsError], says: str) -> None:
    arguments = {"model": curved, "x": 20 * normals(), "sigmas": GRID} | change
    with pytest.raises(error) as caught:
        kdiffusion.sample_seeds_2(**arguments)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_noise_sampler_is_refused_where_it_cannot_give_averages() -> None:
    with pytest.raises(TypeError, match="noise_sampler"):
        kdiffusion.sample_seeds_2s(curved, normals(), GRID, noise_sampler=Noises())
    with pytest.raises(ParameterError, match="'seeds-2s' takes no noise_sampler"):
        run(Solver("seeds-2s"), curved, normals(), GRID, noise_sampler=Noises())


# -------------------------------------------------------------------------------- seeds


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "seeds-2m"])
@pytest.mark.parametrize(("flow", "grid"), [(False, to_zero(GRID)), (True, to_zero(FLOW))])
@pytest.mark.parametrize("cut", [1, 3])
def test_a_run_that_is_cut_is_the_run(name: str, flow: bool, grid: Tensor, cut: int) -> None:
    """Both parts have the workflow's seed; a method with memory starts up again, and is another run."""
    sample = partial(FUNCTIONS[name], model=curved, extra_args={"seed": 7}, flow=flow)
    x = grid[0] * normals()
    whole = sample(x=x, sigmas=grid)
    first = sample(x=x, sigmas=grid[: cut + 1])
    torch.testing.assert_close(sample(x=first, sigmas=grid[cut:]), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_seed_gives_one_stream_per_sample_and_reaches_the_model(name: str) -> None:
    seen = []

    def model(x: Tensor, sigma: Tensor, **extra: Any) -> Tensor:
        seen.append(extra)
        return curved(x, sigma)

    extra = {"seed": 7, "scale": 2.0}
    found = FUNCTIONS[name](model, 20 * normals(), GRID, extra)
    assert all(call == {"seed": 7, "scale": 2.0} for call in seen)
    assert extra == {"seed": 7, "scale": 2.0}
    expected = run(Solver(name), curved, 20 * normals(), GRID, noise=SeededNoise([7, 8, 9]))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_image_does_not_depend_on_its_batch(name: str) -> None:
    sampler, x = FUNCTIONS[name], 20 * normals()
    batch = sampler(curved, x, GRID, {"seed": 7})
    alone = [sampler(curved, x[i : i + 1], GRID, {"seed": 7 + i}) for i in range(3)]
    assert torch.equal(batch, torch.cat(alone))


@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
def test_the_noise_does_not_repeat_the_initial_noise_of_the_same_seed(seed: int) -> None:
    def noise(*arguments: Any) -> Tensor:
        """A step from 0 of a model that returns 0: a multiple of the noise."""
        return kdiffusion.sample_seeds_1(
            lambda x, sigma, **_: x * 0, torch.zeros(3, 2), [2.0, 1.0], *arguments
        )

    one = kdiffusion.sample_seeds_1(
        lambda x, sigma: x * 0,
        torch.zeros(3, 2),
        [2.0, 1.0],
        noise_sampler=lambda a, b: torch.ones(3, 2),
    )
    initial = torch.randn(3, 2, generator=torch.Generator().manual_seed(seed))
    assert not torch.isclose(noise({"seed": seed}) / one, initial, atol=1e-4).any()


def test_a_seed_may_be_any_integer() -> None:
    found = [
        kdiffusion.sample_seeds_2(curved, normals(), GRID, {"seed": seed})
        for seed in (2**63 - 1, np.int64(2**63 - 1))
    ]
    assert torch.equal(*found)


def test_without_a_seed_torch_draws() -> None:
    torch.manual_seed(3)
    first = kdiffusion.sample_seeds_2(curved, normals(), GRID)
    torch.manual_seed(3)
    assert torch.equal(kdiffusion.sample_seeds_2(curved, normals(), GRID, {"seed": None}), first)


def test_a_list_of_seeds_has_one_for_each_sample() -> None:
    listed = kdiffusion.sample_seeds_2(curved, normals(), GRID, {"seed": [7, 8, 9]})
    assert torch.equal(listed, kdiffusion.sample_seeds_2(curved, normals(), GRID, {"seed": 7}))
    with pytest.raises(NoiseError, match="got 2 seeds for a batch of 3"):
        kdiffusion.sample_seeds_2(curved, normals(), GRID, {"seed": [7, 8]})


@pytest.mark.parametrize("seed", [3.0, "x", torch.zeros(3), [1.5, 2, 3]])
def test_no_seed_is_ignored(seed: object) -> None:
    with pytest.raises(ParameterError, match="seed"):
        kdiffusion.sample_seeds_2(curved, normals(), GRID, {"seed": seed})


@pytest.mark.parametrize("name", ["seeds-3b", "seeds-2m", "sa-solver"])
def test_by_name_they_take_s_noise_and_flow_too(name: str) -> None:
    sampler, extra = as_k_diffusion(name), {"seed": 7}
    found = sampler(curved, normals(), FLOW, extra, s_noise=0.5, flow=True)
    expected = run(Solver(name), curved, normals(), FLOW, extra, s_noise=0.5, flow=True)
    assert torch.equal(found, expected)
    assert not torch.equal(found, sampler(curved, normals(), FLOW, extra, flow=True))


def test_a_noise_sampler_comes_before_the_seed() -> None:
    given = [
        kdiffusion.sample_seeds_2(curved, normals(), GRID, extra, noise_sampler=Noises())
        for extra in (None, {"seed": 7})
    ]
    assert torch.equal(*given)


# -------------------------------------------------------------------------------- flow


@pytest.mark.parametrize(("start", "zero"), [(0.98, True), (1.0, False)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_run_of_flow_is_the_run_of_x_over_alpha(name: str, start: float, zero: bool) -> None:
    """With states, levels and estimates converted by hand; at a sigma of 1 they are the same."""
    sigmas = to_zero(FLOW) if zero else FLOW.clone()
    sigmas[0] = start
    levels = sigmas / (1 - sigmas)
    alpha = 1.0 if start == 1 else 1 - start

    def model(x: Tensor, level: Tensor) -> Tensor:
        return x * 0.25 if level[0] == math.inf else curved(x / (1 + level[0]), level / (1 + level))

    def flow_model(x: Tensor, sigma: Tensor, **_: Any) -> Tensor:
        return x * 0.25 if sigma[0] == 1 else curved(x, sigma)

    x = normals()
    found = FUNCTIONS[name](flow_model, x, sigmas, {"seed": 3}, flow=True)
    expected = run(Solver(name), model, x / alpha, levels, noise=SeededNoise([3, 4, 5]))
    assert torch.allclose(found, expected * (1 - sigmas[-1]), rtol=1e-11, atol=1e-12)


def test_a_first_sigma_of_flow_that_was_rounded_up_is_1() -> None:
    def sample(first: float) -> Tensor:
        sigmas = torch.tensor([first, 0.8, 0.5])
        return kdiffusion.sample_seeds_2(curved, normals(), sigmas, {"seed": 1}, flow=True)

    rounded = float(torch.nextafter(torch.tensor(1.0), torch.tensor(2.0)))
    assert rounded > 1
    assert torch.allclose(sample(rounded), sample(1.0), rtol=1e-6)


@pytest.mark.parametrize("name", ["seeds-2", "sde-dpm-solver++-2s"])
def test_in_flow_everybody_is_given_the_flows_own_sigmas(name: str) -> None:
    sigmas = to_zero(FLOW)
    sigmas[0] = 1.0
    seen, calls, noises = list[float](), list[dict[str, Any]](), Noises()

    def model(x: Tensor, sigma: Tensor) -> Tensor:
        assert (sigma.shape, sigma.dtype) == ((3,), torch.float64)
        seen.append(float(sigma[0]))
        return curved(x, sigma)

    x = normals()
    options = {"callback": calls.append, "noise_sampler": noises}
    run(Solver(name), model, x, sigmas, **options, flow=True)
    own = sigmas.tolist()
    assert [call["sigma"].item() for call in calls] == own[:-1]
    assert torch.equal(calls[0]["x"], x)
    assert all(
        torch.equal(call["denoised"], curved(call["x"], call["sigma"].expand(3))) for call in calls
    )
    assert seen[0] == 1.0
    assert set(own[:-1]) <= set(seen)  # not one rounding away
    levels = [noises.asked[0][0], *(stop for _, stop in noises.asked)]
    assert levels == sorted(levels, reverse=True)
    assert set(own[:-1]) <= set(levels)


# -------------------------------------------------------------------------------- dtypes


def gaussian(x: Tensor, sigma: Tensor, **_: Any) -> Tensor:
    """The denoiser of unit Gaussian data."""
    return x / (1 + sigma[:, None] ** 2)


def rounding_bound(name: str, sigmas: list[float], x: Tensor, rows: Tensor, unit: float) -> Tensor:
    """A running error bound of a run on `gaussian`, in an arithmetic of that unit roundoff.

    A sum of n weighted terms rounds each weight, each product and n sums; the model rounds sigma, which
    counts twice, and three operations. n roundings are at most gamma(n).
    """

    def gamma(n: int) -> float:
        return n * unit / (1 - n * unit)

    noise, bound = iter(rows), torch.zeros_like(x)
    for step in make_plan(name, sigmas).steps:
        z = [(next(noise), torch.zeros_like(x)) for _ in step.intervals]
        start, estimates, level = (x, bound), list[tuple[Tensor, Tensor]](), step.sigma
        for row in step.rows:
            gain = 1 / (1 + level**2)
            estimates.append((gain * x, gain * (bound + gamma(5) * (x.abs() + bound))))
            weights, level = (row.state, *row.drift, *row.noise), row.sigma
            terms = list(zip(weights, [start, *estimates, *z[: len(row.noise)]], strict=True))
            x = sum(w * value for w, (value, _) in terms)
            bound = sum(
                abs(w) * (error + gamma(2 + len(terms)) * (value.abs() + error))
                for w, (value, error) in terms
            )
    return bound


@pytest.mark.parametrize(
    "grid_dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64]
)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["seeds-1", "seeds-2", "seeds-3"])
def test_each_dtype_is_as_near_as_its_rounding_allows(
    name: str, dtype: torch.dtype, grid_dtype: torch.dtype
) -> None:
    sigmas = to_zero(GRID).to(grid_dtype)
    x = (20 * normals()).to(dtype)
    rows = torch.stack([normals(seed) for seed in range(20)]).to(dtype)

    def sample(dtype: torch.dtype) -> Tensor:
        noise = iter(rows.to(dtype))
        sampler = FUNCTIONS[name]
        return sampler(gaussian, x.to(dtype), sigmas, noise_sampler=lambda a, b: next(noise))

    found, exact = sample(dtype), sample(torch.float64)
    assert found.dtype == dtype
    unit = torch.finfo(dtype).eps / 2 + torch.finfo(torch.float64).eps  # the reference rounds too
    bound = rounding_bound(name, sigmas.tolist(), x.double(), rows.double(), unit)
    assert ((found.double() - exact).abs() <= bound).all()
    assert bound.max() < 128 * unit  # of results of about 1


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_runs_with_a_seed_and_keeps_its_type(name: str, dtype: torch.dtype) -> None:
    found = FUNCTIONS[name](gaussian, (20 * normals()).to(dtype), to_zero(GRID), {"seed": 1})
    assert found.dtype == dtype
    assert found.isfinite().all()


# -------------------------------------------------------------------------------- other people's models


class EpsDenoiser(torch.nn.Module):
    """A wrapper as k-diffusion has them: a network of noise on a variance-preserving schedule."""

    def __init__(self, network: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.inner_model = network
        self.register_buffer("log_sigmas", torch.linspace(-4, 4, 1000))

    def forward(self, x: Tensor, sigma: Tensor, **extra: Any) -> Tensor:
        c_out, c_in = -sigma[:, None], 1 / (sigma[:, None] ** 2 + 1) ** 0.5
        t = (sigma.log() - self.log_sigmas[:, None]).abs().argmin(dim=0)
        return x + self.inner_model(x * c_in, t, **extra) * c_out


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_wrapper_of_a_noise_network_works(name: str, dtype: torch.dtype) -> None:
    def network(x: Tensor, t: Tensor, cond: float, seed: int) -> Tensor:
        assert (x.dtype, t.shape, cond, seed) == (dtype, (3,), 0.5, 2)
        return x * cond

    x = (20 * normals()).to(dtype)
    found = FUNCTIONS[name](EpsDenoiser(network), x, to_zero(GRID), {"cond": 0.5, "seed": 2})
    assert found.dtype == dtype
    assert found.isfinite().all()


def test_an_estimate_of_another_precision_is_converted() -> None:
    found = kdiffusion.sample_seeds_2(
        lambda x, sigma: gaussian(x.double(), sigma), normals().float(), GRID
    )
    assert found.dtype == torch.float32


def k_diffusion_sampling() -> ModuleType:
    try:
        return sampling_module()
    except LibraryError as error:
        pytest.skip(str(error))


def test_the_same_as_k_diffusions_own_function_on_the_same_noise() -> None:
    theirs = k_diffusion_sampling()
    arguments = (EpsDenoiser(lambda x, t: x * 0.5), 20 * normals(), to_zero(GRID), {}, None, True)
    found = kdiffusion.sample_seeds_1(*arguments, 1.0, 1.0, Noises())
    expected = theirs.sample_euler_ancestral(*arguments, 1.0, 1.0, Noises())
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-13)
    own = list(inspect.signature(kdiffusion.sample_seeds_2).parameters)
    assert own[:10] == list(inspect.signature(theirs.sample_dpmpp_sde).parameters)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_brownian_tree_of_k_diffusion_serves_every_stretch(dtype: torch.dtype) -> None:
    """It warns outside of its range, which has decimal ends, and divides by 0 on a stretch of no length."""
    x, sigmas = normals().to(dtype), torch.tensor([0.875, 0.7, 0.33, 0.1, 0.0625, 0.0], dtype=dtype)
    tree = k_diffusion_sampling().BrownianTreeNoiseSampler(x, sigmas[-2], sigmas[0], seed=1)
    for flow in (False, True):
        for function in (kdiffusion.sample_seeds_1, kdiffusion.sample_seeds_3):
            assert function(gaussian, x, sigmas, noise_sampler=tree, flow=flow).isfinite().all()


# -------------------------------------------------------------------------------- the progress bar


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("disable", [None, False, True])
@pytest.mark.parametrize("name", ["seeds-2", "seeds-2m"])
def test_disable_switches_the_bar_and_none_shows_it_on_a_terminal(
    name: str,
    disable: bool | None,
    terminal: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    FUNCTIONS[name](curved, normals(), GRID, None, None, disable)
    shown = terminal if disable is None else not disable
    written = capsys.readouterr()
    assert (f"{name}: 100%" in written.err) == shown
    assert shown or not written.err
    assert not written.out


# ------------------------------------------------------------------------------- grids as hosts make them


def run_on(name: str, sigmas: list[float], **options: Any) -> tuple[Tensor, list[int]]:
    seen: list[int] = []
    found = kdiffusion.as_k_diffusion(name)(
        curved,
        normals(),
        torch.tensor(sigmas, dtype=torch.float64),
        {"seed": 7},
        lambda step: seen.append(step["i"]),
        True,
        **options,
    )
    return found, seen


SAMPLERS = ["seeds-1", "seeds-3", "seeds-2m", "euler", "edm-heun", "sa-solver"]


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize(
    ("sigmas", "flow"),
    [([], False), ([14.6], False), ([0.0], False), ([5.0, 5.0], False), ([1.0], True)],
)
def test_levels_without_a_step_between_return_the_state(
    name: str, sigmas: list[float], flow: bool
) -> None:
    if name == "edm-heun" and len(sigmas) > 1:
        return  # a level again is a step of it, which raises the noise
    found, seen = run_on(name, sigmas, flow=flow)
    assert (torch.equal(found, normals()), seen) == (True, [])


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize(
    ("sigmas", "plain", "flow", "indices"),
    [
        ([14.6, 5.0, 5.0, 1.0, 0.0], [14.6, 5.0, 1.0, 0.0], False, [0, 2, 3]),
        ([14.6, 5.0, 0.0, 0.0], [14.6, 5.0, 0.0], False, [0, 1]),
        ([1.05, 1.0, 0.5, 0.0], [1.0, 0.5, 0.0], True, [1, 2]),
        ([1.0, 1.0, 0.5, 0.0], [1.0, 0.5, 0.0], True, [1, 2]),
    ],
)
def test_a_level_that_comes_again_is_no_step(
    name: str, sigmas: list[float], plain: list[float], flow: bool, indices: list[int]
) -> None:
    if name == "edm-heun" and not flow and sigmas[1] == sigmas[2]:
        return
    found, seen = run_on(name, sigmas, flow=flow)
    expected, _ = run_on(name, plain, flow=flow)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert seen == indices


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_step_of_flow_is_the_estimate_at_1(name: str) -> None:
    found, seen = run_on(name, [1.0, 0.0], flow=True)
    assert torch.equal(found, curved(normals(), torch.ones(3, dtype=torch.float64)))
    assert seen == [0]


@pytest.mark.parametrize("name", ["seeds-1", "seeds-2", "seeds-3", "seeds-2m", "lawson-rk4"])
@pytest.mark.parametrize("flow", [False, True])
def test_the_ode_goes_up_and_down_again(name: str, flow: bool) -> None:
    """Unsampling: to pure noise and back, off by the errors of both directions."""
    sampler = kdiffusion.as_k_diffusion(name)
    options = {"flow": flow, **({"eta": 0.0} if name != "lawson-rk4" else {})}
    low, high = (0.02, 1.0) if flow else (0.02, 5.0)

    def off(steps: int) -> float:
        up = [low + (high - low) * (i / steps) ** 2 for i in range(steps + 1)]
        there = sampler(curved, normals(), up, **options)
        assert (there - normals()).abs().max() > 0.1
        return float((sampler(curved, there, up[::-1], **options) - normals()).abs().max())

    assert off(200) < 0.6 * off(100)


def test_a_grid_that_goes_up_needs_a_run_without_noise() -> None:
    with pytest.raises(GridError, match=r"0\.1 then 1 at index 1"):
        run_on("seeds-3", [0.1, 1.0])
    with pytest.raises(GridError, match="0 then 1 at index 1"):
        run_on("seeds-3", [0.0, 1.0], eta=0.0)


@pytest.mark.parametrize("sigma", [1.6, 14.6])
def test_sigmas_of_flow_are_not_far_above_1(sigma: float) -> None:
    with pytest.raises(GridError, match="leave out flow"):
        run_on("seeds-3", [sigma, 0.5], flow=True)


def test_a_model_without_a_seed_is_not_given_one() -> None:
    def bare(x: Tensor, sigma: Tensor) -> Tensor:
        return curved(x, sigma)

    expected = run_on("seeds-3", [5.0, 1.0])[0]
    grid = torch.tensor([5.0, 1.0], dtype=torch.float64)
    for model in (bare, EpsLike(bare)):
        found = kdiffusion.sample_seeds_3(model, normals(), grid, {"seed": 7}, disable=True)
        assert torch.equal(found, expected)


class EpsLike(torch.nn.Module):
    """A wrapper that hands on all it is given."""

    def __init__(self, inner: Callable[..., Tensor]) -> None:
        super().__init__()
        self.inner_model = inner

    def forward(self, x: Tensor, sigma: Tensor, **extra: Any) -> Tensor:
        return self.inner_model(x, sigma, **extra)


# ------------------------------------------------------------------------- errors in the caller's numbers

WRONG: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "nan": (lambda x: x * math.nan, "the denoiser's estimate is not finite"),
    "shape": (lambda x: x[:1], "a denoiser returns what it is given"),
    "type": (lambda x: None, "a denoiser returns a tensor; got NoneType"),
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("highest", [1.0, 0.9, 0.3])
def test_an_error_of_a_flow_tells_the_sigma_that_the_model_was_given(
    name: str, wrong: str, highest: float
) -> None:
    (answer, says), seen = WRONG[wrong], []

    def model(x: Tensor, sigma: Tensor, **_: Any) -> Any:
        seen.append(float(sigma[0]))
        return answer(x) if seen[-1] <= highest else curved(x, sigma)

    sigmas = [1.0, 0.5, 0.5, 0.25, 0.0]
    with pytest.raises(DenoiserError) as caught:
        kdiffusion.as_k_diffusion(name)(model, normals(), sigmas, disable=True, flow=True)
    told = re.match(r"step (\d+), sigma (\S+): (.*)", str(caught.value))
    assert told and told[2] == f"{seen[-1]:g}" and told[3].startswith(says)
    step = int(told[1])  # in the caller's grid, whose second step goes nowhere but for edm-heun
    assert (step != 1 or name == "edm-heun") and sigmas[step] >= seen[-1] >= sigmas[step + 1]


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_state_of_a_flow_that_is_not_finite_is_told_in_the_flows_sigma(name: str) -> None:
    def model(x: Tensor, sigma: Tensor, **_: Any) -> Tensor:
        return curved(x, sigma)

    for sigmas in ([1.0, 0.5, 0.0], [0.75, 0.5, 0.0]):
        with pytest.raises(SeedsError) as caught:
            kdiffusion.as_k_diffusion(name)(
                model, normals() * math.nan, sigmas, disable=True, flow=True
            )
        assert f"step 0, sigma {sigmas[0]:g}: " in str(caught.value)


def test_a_flow_that_comes_to_1_between_is_told_in_its_own_sigma() -> None:
    for sigmas in ([0.5, 1.0, 0.75], [0.5, 0.9, 1.0, 1.0, 0.75]):
        with pytest.raises(GridError, match="sigmas of flow reach 1 only at an end") as caught:
            run_on("seeds-3", sigmas, flow=True, eta=0.0)
        assert "inf" not in str(caught.value)

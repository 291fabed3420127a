"""The normals that lead a plan to an image: they do, to rounding; and edits change what they are to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from with_density import SINGULAR, WITH_DENSITY

from seeds_theory import (
    METHODS,
    DenoiserError,
    DensityError,
    GridError,
    Inversion,
    NoiseError,
    ParameterError,
    SeededNoise,
    follow,
    invert,
    make_plan,
    method,
    rollout,
    uniform_log_snr,
)
from seeds_theory.baselines import BASELINES
from seeds_theory.chain import runner_of
from seeds_theory.kdiffusion import run as run_as_host
from seeds_theory.solver import Solver
from toy_models.gaussian import Gaussian
from toy_models.mixture import GaussianMixture

GRID = [3.0, 2.0, 1.2, 0.7, 0.3, 0.1]


def mixture(*means: tuple[float, float]) -> GaussianMixture:
    variances = torch.tensor([0.04, 0.01], dtype=torch.float64)
    parts = [Gaussian(torch.tensor(mean, dtype=torch.float64), variances) for mean in means]
    return GaussianMixture([1.0] * len(parts), parts)


DATA = mixture((-1.0, 0.0), (1.0, 0.5))


def images(batch: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    return DATA.sample(batch, torch.Generator().manual_seed(0)).to(dtype)


def run(denoiser: Any, found: Inversion, noise: Any = None) -> Tensor:
    return runner_of(found.plan)(denoiser, found.start, noise or found, lambda step: None)


def apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


# ---------------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize(
    ("eta", "path"),
    [
        (1.0, "eta"),
        ([1, 0.4, 0, 2, 1], "independent"),
        pytest.param(0.3, "eta", marks=pytest.mark.slow),
        pytest.param([0, 0, 1, 1, 1], "eta", marks=pytest.mark.slow),
        pytest.param([1, 0.4, 0, 2, 1], "eta", marks=pytest.mark.slow),
        pytest.param(1.0, "independent", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", WITH_DENSITY)
def test_a_run_with_these_normals_ends_at_the_image(name: str, eta: Any, path: Any) -> None:
    if name == "ddpm" and eta != 1.0:
        pytest.skip("ddpm has eta = 1 only")
    found = invert(DATA, images(), Solver(name).on(GRID, eta), SeededNoise(range(3)), path=path)
    assert float(found.error.max()) == 0 and torch.equal(found.x, images())
    assert apart(run(DATA, found), images()) < 1e-13
    assert apart(run(DATA, found), images()) < 1e-13  # a source for any number of runs
    assert found.normals.shape == (len(found.intervals), 3, 2)


@pytest.mark.parametrize("name", WITH_DENSITY)
def test_on_a_grid_to_0_the_state_before_it_is_reached_and_the_rest_is_said(name: str) -> None:
    plan = Solver(name).on([*GRID, 0.0], 1.0)
    found = invert(DATA, images(), plan, SeededNoise(range(3)))
    end = run(DATA, found)
    assert apart(end, found.x) < 1e-13
    torch.testing.assert_close(found.error, (end - images()).abs().amax(1), rtol=1e-9, atol=1e-12)


def test_the_smaller_the_last_level_the_nearer_is_the_end_to_the_image() -> None:
    ends = [
        invert(DATA, images(), make_plan("seeds-2", [*GRID, sigma, 0.0]), SeededNoise(range(3)))
        for sigma in (0.03, 0.003)
    ]
    assert float(ends[1].error.max()) < 0.2 * float(ends[0].error.max())


@pytest.mark.parametrize("name", WITH_DENSITY)
def test_of_a_record_they_are_the_normals_of_its_run(name: str) -> None:
    plan = Solver(name).on(GRID, 1.0)
    asked: list[Tensor] = []
    seeded = SeededNoise(range(3))

    def listening(intervals: Any, like: Tensor) -> Tensor:
        asked.extend(seeded(intervals, like))
        return torch.stack(asked[-len(intervals) :])

    record = rollout(DATA, 3 * images(), plan, listening)
    found = invert(DATA, record, plan)
    torch.testing.assert_close(found.normals, torch.stack(asked), rtol=1e-8, atol=1e-8)
    other = mixture((-1.0, 0.3), (1.0, 0.5))
    led = invert(other, record, plan)
    assert apart(led.normals, found.normals) > 0.01
    assert apart(run(other, led), record.x) < 1e-12


@pytest.mark.parametrize("name", ["seeds-1", "seeds-2", "seeds-3s", "seeds-2m", "sa-solver"])
@pytest.mark.parametrize("batch", [0, 1, 5])
def test_a_sample_has_its_normals_in_any_batch(name: str, batch: int) -> None:
    plan, x = Solver(name).on(GRID, "1:0.5-2.5"), images(5)
    found = invert(DATA, x, plan, SeededNoise(range(5)))
    part = found.mapped(lambda values: values[:batch])
    assert apart(run(DATA, part), found.x[:batch]) < 1e-13 if batch else part.error.shape == (0,)
    if batch:
        alone = invert(DATA, x[:batch], plan, SeededNoise(range(batch)))
        torch.testing.assert_close(alone.normals, part.normals, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("factor", [1.0, 1e8])
def test_a_sample_is_solved_for_exactly_in_any_batch(factor: float) -> None:
    """The size of one sets no accuracy of the others."""
    plan, x = make_plan("seeds-1", uniform_log_snr(3.0, 0.1, 12), eta=0.0), images(5)
    x[-1] *= factor
    found = invert(DATA, x, plan, exact=True)
    alone = invert(DATA, x[:2], plan, exact=True)
    assert float(found.error[:4].max()) < 1e-13
    assert apart(found.start[:2], alone.start) < 1e-12


def test_levels_that_nearly_agree_have_their_own_normals() -> None:
    sigma = 0.7
    grid = [3.0, 1.2, sigma * (1 + 4e-7), sigma, sigma * (1 - 4e-7), sigma * (1 - 8e-7), 0.1]
    for name in ("seeds-1", "seeds-2"):
        found = invert(DATA, images(), make_plan(name, grid), SeededNoise(range(3)))
        assert apart(run(DATA, found), images()) < 1e-12
        for row, own in enumerate(found.intervals):
            near = replace(
                own, sigma=own.sigma * (1 + 5e-8), sigma_next=own.sigma_next * (1 + 5e-8)
            )
            for asked in (own, near):
                assert torch.equal(found([asked], images())[0], found.normals[row])
    for wrong in (replace(own, sigma=math.inf), replace(own, sigma_next=0.0), replace(own, path=1)):
        with pytest.raises(NoiseError, match="has the noise of its plan"):
            found([wrong], images())


def test_images_without_elements_have_no_error() -> None:
    found = invert(lambda x, s: x / 2, torch.zeros(2, 0).double(), PLAN, SeededNoise([1, 2]))
    assert torch.equal(found.error, torch.zeros(2).double())
    still = make_plan("seeds-1", GRID, eta=0.0)
    exact = invert(lambda x, s: x, torch.zeros(2, 0).double(), still, exact=True)
    assert torch.equal(exact.error, torch.zeros(2).double())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["seeds-1", "seeds-2"])
def test_exactly_in_half_precision_it_comes_as_near_as_states_are_rounded(
    name: str, dtype: torch.dtype
) -> None:
    plan = Solver(name).on(uniform_log_snr(3.0, 0.1, 12), 0.0)
    x = images(50, dtype)
    exact, near = (invert(DATA, x, plan, exact=is_exact) for is_exact in (True, False))
    assert float(exact.error.max()) < 8 * torch.finfo(dtype).eps
    assert float(exact.error.mean()) < float(near.error.mean())


@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 2e-6), (torch.bfloat16, 0.1)])
@pytest.mark.parametrize("name", ["seeds-1", "seeds-3", "seeds-2m"])
def test_in_fewer_digits_it_is_exact_to_their_rounding(
    name: str, dtype: torch.dtype, within: float
) -> None:
    found = invert(DATA, images(dtype=dtype), Solver(name).on(GRID, 1.0), SeededNoise(range(3)))
    assert found.normals.dtype == torch.float64 and found.x.dtype == dtype
    assert apart(run(DATA, found), images(dtype=dtype)) < within


def test_states_are_those_between_steps_and_a_run_goes_on_from_any() -> None:
    found = invert(DATA, images(), make_plan("seeds-3s", GRID), SeededNoise(range(3)))
    for n in range(len(GRID) - 1):
        end = follow(DATA, found.states[n], make_plan("seeds-3s", GRID[n:]), found)
        assert apart(end, images()) < 1e-13


def test_it_starts_at_an_infinite_level_and_at_levels_that_a_host_rounded() -> None:
    found = invert(DATA, images(), make_plan("seeds-2", [math.inf, *GRID]), SeededNoise(range(3)))
    assert apart(run(DATA, found), images()) < 1e-13
    rounded = torch.tensor(GRID)
    found = invert(DATA, images(), make_plan("seeds-2", GRID), SeededNoise(range(3)))

    def host(x: Tensor, sigma: Tensor) -> Tensor:
        return DATA(x, float(sigma[0]))

    end = run_as_host(Solver("seeds-2"), host, found.start, rounded, noise=found)
    assert apart(end, images()) < 1e-5


# ----------------------------------------------------------------------------------- without noise


ORDERS = {"seeds-1": 1, "seeds-2": 3, "seeds-3": 3, "dpm-solver++-2m": 2, "seeds-2m": 3}


@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_the_ode_comes_back_to_the_order_of_the_method(name: str, order: int) -> None:
    """Of even order one more: the first errors of both ways cancel, but for a start at order 1."""
    gaussian = Gaussian(torch.tensor([0.3]).double(), torch.tensor([0.5]).double())
    x = torch.tensor([[0.9], [-0.4]], dtype=torch.float64)
    errors = [
        float(invert(gaussian, x, Solver(name).on(uniform_log_snr(5.0, 0.1, n), 0.0)).error.max())
        for n in (100, 200)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.05)


@pytest.mark.parametrize(
    "name", [n for n in [*METHODS, *BASELINES] if n in METHODS or BASELINES[n].only_eta is None]
)
def test_the_ode_of_any_sampler_is_inverted_and_its_error_is_that_of_a_run(name: str) -> None:
    plan = Solver(name).on(uniform_log_snr(3.0, 0.1, 24), 0.0)
    found = invert(DATA, images(), plan)
    assert found.normals.shape == (0, 3, 2)
    end = run(DATA, found)
    assert torch.equal(end, found.x) and float(found.error.max()) == apart(end, images()) < 0.8


@pytest.mark.parametrize("name", ["seeds-1", "seeds-3", "seeds-4s", "ddim", "edm-heun", "lawson-2"])
@pytest.mark.parametrize("eta", [0.0, "1:0.5-3"], ids=["ode", "a window"])
def test_exactly_it_comes_back_to_rounding(name: str, eta: Any) -> None:
    if eta and name in SINGULAR:
        pytest.skip("has no density")
    plan = Solver(name).on(uniform_log_snr(3.0, 0.1, 12), eta)
    found = invert(DATA, images(), plan, SeededNoise(range(3)), exact=True)
    assert apart(run(DATA, found), images()) < 1e-12
    single = invert(DATA, images(dtype=torch.float32), plan, SeededNoise(range(3)), exact=True)
    assert float(single.error.max()) < 1e-5
    near = invert(DATA, images(), plan, SeededNoise(range(3)))
    assert float(near.error.max()) > 1e-9


def test_an_exact_inversion_costs_calls_that_shorter_steps_make_fewer() -> None:
    each = []
    for steps in (10, 40):
        calls = 0

        def counted(x: Tensor, sigma: float) -> Tensor:
            nonlocal calls
            calls += 1
            return DATA(x, sigma)

        plan = make_plan("seeds-1", uniform_log_snr(3.0, 0.1, steps), eta=0.0)
        invert(counted, images(), plan, exact=True)
        each.append(calls / steps)
    assert each[1] < 0.8 * each[0]


def test_a_step_without_a_solution_near_by_is_named() -> None:
    def steep(x: Tensor, sigma: float) -> Tensor:
        return -5 * x if sigma < 1 else DATA(x, sigma)

    with pytest.raises(GridError, match=r"step 3, sigma 0.7: .* take shorter steps"):
        invert(steep, images(), make_plan("seeds-1", GRID[:5], eta=0.0), exact=True)


# --------------------------------------------------------------------------------------------- edits


def test_edits_stay_local_and_fresh_noise_does_not() -> None:
    other = mixture((-1.0, 0.0), (1.0, 1.2))  # one component is elsewhere
    x = images(400)
    moved = DATA.responsibilities(x, 0.0)[:, 1] > 0.5
    goal = x + torch.where(moved[:, None], torch.tensor([0.0, 0.7]).double(), 0.0)
    plan = make_plan("seeds-2", uniform_log_snr(10.0, 0.02, 20, to_zero=True))
    near = {}
    for path in ("eta", "independent"):
        found = invert(DATA, x, plan, SeededNoise(range(400)), path=path)  # type: ignore[arg-type]
        near[path] = ((run(other, found) - goal).norm(dim=1) < 0.5).double().mean()
    start = 10 * SeededNoise(range(400, 800)).initial((2,), torch.float64)
    ends = follow(other, start, plan, SeededNoise(range(400, 800)))
    near["fresh"] = ((ends - goal).norm(dim=1) < 0.5).double().mean()
    error = 0.5 / math.sqrt(400)  # at most
    assert near["independent"] > 1 - 4 * 0.005
    assert near["eta"] > near["fresh"] + 4 * math.sqrt(2) * error and near["eta"] > 0.85


@pytest.mark.slow
def test_at_eta_1_the_normals_are_standard_ones_and_independent_levels_have_larger() -> None:
    """Over images of the law of an exact model; what is left is the length of the steps."""
    x = images(1000)
    plan = make_plan("seeds-1", uniform_log_snr(10.0, 0.02, 80))
    own, other = (
        invert(DATA, x, plan, SeededNoise(range(1000)), path=path).normals  # type: ignore[arg-type]
        for path in ("eta", "independent")
    )
    error = 1 / math.sqrt(1000 * 2)
    inner = own[:-10]  # before the last, where the image itself is the state
    assert float(inner.mean((1, 2)).abs().max()) < 4.5 * error
    assert float(inner.var((1, 2)).mean()) == pytest.approx(1, abs=0.15)
    following = (inner[1:] * inner[:-1]).mean((1, 2))
    assert float(following.abs().max()) < 4.5 * 1.2 * error
    assert float(other.var((1, 2)).mean()) > 5


# ------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize("name", [*SINGULAR, "seeds-2@1"])
def test_a_step_that_cannot_be_led_is_refused(name: str) -> None:
    with pytest.raises(DensityError, match="fewer independent noises"):
        invert(DATA, images(), Solver(name).on(GRID, 1.0))


def test_a_method_of_ones_own_is_inverted_but_along_a_reversed_grid() -> None:
    own = replace(method("seeds-2"), name="my-own")
    found = invert(DATA, images(), make_plan(own, GRID), SeededNoise(range(3)))
    assert apart(run(DATA, found), images()) < 1e-13
    plan = make_plan(own, uniform_log_snr(3.0, 0.1, 12), eta=0.0)
    with pytest.raises(ParameterError, match="'my-own' is none: take exact=True"):
        invert(DATA, images(), plan)
    assert float(invert(DATA, images(), plan, exact=True).error.max()) < 1e-12


PLAN = make_plan("seeds-2", GRID)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda x: invert(DATA, x, "seeds-2"), ParameterError, "a plan comes from"),  # type: ignore[arg-type]
        (lambda x: invert(None, x, PLAN), ParameterError, "a denoiser is a function"),  # type: ignore[arg-type]
        (lambda x: invert(DATA, x / 0, PLAN), ParameterError, "an image is finite"),
        (lambda x: invert(DATA, x * math.nan, PLAN), ParameterError, "an image is finite"),
        (lambda x: invert(DATA, x.long(), PLAN), ParameterError, "floating-point tensor"),
        (lambda x: invert(DATA, x.tolist(), PLAN), ParameterError, "floating-point tensor"),
        (lambda x: invert(DATA, x, PLAN, path="no"), ParameterError, "'eta' or 'independent'"),  # type: ignore[arg-type]
        (lambda x: invert(DATA, x, PLAN, 3), NoiseError, "noise is a source"),  # type: ignore[arg-type]
        (lambda x: invert(DATA, x, PLAN, SeededNoise([1])), NoiseError, "one seed per sample"),
        (lambda x: invert(lambda x, s: x[:1], x, PLAN), DenoiserError, "a denoiser returns"),
        (
            lambda x: invert(DATA, x, PLAN.scaled(lambda s: 1 / (1 + s))),
            ParameterError,
            "the plan that was not scaled",
        ),
        (
            lambda x: invert(DATA, rollout(DATA, x, make_plan("seeds-1", GRID)), PLAN),
            DensityError,
            "a record of another plan",
        ),
        (
            lambda x: invert(DATA, x, Solver("seeds-2m").on(GRID, 0.0), exact=True),
            ParameterError,
            "step 4 remembers others",
        ),
        (
            lambda x: follow(DATA, x[:1], PLAN, invert(DATA, x, PLAN)),
            NoiseError,
            r"an inversion is of states \(3, 2\); got \(1, 2\)",
        ),
        (
            lambda x: follow(DATA, x, make_plan("seeds-2", GRID, eta=0.5), invert(DATA, x, PLAN)),
            NoiseError,
            "from sigma = 3 to .* at eta = 0.5",
        ),
    ],
)
def test_bad_input_is_one_line(
    call: Callable[[Tensor], Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        call(images())
    assert "\n" not in str(caught.value)

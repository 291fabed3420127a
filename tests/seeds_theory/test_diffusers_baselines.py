"""Published samplers as schedulers: `Solver`'s own results, one model call at a time."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import re
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch

pytest.importorskip("diffusers")

from pipeline_by_hand import FLOW, MIXTURE, STABLE_DIFFUSION, Network, normals, run

from seeds_theory import (
    InjectedNoise,
    NoiseError,
    ParameterError,
    SeededNoise,
    UnknownNameError,
    follow,
    make_plan,
)
from seeds_theory.baselines import BASELINES, Baseline, Declared
from seeds_theory.diffusers import SEEDSScheduler
from seeds_theory.diffusers.coordinates import Flow
from seeds_theory.diffusers.loops import Loop
from seeds_theory.policies import POLICIES, policy
from seeds_theory.schedule import flow_alpha, preserving_alpha
from seeds_theory.solver import Solver

pytestmark = pytest.mark.filterwarnings("ignore:this run begins at call")  # as for a refiner
PREDICTED = {
    **{kind: {} for kind in ("epsilon", "sample", "v_prediction")},
    "flow_prediction": {"use_flow_sigmas": True},
}
OPTIONS = [
    ("sa-solver", {"predictor_steps": 2, "corrector_steps": 0}),
    ("er-sde-3", {"noise_scale": "er-sde-5"}),
    ("unipc-3", {"variant": "bh1"}),
    ("edm-heun", {"churn": 1.5, "s_noise": 1.003}),
    ("restart", {"t_min": 0.5, "t_max": 4.0, "repeats": 2}),
    ("predictor-corrector", {"snr": 0.1}),
    ("dpm-solver++-3m", {"as_published": True}),
    ("seeds-2m", {"node": 0.7}),
]
START_UP = ("deis-tab2", "deis-tab3", "dpm-solver++-3m", "seeds-2m")
MOVES_FIRST = ("shark", "lawson-shark")  # and edm-heun with noise


def made(name: str, sigmas: list[float], **settings: Any) -> SEEDSScheduler:
    scheduler = SEEDSScheduler(method=name, **settings)
    scheduler.noise = SeededNoise([3, 4])
    scheduler.set_timesteps(sigmas=sigmas)
    return scheduler


def alpha_of(scheduler: SEEDSScheduler) -> Callable[[float], float]:
    return flow_alpha if scheduler.config.use_flow_sigmas else preserving_alpha


def levels_of(scheduler: SEEDSScheduler, sigmas: list[float], end: float) -> list[float]:
    return [s / (1 - s) if scheduler.config.use_flow_sigmas else s for s in sigmas] + [end]


def solved(solver: Solver, start: torch.Tensor, grid: list[float]) -> torch.Tensor:
    return solver(MIXTURE, start, grid, SeededNoise([3, 4]))


@pytest.mark.parametrize("predicted", PREDICTED)
@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_gives_what_its_loop_gives_on_the_same_noise(
    name: str, predicted: str
) -> None:
    own = BASELINES[name].only_eta
    settings = {"prediction_type": predicted, **PREDICTED[predicted]}
    sigmas = (
        [0.97, 0.8, 0.5, 0.3, 0.1, 0.06]
        if "use_flow_sigmas" in settings
        else [9, 4, 2, 1, 0.3, 0.1]
    )
    for eta, final in itertools.product(
        (None,) if own is not None else (None, 0.0, 1.0), ("zero", "sigma_min")
    ):
        scheduler = made(name, sigmas, eta=eta, final_sigmas_type=final, **settings)
        grid = levels_of(scheduler, sigmas, scheduler.levels[-1])
        assert (grid[-1] == 0) == (final == "zero")
        solver, alpha = Solver(name, {} if eta is None else {"eta": eta}), alpha_of(scheduler)
        if eta is None and name in POLICIES:  # the name of both is the policy's
            solver = policy(name, grid)
        waits = solver.nfe(grid) - len(scheduler.timesteps)
        assert waits == (-1 if name in (*MOVES_FIRST, "edm-heun") and solver.eta else 0)
        sample = normals(2, 3)
        found = run(scheduler, sample)
        expected = alpha(grid[-1]) * solved(solver, sample / alpha(grid[0]), grid)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_options_of_a_baseline_are_options_of_the_scheduler(
    name: str, options: dict[str, Any]
) -> None:
    sigmas = [9.0, 4.0, 2.0, 1.0, 0.3]
    scheduler = made(name, sigmas, options=options)
    sample, grid = normals(2, 3), [*sigmas, 0.0]
    expected = solved(Solver(name, options), sample / preserving_alpha(9), grid)
    torch.testing.assert_close(run(scheduler, sample), expected, rtol=1e-9, atol=1e-11)
    plain = made(name, sigmas)
    assert not torch.allclose(run(plain, sample), expected, rtol=1e-6)


def test_noise_in_the_first_steps_only_is_a_scheduler_too() -> None:
    sigmas, eta = [9.0, 4.0, 2.0, 1.0, 0.3], [1.0, 0.0, 0.0, 0.0, 0.0]
    scheduler = made("seeds-ab", sigmas, eta=eta, options={"values": 2})
    sample, solver = normals(2, 3), Solver("seeds-ab", {"eta": eta, "values": 2})
    expected = solved(solver, sample / preserving_alpha(9), [*sigmas, 0.0])
    torch.testing.assert_close(run(scheduler, sample), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", BASELINES)
def test_a_flow_from_pure_noise_takes_the_limit_of_seeds_1_first(name: str) -> None:
    solver = Solver(name)
    scheduler = SEEDSScheduler(method=name, eta=solver.eta, **FLOW)
    scheduler.noise = SeededNoise([3, 4])
    scheduler.set_timesteps(4)
    order, levels = scheduler.order, scheduler.levels
    assert levels[0] == math.inf and all(map(math.isfinite, levels[1:]))
    times = [3 * t / (1 + 2 * t) for t in (0.75, 0.5, 0.25)]
    grid = [t / (1 - t) for t in times] + [0.0]
    first = make_plan("seeds-1", [*levels[:order], grid[0]], eta=solver.eta)
    source = SeededNoise([3, 4])
    sample = normals(2, 3)
    expected = solver(MIXTURE, follow(MIXTURE, sample, first, source), grid, source)
    torch.testing.assert_close(run(scheduler, sample), expected, rtol=1e-9, atol=1e-11)
    if order == 1:  # what the baseline does itself
        whole = solved(solver, sample, [math.inf, *grid])
        torch.testing.assert_close(expected, whole, rtol=1e-9, atol=1e-11)
    scheduler.set_timesteps(1)
    assert len(scheduler.timesteps) == 1
    torch.testing.assert_close(run(scheduler, sample), MIXTURE(sample, math.inf))


@pytest.mark.parametrize("name", [name for name in BASELINES if name not in START_UP + MOVES_FIRST])
def test_image_to_image_is_the_baseline_on_the_tail_of_the_grid(name: str) -> None:
    sigmas = [9.0, 4.0, 2.0, 1.0, 0.5]
    solver = Solver(name)
    scheduler = made(name, sigmas, eta=solver.eta)
    begin = 2 * scheduler.order
    sample = normals(2, 3)
    expected = solved(solver, sample / preserving_alpha(2.0), [*sigmas[2:], 0.0])
    for by_index in (True, False):
        scheduler.set_timesteps(sigmas=sigmas)
        if by_index:
            scheduler.set_begin_index(begin)
        torch.testing.assert_close(run(scheduler, sample, begin), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("name", "eta", "begin", "single", "step"),
    [
        ("shark", 1.0, 1, (1, 2), 1),
        ("shark", 1.0, 2, (2,), 1),
        ("lawson-shark", 1.0, 3, (3, 4), 2),
        (
            "edm-heun",
            1.0,
            1,
            (1,),
            1,
        ),  # down from the raised level; the call at its end stands still
        ("edm-heun", 1.0, 2, (), 1),
        ("edm-heun", 1.0, 3, (3,), 2),
        ("stochastic-heun", 1.0, 3, (), 2),
        ("dpm-solver-3", 0.0, 4, (4, 5), 2),
        ("dpm-solver-3", 0.0, 5, (5,), 2),
    ],
)
def test_a_step_that_cannot_be_begun_is_taken_in_single_calls(
    name: str, eta: float, begin: int, single: tuple[int, ...], step: int
) -> None:
    sigmas = [9.0, 4.0, 2.0, 1.0]
    scheduler = made(name, sigmas, eta=eta)
    down = [scheduler.levels[call] for call in single] + [sigmas[step]]
    source, sample = SeededNoise([3, 4]), normals(2, 3)
    y = sample / preserving_alpha(scheduler.levels[begin])
    if single:
        y = follow(MIXTURE, y, make_plan("seeds-1", down, eta=eta), source)
    expected = Solver(name, {"eta": eta})(MIXTURE, y, [*sigmas[step:], 0.0], source)
    scheduler.set_begin_index(begin)
    torch.testing.assert_close(run(scheduler, sample, begin), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", START_UP)
def test_a_start_up_within_the_timesteps_is_refused_in_one_line(name: str) -> None:
    scheduler = made(name, [9.0, 4.0, 2.0, 1.0, 0.5])
    scheduler.set_begin_index(len(scheduler.timesteps) - 3)
    sample = normals(2, 3)
    with pytest.raises(
        ParameterError, match=f"{re.escape(name)}.*a method without a start-up"
    ) as caught:
        scheduler.step(sample, scheduler.timesteps[-3], sample)
    assert "\n" not in str(caught.value)


COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda scheduler: pickle.loads(pickle.dumps(scheduler)),
}


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("name", BASELINES)
def test_a_copy_made_in_a_run_goes_on_to_the_same_numbers(name: str, copied: str) -> None:
    scheduler = SEEDSScheduler(method=name)
    scheduler.set_timesteps(4)
    sample, given, copies = normals(2, 3), torch.Generator().manual_seed(1), []
    for index, t in enumerate(scheduler.timesteps):
        copies.append((index, sample, COPIES[copied](scheduler)))
        output = Network(scheduler)(sample, index)
        sample = scheduler.step(output, t, sample, given).prev_sample
    for begin, state, twin in copies[1:]:
        other = torch.Generator().manual_seed(2)  # one of another process never is that of before
        assert torch.equal(run(twin, state, begin, generator=other), sample)


def test_generators_make_a_run_reproducible_and_an_ode_draws_nothing() -> None:
    ends: dict[tuple[str, int], list[torch.Tensor]] = {}
    for name, seed in itertools.product(("sa-solver", "restart", "unipc-3"), (1, 1, 2)):
        scheduler = SEEDSScheduler(method=name)
        scheduler.set_timesteps(sigmas=[4.0, 0.2, 0.1, 0.05])
        generator = torch.Generator().manual_seed(seed)
        before = generator.get_state()
        found = run(scheduler, normals(3, 2), generator=generator)
        ends.setdefault((name, seed), []).append(found)
        assert torch.equal(generator.get_state(), before) == (name == "unipc-3")
    for name in ("sa-solver", "restart", "unipc-3"):
        assert torch.equal(*ends[name, 1])
        assert torch.equal(ends[name, 1][0], ends[name, 2][0]) == (name == "unipc-3")
    lists = [[torch.Generator().manual_seed(s) for s in seeds] for seeds in ((1, 2), (2,))]
    scheduler = SEEDSScheduler(method="sa-solver")
    whole, alone = [], []
    for generators, rows, results in ((lists[0], slice(2), whole), (lists[1], slice(1, 2), alone)):
        scheduler.set_timesteps(4)
        results.append(run(scheduler, normals(2, 2)[rows], generator=generators))
    assert torch.equal(whole[0][1:], alone[0])


def test_set_timesteps_forgets_the_run_before() -> None:
    scheduler, sample = made("dpm-solver++-2m", [9.0, 4.0, 2.0, 1.0]), normals(2, 3)
    for t in scheduler.timesteps[:2]:
        scheduler.step(sample, t, sample)
    scheduler.set_timesteps(sigmas=[9.0, 4.0, 2.0, 1.0])
    assert scheduler.step_index is None
    fresh = made("dpm-solver++-2m", [9.0, 4.0, 2.0, 1.0])
    assert torch.equal(run(scheduler, sample), run(fresh, sample))


def test_a_sample_that_a_pipeline_changes_is_the_state_of_the_loop() -> None:
    """Inpainting: the next step starts from what the pipeline left."""
    shifted = normals(2, 3, seed=3)
    scheduler, sample = made("ddim", [9.0, 4.0, 2.0]), normals(2, 3)
    found = run(scheduler, sample, edit=lambda i, x: shifted if i == 1 else x)
    expected = solved(Solver("ddim"), shifted / preserving_alpha(2.0), [2.0, 0.0])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(dtype: torch.dtype) -> None:
    half, single = made("sa-solver", [9.0, 4.0, 1.0]), made("sa-solver", [9.0, 4.0, 1.0])
    sample = normals(2, 3).to(dtype)
    for index, t in enumerate(half.timesteps):
        output = normals(2, 3, seed=index).to(dtype)
        expected = single.step(output.float(), t, sample.float()).prev_sample
        sample = half.step(output, t, sample).prev_sample
        assert expected.dtype == torch.float32 and torch.equal(sample, expected.to(dtype))


@pytest.mark.parametrize(("name", "calls"), [("sa-solver", (0, 1, 2)), ("shark", (0,))])
def test_a_call_that_is_refused_can_be_made_again(name: str, calls: tuple[int, ...]) -> None:
    sample, results = normals(2, 3), []
    for refused in (False, True):
        scheduler = SEEDSScheduler(method=name, prediction_type="sample", **STABLE_DIFFUSION)
        scheduler.set_timesteps(4)
        x, given = sample, [torch.Generator().manual_seed(seed) for seed in (1, 2)]
        for call, t in enumerate(scheduler.timesteps):
            if refused and call in calls:
                with pytest.raises(NoiseError, match="one generator per sample"):
                    scheduler.step(sample, t, x, [torch.Generator()] * 3)
            x = scheduler.step(sample, t, x, given).prev_sample
        results.append(x)
    assert torch.equal(*results)


def test_rows_of_noise_may_be_given() -> None:
    noise = normals(40, 2, 3, seed=1)
    scheduler = SEEDSScheduler(method="er-sde-3")
    scheduler.noise = InjectedNoise(noise)
    scheduler.set_timesteps(sigmas=[9.0, 4.0, 1.0])
    sample = normals(2, 3)
    start = sample / preserving_alpha(9.0)
    expected = Solver("er-sde-3")(MIXTURE, start, [9.0, 4.0, 1.0, 0.0], InjectedNoise(noise))
    torch.testing.assert_close(run(scheduler, sample), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("settings", "kind", "says"),
    [
        ({"method": "sa-solvr"}, UnknownNameError, "sa-solver"),
        ({"method": "unipc-2", "eta": 1.0}, ParameterError, "eta = 0 only"),
        ({"method": "sa-solver", "algorithm": "noise"}, ParameterError, "leave it at 'data'"),
        ({"method": "sa-solver", "options": {"order": 2}}, ParameterError, "predictor_steps"),
        ({"method": "sa-solver", "options": {"predictor_steps": 9}}, ParameterError, "1 to 4"),
        ({"method": "seeds-2", "options": {"r": 0.5}}, ParameterError, "no option 'r'"),
    ],
)
def test_what_no_sampler_is_is_refused_in_one_line(
    settings: dict[str, Any], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says) as caught:
        SEEDSScheduler(**settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "most"),
    [("euler", 0), ("ddim", 0), ("dpm-solver++-2m", 1), ("er-sde-3", 2), ("restart", 3)],
)
def test_a_run_keeps_what_is_still_added_up_and_no_more(name: str, most: int) -> None:
    scheduler, sample = SEEDSScheduler(method=name), normals(2, 3)
    scheduler.set_timesteps(12)
    for t in scheduler.timesteps[:8]:
        scheduler.step(sample, t, sample)
        assert len(scheduler._run.stages._known) <= most


def test_a_loop_that_is_no_sum_is_refused() -> None:
    def clipped(run: Any) -> torch.Tensor:
        x = run.x
        for s, t in run.steps:
            D = run.denoise(x, s).clamp(-0.1, 0.1)
            x = run.step(D + t / s * (x - D), s, t, D)
        return run.to_zero(x)

    baseline = Baseline("clipped", clipped, Declared(None, None, 1), "", only_eta=0.0)
    with pytest.raises(ParameterError, match=r"'clipped' is no sum.*seeds_theory\.sample"):
        _ = Loop(cast(Solver, baseline), (4.0, 2.0, 1.0), Flow(1000)).moves

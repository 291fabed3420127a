"""The scheduler by hand: the numbers of the core, the grids of diffusers, configurations, refusals."""

from __future__ import annotations

import contextlib
import copy
import inspect
import itertools
import json
import math
import pickle
import re
import runpy
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")
# Its schedulers make numpy arrays of tensors in a way that numpy is giving up.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:this run begins at call"),  # as for a refiner
]

from pipeline_by_hand import (  # noqa: E402
    FLOW,
    MIXTURE,
    PREDICTS,
    STABLE_DIFFUSION,
    Network,
    normals,
    run,
    starts,
)

from seeds_theory import (  # noqa: E402
    BrownianPath,
    GridError,
    InjectedNoise,
    NoiseError,
    ParameterError,
    RectifiedFlow,
    SeededNoise,
    SeedsError,
    TableauError,
    UnknownNameError,
    follow,
    make_plan,
)
from seeds_theory.diffusers import SEEDSScheduler  # noqa: E402
from seeds_theory.diffusers.training import alphas_cumprod, betas  # noqa: E402
from seeds_theory.errors import DenoiserError, LibraryError  # noqa: E402
from seeds_theory.methods import METHODS  # noqa: E402
from seeds_theory.schedule import flow_alpha, preserving_alpha  # noqa: E402

# ------------------------------------------------------------------------------- the core's numbers

FRAMES = {
    "variance-preserving": (STABLE_DIFFUSION, preserving_alpha),
    "flow": ({"use_flow_sigmas": True, "flow_shift": 3.0}, flow_alpha),
}


@pytest.mark.parametrize("algorithm", ["data", "noise"])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("predicted", PREDICTS)
@pytest.mark.parametrize("frame", FRAMES)
def test_a_run_gives_what_follow_gives_on_the_same_noise(
    frame: str, predicted: str, order: int, algorithm: str
) -> None:
    options, alpha = FRAMES[frame]
    # From t = 0.9 a flow starts at a finite level too.
    grid = {"sigmas": [0.9, 0.6, 0.3]} if frame == "flow" else {"num_inference_steps": 3}
    for eta, final in itertools.product((0.0, 0.5, 1.0), ("zero", "sigma_min")):
        scheduler = SEEDSScheduler(
            **options,
            prediction_type=predicted,
            solver_order=order,
            algorithm=algorithm,
            eta=eta,
            final_sigmas_type=final,
        )
        scheduler.set_timesteps(**grid)
        plan = make_plan(f"seeds-{order}", starts(scheduler), eta=eta, prediction=algorithm)
        assert len(scheduler.timesteps) == plan.nfe
        assert (plan.sigmas[-1] == 0) == (final == "zero")
        sample, noise = normals(2, 1), normals(plan.normals, 2, 1, seed=1)
        scheduler.noise = InjectedNoise(noise)
        found = run(scheduler, sample)
        y = follow(MIXTURE, sample / alpha(plan.sigmas[0]), plan, InjectedNoise(noise))
        torch.testing.assert_close(found, alpha(plan.sigmas[-1]) * y, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", [*METHODS, "seeds-2@0.7"])
def test_every_method_of_the_library_is_chosen_by_its_name(name: str) -> None:
    scheduler = SEEDSScheduler(method=name)
    scheduler.set_timesteps(3)
    plan = make_plan(name, starts(scheduler))
    assert scheduler.order == len(plan.steps[0].rows) and len(scheduler.timesteps) == plan.nfe
    sample, noise = normals(2, 1), normals(plan.normals, 2, 1, seed=1)
    scheduler.noise = InjectedNoise(noise)
    start = sample / preserving_alpha(plan.sigmas[0])
    expected = follow(MIXTURE, start, plan, InjectedNoise(noise))
    torch.testing.assert_close(run(scheduler, sample), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [FLOW, {**STABLE_DIFFUSION, "rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}],
    ids=["flow", "zero terminal SNR"],
)
def test_a_run_from_an_infinite_level_has_whole_steps_of_calls(
    options: dict[str, Any], order: int
) -> None:
    scheduler = SEEDSScheduler(**options, solver_order=order)
    scheduler.set_timesteps(4)
    levels = scheduler.levels
    assert levels[0] == math.inf and all(math.isfinite(level) for level in levels[1:])
    assert len(scheduler.timesteps) == 3 * order + 1
    alpha = flow_alpha if scheduler.config.use_flow_sigmas else preserving_alpha
    first = make_plan("seeds-1", levels[: order + 1])
    rest = make_plan(f"seeds-{order}", starts(scheduler)[1:])
    sample, noise = normals(2, 1), normals(first.normals + rest.normals, 2, 1, seed=1)
    scheduler.noise = InjectedNoise(noise)
    source = InjectedNoise(noise)
    middle = follow(MIXTURE, sample, first, source)
    expected = follow(MIXTURE, middle, rest, source)
    assert alpha(0.0) == 1
    torch.testing.assert_close(run(scheduler, sample), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("options", [STABLE_DIFFUSION, FLOW], ids=["preserving", "flow"])
def test_image_to_image_is_follow_on_the_tail_of_the_plan(
    options: dict[str, Any], order: int
) -> None:
    scheduler = SEEDSScheduler(**options, solver_order=order)
    scheduler.set_timesteps(5)
    begin = 2 * order
    grid = starts(scheduler)[2:]
    plan = make_plan(f"seeds-{order}", grid)
    clean, noise = MIXTURE.sample(2, torch.Generator().manual_seed(5)), normals(2, 1, seed=6)
    sample = scheduler.add_noise(clean, noise, scheduler.timesteps[begin : begin + 1].repeat(2))
    alpha = flow_alpha if scheduler.config.use_flow_sigmas else preserving_alpha
    torch.testing.assert_close(
        sample, alpha(grid[0]) * (clean + grid[0] * noise), rtol=1e-12, atol=1e-12
    )
    path = normals(plan.normals, 2, 1, seed=1)
    expected = follow(MIXTURE, sample / alpha(grid[0]), plan, InjectedNoise(path))
    for by_index in (True, False):
        scheduler.set_timesteps(5)
        if by_index:
            scheduler.set_begin_index(begin)
            assert scheduler.begin_index == begin
        scheduler.noise = InjectedNoise(path)
        torch.testing.assert_close(run(scheduler, sample, begin), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", [*METHODS, "seeds-2@1", "seeds-3@0.8,0.4"])
def test_a_run_that_begins_within_a_step_ends_that_step_in_steps_of_one_call(name: str) -> None:
    scheduler = SEEDSScheduler(method=name)
    scheduler.set_timesteps(4)
    order, levels = scheduler.order, scheduler.levels
    for begin in (call for call in range(2 * order) if call % order):
        stop = order * (begin // order + 1)
        down = [levels[begin]]  # a stage at the level of an earlier one, or above it, is left out
        down += [
            x
            for i, x in enumerate(levels[begin + 1 : stop + 1])
            if x < min(levels[begin : begin + 1 + i])
        ]
        first = make_plan("seeds-1", down).steps if len(down) > 1 else ()
        rest = make_plan(name, starts(scheduler)[stop // order :])
        drawn = sum(len(step.intervals) for step in first) + rest.normals
        sample, noise = normals(2, 1), normals(drawn, 2, 1, seed=1)
        source = InjectedNoise(noise)
        y = sample / preserving_alpha(levels[begin])
        if first:
            y = follow(MIXTURE, y, make_plan("seeds-1", down), source)
        expected = follow(MIXTURE, y, rest, source)
        scheduler.set_timesteps(4)
        scheduler.set_begin_index(begin)
        scheduler.noise = InjectedNoise(noise)
        torch.testing.assert_close(run(scheduler, sample, begin), expected, rtol=1e-9, atol=1e-11)


def test_a_step_starts_from_the_sample_of_its_first_call_as_inpainting_left_it() -> None:
    shifted = normals(2, 1, seed=3)
    scheduler = SEEDSScheduler(solver_order=2)
    scheduler.set_timesteps(2)
    plan = make_plan("seeds-2", starts(scheduler))
    noise = normals(plan.normals, 2, 1, seed=1)
    sample, source = normals(2, 1), InjectedNoise(noise)
    scheduler.noise = InjectedNoise(noise)
    found = run(scheduler, sample, edit=lambda i, x: shifted if i == 1 else x)
    head, tail = make_plan("seeds-2", plan.sigmas[:2]), make_plan("seeds-2", plan.sigmas[1:])
    follow(MIXTURE, sample, head, source)  # takes its noise
    expected = follow(MIXTURE, shifted / preserving_alpha(tail.sigmas[0]), tail, source)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


def test_a_sample_changed_within_a_step_counts_by_what_the_network_says_of_it() -> None:
    scheduler = SEEDSScheduler(algorithm="noise", eta=0.0)
    sample, outputs, results = normals(2, 1), normals(2, 2, 1, seed=1), []
    for seed in (2, 3):
        scheduler.set_timesteps(3)
        first, second = scheduler.timesteps[:2]
        scheduler.step(outputs[0], first, sample)
        changed = normals(2, 1, seed=seed)
        results.append(scheduler.step(outputs[1], second, changed).prev_sample)
    # The method integrates just what the network returns, here the same.
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)


def test_a_stage_at_the_end_of_its_step_is_not_taken_for_the_start_of_the_next() -> None:
    scheduler = SEEDSScheduler(method="seeds-3s")
    scheduler.set_timesteps(3)
    assert scheduler.timesteps[2] == scheduler.timesteps[3]
    sample = normals(2, 1)
    scheduler.step(sample, scheduler.timesteps[3], sample)
    assert scheduler.step_index == 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_samples_in_half_precision_are_computed_with_in_single_and_returned_in_their_own(
    dtype: torch.dtype,
) -> None:
    half, single = SEEDSScheduler(solver_order=3), SEEDSScheduler(solver_order=3)
    for scheduler in (half, single):
        scheduler.noise = SeededNoise(range(64))
        scheduler.set_timesteps(4)
    sample = normals(64, 1).to(dtype)
    for index, t in enumerate(half.timesteps):
        output = normals(64, 1, seed=index).to(dtype)
        expected = single.step(output.float(), t, sample.float()).prev_sample
        sample = half.step(output, t, sample).prev_sample
        assert expected.dtype == torch.float32
        assert torch.equal(sample, expected.to(dtype))


# -------------------------------------------------------------------------------------- random numbers


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def ends(sample: Tensor, generator: Any = None, **options: Any) -> Tensor:
    scheduler = SEEDSScheduler(**options)
    scheduler.set_timesteps(3)
    return run(scheduler, sample, generator=generator)


def test_a_list_of_generators_gives_the_same_image_in_any_batch() -> None:
    sample = normals(3, 1)
    whole = ends(sample, generators(4, 5, 6))
    for i, seed in enumerate((4, 5, 6)):
        assert torch.equal(ends(sample[i : i + 1], generators(seed)), whole[i : i + 1])
    assert torch.equal(ends(sample[1:], generators(5, 6)), whole[1:])
    assert not torch.equal(ends(sample, generators(4, 5, 7)), whole)


def test_one_generator_or_torchs_own_makes_a_run_reproducible() -> None:
    sample = normals(3, 1)
    assert torch.equal(ends(sample, *generators(1)), ends(sample, *generators(1)))
    assert not torch.equal(ends(sample, *generators(1)), ends(sample, *generators(2)))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first, second = ends(sample), ends(sample)
        torch.manual_seed(1)
        assert torch.equal(ends(sample), first) and not torch.equal(second, first)


class Recorded:
    """A denoiser's output does not matter here: the noise of a step of order 1 is what is left."""

    def __init__(self) -> None:
        self.noises: list[Tensor] = []

    def __call__(self, scheduler: SEEDSScheduler, generator: Any, shape: tuple[int, ...]) -> None:
        zero = torch.zeros(shape, dtype=torch.float32)
        for t in scheduler.timesteps:
            self.noises.append(scheduler.step(zero, t, zero, generator=generator).prev_sample)


@pytest.mark.parametrize("given", [True, False], ids=["a generator", "torch's own"])
def test_noise_never_repeats_the_numbers_that_made_the_latents(given: bool) -> None:
    shape = (2, 4, 8, 8)
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    record = Recorded()
    scheduler = SEEDSScheduler(solver_order=1, prediction_type="sample")
    scheduler.set_timesteps(4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        # The same seed again, as users give it: a new generator, or torch's own with that seed.
        record(scheduler, torch.Generator().manual_seed(0) if given else None, shape)
    drawn = [noise / noise.std() for noise in record.noises[:-1]]
    for a, b in itertools.combinations([latents, *drawn], 2):
        assert abs(float((a * b).mean())) < 4 / math.sqrt(latents.numel())


def test_seeds_of_noise_start_anew_with_every_run_and_outweigh_generators() -> None:
    sample = normals(3, 1)
    scheduler = SEEDSScheduler()
    scheduler.noise = SeededNoise([7, 8, 9])
    runs = []
    for seed in (1, 2):
        scheduler.set_timesteps(3)
        runs.append(run(scheduler, sample, generator=torch.Generator().manual_seed(seed)))
    assert torch.equal(*runs)
    scheduler.noise = SeededNoise([8])
    scheduler.set_timesteps(3)
    assert torch.equal(run(scheduler, sample[1:2]), runs[0][1:2])


def test_a_generator_given_later_in_a_run_is_used() -> None:
    sample, results = normals(3, 1), []
    for later in (1, 2):
        scheduler = SEEDSScheduler(solver_order=1)
        scheduler.set_timesteps(3)
        for t, seed in zip(scheduler.timesteps[:2], (1, later), strict=True):
            generator = torch.Generator().manual_seed(seed)
            result = scheduler.step(sample, t, sample, generator).prev_sample
        results.append(result)
    assert not torch.equal(*results)


def test_one_brownian_path_serves_runs_of_different_numbers_of_steps() -> None:
    coarse, fine = SEEDSScheduler(), SEEDSScheduler()
    coarse.set_timesteps(timesteps=[999, 500, 100])
    fine.set_timesteps(timesteps=[999, 700, 500, 300, 100])
    sample = normals(2, 1)
    levels = sorted({*coarse.levels[:-1], *fine.levels[:-1]}, reverse=True)
    path = BrownianPath(levels, 1.0, sample, SeededNoise([1, 2]))
    for scheduler in (coarse, fine):
        scheduler.noise = path
        plan = make_plan("seeds-2", starts(scheduler))
        expected = follow(MIXTURE, sample / preserving_alpha(plan.sigmas[0]), plan, path)
        torch.testing.assert_close(run(scheduler, sample), expected, rtol=1e-9, atol=1e-11)


def test_the_ode_draws_nothing() -> None:
    generator = torch.Generator().manual_seed(3)
    before, own = generator.get_state(), torch.get_rng_state()
    ends(normals(3, 1), generator, eta=0.0)
    ends(normals(3, 1), eta=0.0)
    assert torch.equal(generator.get_state(), before) and torch.equal(torch.get_rng_state(), own)


# ----------------------------------------------------------------------------------------------- grids


@pytest.mark.parametrize(
    "options",
    [
        *({"timestep_spacing": name, "steps_offset": 1} for name in ("linspace", "leading")),
        {"timestep_spacing": "trailing"},
        {"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"trained_betas": [0.01 * (i + 1) for i in range(30)], "num_train_timesteps": 30},
        {"use_karras_sigmas": True},
        {"use_exponential_sigmas": True},
        {"use_lu_lambdas": True},
        {"use_beta_sigmas": True},
        {"final_sigmas_type": "sigma_min"},
    ],
    ids=str,
)
def test_grids_are_those_of_diffusers(options: dict[str, Any]) -> None:
    options = {**STABLE_DIFFUSION, **options}
    theirs = diffusers.DPMSolverMultistepScheduler(**options)
    ours = SEEDSScheduler(**options, solver_order=1)
    for steps in (2, 5, 7):
        theirs.set_timesteps(steps)
        ours.set_timesteps(steps)
        torch.testing.assert_close(ours.sigmas, theirs.sigmas, rtol=2e-4, atol=1e-6)
        if not any(name.startswith("use_") for name in options):
            assert torch.equal(ours.timesteps, theirs.timesteps.float())


@pytest.mark.parametrize("spacing", ["linspace", "leading", "trailing"])
def test_even_timesteps_are_those_of_diffusers_for_any_number_of_steps(spacing: str) -> None:
    theirs = diffusers.DPMSolverMultistepScheduler(timestep_spacing=spacing)
    ours = SEEDSScheduler(timestep_spacing=spacing)
    for steps in range(1, 121):
        theirs.set_timesteps(steps)
        starts = ours.coordinates.even_starts(steps, spacing, 0, to_zero=True)
        told = [ours.coordinates.timestep(level) for level in starts.tolist()]
        # Theirs has a step too many where the rounding of arange lets one more in.
        surplus = len(theirs.timesteps) - steps
        assert surplus == (spacing == "trailing" and steps in (61, 103))
        assert told == pytest.approx(theirs.timesteps[:steps].tolist(), abs=1e-6)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("kind", ["FlowMatchEulerDiscreteScheduler", "UniPCMultistepScheduler"])
def test_the_last_step_of_a_flow_starts_at_shift_terminal(kind: str, dynamic: bool) -> None:
    options: dict[str, Any] = {"shift_terminal": 0.1, "use_dynamic_shifting": dynamic}
    shift = {"shift": 3.0} if kind.startswith("Flow") else {"flow_shift": 3.0, **FLOW}
    theirs = getattr(diffusers, kind)(**options, **shift)
    ours = SEEDSScheduler.from_config(theirs.config, solver_order=1)
    sigmas, mu = np.array([1.0, 0.6, 0.3]), {"mu": 1.2} if dynamic else {}
    for scheduler in (theirs, ours):
        scheduler.set_timesteps(sigmas=sigmas.copy(), **mu)
    torch.testing.assert_close(ours.sigmas, theirs.sigmas, rtol=1e-6, atol=2e-6)
    assert float(ours.sigmas[-2]) == pytest.approx(0.1)
    ours.set_timesteps(timesteps=[800, 300], mu=1.2)  # a network's own timesteps are kept
    assert ours.timesteps.tolist() == pytest.approx([800, 300])


@pytest.mark.parametrize("dynamic", ["exponential", "linear", None])
def test_a_flow_takes_the_grid_that_pipelines_give(dynamic: str | None) -> None:
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(
        shift=3.0, use_dynamic_shifting=dynamic is not None, time_shift_type=dynamic or "linear"
    )
    ours = SEEDSScheduler.from_config(theirs.config, solver_order=1)
    sigmas = [1.0, 0.75, 0.5, 0.25]
    for scheduler in (theirs, ours):
        scheduler.set_timesteps(sigmas=sigmas, mu=1.2)
    torch.testing.assert_close(ours.sigmas, theirs.sigmas)
    torch.testing.assert_close(ours.timesteps, theirs.timesteps)
    ours.set_timesteps(4, mu=1.2)
    torch.testing.assert_close(ours.sigmas, theirs.sigmas)


def test_karras_and_exponential_grids_of_a_flow_are_in_its_times() -> None:
    for name, power in (("use_karras_sigmas", 1 / 7), ("use_exponential_sigmas", None)):
        scheduler = SEEDSScheduler(**FLOW, solver_order=1, **{name: True})
        scheduler.set_timesteps(5)
        times = scheduler.sigmas[:-1].double()
        even = times.log() if power is None else times**power
        torch.testing.assert_close(even.diff(), even.diff().mean().expand(4), rtol=1e-4, atol=0)
        assert float(times[0]) == 1 and scheduler.sigmas[-1] == 0
        assert float(times[-1]) == pytest.approx(3 * 0.001 / (1 + 2 * 0.001))


def test_stages_are_told_their_own_timesteps_which_are_not_rounded() -> None:
    scheduler = SEEDSScheduler(**STABLE_DIFFUSION, solver_order=2)
    scheduler.set_timesteps(4)
    schedule = scheduler.coordinates.schedule
    levels = schedule.noise_level(scheduler.timesteps.double().numpy())
    torch.testing.assert_close(
        torch.from_numpy(levels).float(), scheduler.sigmas[:-1], rtol=1e-6, atol=0
    )
    assert scheduler.timesteps[::2].frac().eq(0).all() and scheduler.timesteps[1::2].frac().all()
    flow = SEEDSScheduler(**FLOW)
    flow.set_timesteps(4)
    times = RectifiedFlow().time(torch.tensor(flow.levels[:-1], dtype=torch.float64).numpy())
    torch.testing.assert_close(flow.timesteps, torch.from_numpy(1000 * times).float())
    torch.testing.assert_close(flow.sigmas[:-1], torch.from_numpy(times).float())


def test_grids_of_ones_own_are_kept_and_end_as_the_configuration_says() -> None:
    scheduler = SEEDSScheduler(**STABLE_DIFFUSION, solver_order=1)
    scheduler.set_timesteps(sigmas=[14.615, 6.475, 1.0, 0.0])  # a published list, rounded up
    assert scheduler.levels == (14.615, 6.475, 1.0, 0.0) and scheduler.num_inference_steps == 3
    scheduler.set_timesteps(sigmas=torch.tensor([8.0, 1.0], dtype=torch.float64))
    assert scheduler.levels == (8.0, 1.0, 0.0)
    scheduler.set_timesteps(timesteps=[999, 500, 20.5])
    assert scheduler.timesteps.tolist() == [999.0, 500.0, 20.5]
    ending = SEEDSScheduler(**STABLE_DIFFUSION, solver_order=1, final_sigmas_type="sigma_min")
    ending.set_timesteps(timesteps=[999, 500])
    assert ending.levels[-1] == pytest.approx(0.0292, abs=1e-4)
    flow = SEEDSScheduler(**FLOW, solver_order=1)
    flow.set_timesteps(timesteps=[800, 300])  # not shifted: the network is told just these
    assert flow.timesteps.tolist() == pytest.approx([800, 300])


def test_a_rescaled_schedule_ends_without_signal_and_begins_where_it_did() -> None:
    theirs = diffusers.DDIMScheduler(**STABLE_DIFFUSION, rescale_betas_zero_snr=True)
    table = betas(1000, 0.00085, 0.012, "scaled_linear")
    ours = alphas_cumprod(table, zero_snr=True)
    assert ours[-1] == 0
    assert ours[0] == pytest.approx(1 - 0.00085, rel=1e-12)
    torch.testing.assert_close(
        torch.from_numpy(ours).float(), theirs.alphas_cumprod, rtol=2e-3, atol=1e-6
    )


def test_noise_is_added_at_the_levels_of_the_grid_and_between_them_of_the_schedule() -> None:
    clean, noise = normals(3, 1), normals(3, 1, seed=1)
    scheduler = SEEDSScheduler(**STABLE_DIFFUSION)
    theirs = diffusers.DDPMScheduler(**STABLE_DIFFUSION)
    timesteps = torch.tensor([3, 500, 999])
    expected = theirs.add_noise(clean, noise, timesteps)
    torch.testing.assert_close(
        scheduler.add_noise(clean, noise, timesteps), expected, rtol=1e-4, atol=1e-4
    )
    scheduler.set_timesteps(sigmas=[5.0, 1.0, 0.0])
    level = scheduler.levels[1]
    found = scheduler.add_noise(clean.half(), noise.half(), scheduler.timesteps[1:2])
    alpha = preserving_alpha(level)
    assert found.dtype == torch.float16
    expected = alpha * clean.half().float() + alpha * level * noise.half().float()
    assert torch.equal(found, expected.half())
    flow = SEEDSScheduler(**FLOW)
    flow.set_timesteps(2)
    assert torch.equal(flow.scale_noise(clean, flow.timesteps[:1], noise), noise)
    half = flow.scale_noise(clean, torch.tensor([500.0]), noise)
    torch.testing.assert_close(half, (clean + noise) / 2)


# -------------------------------------------------------------------------------------- configurations


@pytest.mark.parametrize(
    "name",
    [
        *("DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "EulerDiscreteScheduler"),
        *("DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "UniPCMultistepScheduler"),
        *("EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "DEISMultistepScheduler"),
    ],
)
def test_it_is_made_from_the_configuration_of_schedulers_of_diffusers(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    kind = getattr(diffusers, name)
    theirs = kind(**STABLE_DIFFUSION, prediction_type="v_prediction")
    ours = SEEDSScheduler.from_config(theirs.config, eta=0.5)
    assert {key: ours.config[key] for key in STABLE_DIFFUSION} == STABLE_DIFFUSION
    assert (ours.config.prediction_type, ours.config.eta) == ("v_prediction", 0.5)
    assert (ours.order, ours.init_noise_sigma, len(ours)) == (2, 1.0, 1000)
    assert not caplog.records
    back = kind.from_config(ours.config)
    assert {key: back.config[key] for key in STABLE_DIFFUSION} == STABLE_DIFFUSION


def test_the_order_of_another_solver_carries_over() -> None:
    theirs = diffusers.DPMSolverMultistepScheduler(solver_order=3)
    assert SEEDSScheduler.from_config(theirs.config).order == 3
    assert SEEDSScheduler.from_config(theirs.config, solver_order=1).order == 1


@pytest.mark.parametrize(
    "kind", ["FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"]
)
def test_a_flow_matching_configuration_makes_a_flow(kind: str) -> None:
    theirs = getattr(diffusers, kind)(shift=3.0)
    ours = SEEDSScheduler.from_config(theirs.config)
    assert ours.config.use_flow_sigmas and ours.config.prediction_type == "flow_prediction"
    assert ours.config.flow_shift == 3
    again = SEEDSScheduler.from_config(ours.config, flow_shift=5.0)
    assert again.config.flow_shift == 5
    assert SEEDSScheduler.from_config(again.config).config.flow_shift == 5


def all_schedulers() -> list[Any]:
    """One of each class of diffusers that is made without arguments."""
    made = []
    for name in dir(diffusers):
        kind = getattr(diffusers, name) if name.endswith("Scheduler") else None
        if isinstance(kind, type) and issubclass(kind, diffusers.SchedulerMixin):
            with contextlib.suppress(TypeError, ImportError):  # arguments or a library are missing
                made.append(kind())
    return made


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_defaults_of_every_scheduler_of_diffusers_are_taken_over_or_refused() -> None:
    refused, flows, tables = set(), set(), set()
    for theirs in all_schedulers():
        name = type(theirs).__name__
        try:
            ours = SEEDSScheduler.from_config(theirs.config)
        except SeedsError as error:
            assert "\n" not in str(error)
            refused.add(name)
            continue
        assert ours.config.num_train_timesteps == theirs.config.num_train_timesteps
        assert ours.config.prediction_type == theirs.config.get(
            "prediction_type", "flow_prediction" if ours.config.use_flow_sigmas else "epsilon"
        )
        if ours.config.use_flow_sigmas:
            assert ours.config.flow_shift == theirs.config.shift
            flows.add(name)
        else:
            expected = theirs.alphas_cumprod.double()
            levels = ours.coordinates.schedule.noise_level(np.arange(float(len(expected))))
            found = 1 / (1 + levels**2)
            torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=0)
            tables.add(name)
    assert {"FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"} <= flows
    assert {
        *("HeunDiscreteScheduler", "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler"),
        *("UnCLIPScheduler", "DDIMScheduler", "DPMSolverMultistepScheduler", "PNDMScheduler"),
    } <= tables
    assert {"ScoreSdeVeScheduler", "IPNDMScheduler", "KarrasVeScheduler"} <= refused
    assert {"CogVideoXDDIMScheduler", "CogVideoXDPMScheduler"} <= tables
    later = ("LTXEulerAncestralRFScheduler", "HeliosScheduler", "MiniMaxH3Scheduler")
    assert not {*later, "PiflowScheduler", "DDPMWuerstchenScheduler"} & (flows | tables)


def test_a_configuration_without_a_schedule_is_taken_with_one_that_is_given() -> None:
    theirs = diffusers.IPNDMScheduler()
    with pytest.raises(ParameterError, match="give beta_schedule"):
        SEEDSScheduler.from_config(theirs.config)
    ours = SEEDSScheduler.from_config(theirs.config, beta_schedule="squaredcos_cap_v2")
    assert ours.config.beta_schedule == "squaredcos_cap_v2"
    assert SEEDSScheduler.from_config(theirs.config, **FLOW).config.use_flow_sigmas
    assert SEEDSScheduler.from_config({"_class_name": "SEEDSScheduler", "eta": 0.5})


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("DPMSolverMultistepScheduler", {"lambda_min_clipped": -5.1}, "sigmas or timesteps"),
        ("EulerDiscreteScheduler", {"interpolation_type": "log_linear"}, "sigmas or timesteps"),
        ("PNDMScheduler", {"skip_prk_steps": True}, "solver_order or method"),
        (
            "DPMSolverMultistepScheduler",
            {"algorithm_type": "sde-dpmsolver++"},
            "solver_order or method",
        ),
    ],
)
def test_a_setting_that_is_not_offered_is_said_to_be_left_out(
    name: str, options: dict[str, Any], says: str
) -> None:
    theirs = getattr(diffusers, name)(**options)
    ((setting, value),) = options.items()
    with pytest.warns(
        UserWarning, match=rf"^{setting}={re.escape(repr(value))} of .*{says}"
    ) as caught:
        ours = SEEDSScheduler.from_config(theirs.config)
    assert len(caught) == 1 and caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SEEDSScheduler.from_config(ours.config)
        SEEDSScheduler.from_config(getattr(diffusers, name)().config)


def test_settings_of_a_method_that_is_replaced_are_no_news() -> None:
    as_shipped = diffusers.DDIMScheduler(set_alpha_to_one=False, clip_sample=False, steps_offset=1)
    for chosen in ({"method": "seeds-3"}, {"solver_order": 1}):
        SEEDSScheduler.from_config(as_shipped.config, **chosen)  # warnings are errors
    with pytest.warns(UserWarning, match="set_alpha_to_one=False of a scheduler belongs to its"):
        SEEDSScheduler.from_config(as_shipped.config, eta=0.5)
    grid = diffusers.DPMSolverMultistepScheduler(lambda_min_clipped=-5.1)
    with pytest.warns(UserWarning, match="the grid is another"):
        SEEDSScheduler.from_config(grid.config, method="seeds-3")


OTHER_VALUES: dict[str, Any] = {
    "trained_betas": [0.01, 0.02, 0.03],
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "final_sigmas_type": "sigma_min",
    "time_shift_type": "linear",
    "variance_type": "learned_range",
    "shift_terminal": 0.1,
    "sigma_min": 0.1,
    "sigma_max": 5.0,
    "algorithm_type": "dpmsolver",
    "interpolation_type": "log_linear",
    "lambda_min_clipped": -5.0,
    "timestep_type": "continuous",
    "disable_corrector": [0],
    "solver_order": 3,
    "dynamic_thresholding_ratio": 0.9,
    "sigma_schedule": "exponential",
}
"""Values that no scheduler has by default, of settings that are no flags, numbers or free names."""


def another(setting: str, default: Any) -> Any:
    """A value of a setting which is not its default."""
    if setting in OTHER_VALUES and OTHER_VALUES[setting] != default:
        return OTHER_VALUES[setting]
    if setting == "time_shift_type":
        return "exponential"
    if isinstance(default, bool):
        return not default
    if isinstance(default, int | float):
        return type(default)(2 * default) or 0.5
    return "another"


SETTINGS = [
    (name, setting)
    for name in dir(diffusers)
    if name.endswith("Scheduler") and isinstance(getattr(diffusers, name), type)
    for setting, parameter in inspect.signature(
        getattr(diffusers, name).__init__
    ).parameters.items()
    if setting != "self" and parameter.kind is not parameter.VAR_KEYWORD
    if parameter.kind is not parameter.VAR_POSITIONAL
]


def test_no_setting_of_any_scheduler_of_diffusers_vanishes() -> None:
    """Each has its value in our configuration, or is named in a warning, or its networks are refused."""
    fates: dict[str, set[str]] = {"used": set(), "named": set(), "refused": set()}
    ours = inspect.signature(SEEDSScheduler.__init__).parameters
    for name, setting in SETTINGS:
        parameters = inspect.signature(getattr(diffusers, name).__init__).parameters
        value = another(setting, parameters[setting].default)
        assert value != parameters[setting].default, (name, setting)
        defaults = {key: p.default for key, p in parameters.items() if key not in ("self", setting)}
        given = {key: x for key, x in defaults.items() if x is not inspect.Parameter.empty}
        config = {"_class_name": name, **given, setting: value}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                made = SEEDSScheduler.from_config(config)
            except SeedsError as error:
                assert name in str(error) or setting in str(error), (name, setting, error)
                fates["refused"].add(f"{name}.{setting}")
                continue
        told = " ".join(str(warning.message) for warning in caught)
        in_ours = "flow_shift" if setting == "shift" else setting
        if in_ours in ours:
            carried = value**2 if setting == "eta" else value  # DDIM's eta
            assert made.config[in_ours] == carried, (name, setting)
            fates["used"].add(setting)
        else:
            assert f"{setting}={value!r}" in told and name in told, (name, setting, told)
            fates["named"].add(setting)
    assert fates["used"] == {
        *("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas"),
        *("solver_order", "prediction_type", "timestep_spacing", "steps_offset", "variance_type"),
        *("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas"),
        *("sigma_min", "sigma_max", "final_sigmas_type", "rescale_betas_zero_snr"),
        *("use_flow_sigmas", "flow_shift", "shift", "use_dynamic_shifting", "time_shift_type"),
        *("base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len", "shift_terminal"),
        *("thresholding", "dynamic_thresholding_ratio", "sample_max_value"),
        *("clip_sample", "clip_sample_range", "snr_shift_scale", "eta"),
    }
    assert fates["named"] == {
        *("algorithm_type", "solver_type", "solver_p", "lower_order_final", "euler_at_final"),
        *("predict_x0", "disable_corrector", "predictor_order", "corrector_order", "tau_func"),
        *("skip_prk_steps", "set_alpha_to_one", "stochastic_sampling", "timestep_scaling"),
        *("interpolation_type", "lambda_min_clipped", "original_inference_steps", "upscale_mode"),
    }
    assert len(fates["refused"]) > 100


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    scheduler = SEEDSScheduler(**FLOW, method="seeds-2@0.7", eta=0.25, algorithm="noise")
    scheduler.save_pretrained(tmp_path)
    loaded = SEEDSScheduler.from_pretrained(tmp_path)
    for name in scheduler.config:
        if not name.startswith("_"):
            assert loaded.config[name] == scheduler.config[name]
    scheduler.set_timesteps(3)
    loaded.set_timesteps(3)
    assert loaded.levels == scheduler.levels


COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda scheduler: pickle.loads(pickle.dumps(scheduler)),
}


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("noise", ["generator", "generators", "seeds", "path", "rows"])
def test_a_copy_made_in_a_run_goes_on_to_the_same_numbers(noise: str, copied: str) -> None:
    sample = normals(3, 1)
    scheduler = SEEDSScheduler(solver_order=2)
    scheduler.set_timesteps(3)
    sources: dict[str, Any] = {
        "seeds": lambda: SeededNoise([1, 2, 3]),
        "path": lambda: BrownianPath(scheduler.levels[:-1], 1.0, sample, SeededNoise([1, 2, 3])),
        "rows": lambda: InjectedNoise(normals(4, 3, 1, seed=2)),
    }
    given: Any = {"generator": generators(1)[0], "generators": generators(1, 2, 3)}.get(noise)
    scheduler.noise = sources[noise]() if noise in sources else None
    copies = []
    for index, t in enumerate(scheduler.timesteps):
        copies.append((index, sample, COPIES[copied](scheduler)))
        output = Network(scheduler)(sample, index)
        sample = scheduler.step(output, t, sample, given).prev_sample
    for begin, state, twin in copies[1:]:
        assert (twin.step_index, twin.levels) == (begin, scheduler.levels)
        # Not the generators of before: those of another process never are.
        again = run(twin, state, begin, generator=generators(4, 5, 6) if given else None)
        assert torch.equal(again, sample)


@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_made_before_a_run_takes_the_generators_that_it_is_given(copied: str) -> None:
    scheduler = SEEDSScheduler()
    scheduler.set_timesteps(3)
    twin = COPIES[copied](scheduler)
    results = [run(one, normals(3, 1), generator=generators(1, 2, 3)) for one in (scheduler, twin)]
    assert torch.equal(*results)


def test_one_scheduler_serves_several_runs_whose_attributes_are_kept_apart() -> None:
    """As MultiDiffusion does, where each view of a panorama has a copy of the attributes."""
    scheduler, samples = SEEDSScheduler(eta=0.0), normals(2, 3, 1)
    scheduler.set_timesteps(3)
    expected = []
    for sample in samples:
        scheduler.set_timesteps(3)
        expected.append(run(scheduler, sample))
    scheduler.set_timesteps(3)
    kept, states = [copy.deepcopy(scheduler.__dict__)] * 2, list(samples)
    for index, t in enumerate(scheduler.timesteps):
        for view, sample in enumerate(states):
            scheduler.__dict__.update(kept[view])
            states[view] = scheduler.step(Network(scheduler)(sample, index), t, sample).prev_sample
            kept[view] = copy.deepcopy(scheduler.__dict__)
    assert torch.equal(torch.stack(states), torch.stack(expected))


def test_a_call_that_is_refused_can_be_made_again() -> None:
    sample, results = normals(2, 1), []
    for refused in (False, True):
        scheduler = SEEDSScheduler(solver_order=1, prediction_type="sample")
        scheduler.set_timesteps(4)
        x, given = sample, generators(1, 2)
        for t in scheduler.timesteps:
            if refused and t != scheduler.timesteps[-1]:
                with pytest.raises(NoiseError, match="one generator per sample"):
                    scheduler.step(sample, t, x, generators(3, 4, 5))
            x = scheduler.step(sample, t, x, given).prev_sample
        results.append(x)
    assert torch.equal(*results)


# --------------------------------------------------------------------------- against diffusers' solvers


@pytest.mark.parametrize("order", [1, 2])
def test_on_the_ode_it_takes_the_steps_of_dpm_solver(order: int) -> None:
    """DPM-Solver++(2S) takes its stage at a level of the grid: ours at that node is the same."""
    sigmas = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.5], dtype=torch.float64)  # the middle in log-SNR
    theirs = diffusers.DPMSolverSinglestepScheduler(
        solver_order=order, final_sigmas_type="sigma_min"
    )
    theirs.set_timesteps(4)
    theirs.sigmas = sigmas
    ours = SEEDSScheduler(solver_order=order, eta=0.0)
    ours.set_timesteps(sigmas=sigmas[::order].tolist())
    x = y = normals(3, 1)
    for index, t in enumerate(theirs.timesteps):
        assert ours.levels[index] == pytest.approx(float(sigmas[index]), rel=1e-12)
        x = theirs.step(Network(ours)(x, index), t, x).prev_sample
        y = ours.step(Network(ours)(y, index), ours.timesteps[index], y).prev_sample
    torch.testing.assert_close(y, x, rtol=1e-6, atol=1e-6)  # theirs has single-precision levels


# -------------------------------------------------------------------------------------------- refusals

REFUSED: list[tuple[type[SeedsError], dict[str, Any], str]] = [
    (ParameterError, {"solver_order": 4}, "method="),
    (UnknownNameError, {"method": "seeds-5"}, "seeds-4s"),
    (TableauError, {"method": "seeds-2s", "algorithm": "noise"}, "data"),
    (UnknownNameError, {"algorithm": "dpmsolver++"}, "'data' or 'noise'"),
    (ParameterError, {"eta": -1.0}, "eta"),
    (UnknownNameError, {"prediction_type": "score"}, "flow_prediction"),
    (UnknownNameError, {"beta_schedule": "laplace"}, "trained_betas"),
    (UnknownNameError, {"timestep_spacing": "even"}, "trailing"),
    (UnknownNameError, {"final_sigmas_type": "one"}, "sigma_min"),
    (UnknownNameError, {"time_shift_type": "cubic"}, "exponential"),
    (ParameterError, {"use_karras_sigmas": True, "use_exponential_sigmas": True}, "one of them"),
    (ParameterError, {"use_flow_sigmas": True, "flow_shift": 0.0}, "shift"),
    (ParameterError, {"trained_betas": [0.5, -1.0]}, "decreasing"),
    (ParameterError, FLOW | {"shift_terminal": 1.5}, "None"),
    (ParameterError, FLOW | {"shift_terminal": 0.1, "use_karras_sigmas": True}, "to None"),
]


@pytest.mark.parametrize(("kind", "options", "way_out"), REFUSED, ids=lambda case: str(case)[:40])
def test_wrong_options_are_refused_in_one_line(
    kind: type[SeedsError], options: dict[str, Any], way_out: str
) -> None:
    with pytest.raises(kind, match=way_out) as caught:
        SEEDSScheduler(**options)
    assert "\n" not in str(caught.value)


GRIDS: list[tuple[type[SeedsError], dict[str, Any], dict[str, Any], str]] = [
    (ParameterError, {}, {}, "whole number"),
    (ParameterError, {}, {"num_inference_steps": 0}, "1 or more"),
    (ParameterError, {}, {"num_inference_steps": 2.5}, "whole number"),
    (GridError, {}, {"sigmas": [2.0, 1.0], "timesteps": [9]}, "leave the timesteps out"),
    (GridError, {}, {"sigmas": [2.0, 1.0], "timesteps": [8, 9]}, "descend"),
    (ParameterError, {}, {"sigmas": [2.0, 1.0], "num_inference_steps": 7}, "leave one"),
    (
        ParameterError,
        {"use_karras_sigmas": True},
        {"sigmas": [2.0, 1.0]},
        "use_karras_sigmas=False",
    ),
    (GridError, {}, {"sigmas": [1.0, 2.0]}, "descend"),
    (GridError, {}, {"sigmas": [900.0, 2.0]}, "157"),
    (GridError, {}, {"sigmas": "linear"}, "lists of numbers"),
    (GridError, {}, {"sigmas": []}, "lists of numbers"),
    (GridError, {}, {"timesteps": [1000, 1]}, "between 0 and 999"),
    (GridError, FLOW, {"sigmas": [2.0, 1.0]}, "times"),
    (ParameterError, FLOW | {"use_dynamic_shifting": True}, {"num_inference_steps": 3}, "mu"),
    (ParameterError, FLOW | {"prediction_type": "epsilon"}, {"num_inference_steps": 3}, "leading"),
    (ParameterError, {"rescale_betas_zero_snr": True}, {"num_inference_steps": 3}, "leading"),
]


@pytest.mark.parametrize(
    ("kind", "options", "grid", "way_out"), GRIDS, ids=lambda case: str(case)[:40]
)
def test_grids_that_cannot_be_run_are_refused_in_one_line(
    kind: type[SeedsError], options: dict[str, Any], grid: dict[str, Any], way_out: str
) -> None:
    scheduler = SEEDSScheduler(**options)
    with pytest.raises(kind, match=way_out) as caught:
        scheduler.set_timesteps(**grid)
    assert "\n" not in str(caught.value)


def test_wrong_calls_of_step_are_refused() -> None:
    sample = normals(2, 3, 1)
    scheduler = SEEDSScheduler()
    with pytest.raises(ParameterError, match="set_timesteps"):
        scheduler.step(sample, 999, sample)
    scheduler.set_timesteps(2)
    with pytest.raises(ParameterError, match=r"scheduler\.timesteps"):
        scheduler.step(sample, 123, sample)
    with pytest.raises(ParameterError, match=r"one timestep.*\(5,\)"):
        scheduler.step(sample, torch.full((5,), 999), sample)
    with pytest.raises(DenoiserError, match="variance"):
        scheduler.step(torch.cat([sample, sample], dim=1), 999, sample)
    with pytest.raises(NoiseError, match="one generator per sample"):
        scheduler.step(sample, 999, sample, generators(1, 2, 3))
    scheduler.set_timesteps(2)
    scheduler.set_begin_index(3)
    with pytest.raises(ParameterError, match="3 calls"):
        scheduler.step(sample, 999, sample)
    scheduler.set_timesteps(2)
    run(scheduler, sample)
    with pytest.raises(ParameterError, match="starts another"):
        scheduler.step(sample, 999, sample)


def test_timesteps_of_another_number_of_samples_are_refused() -> None:
    clean, scheduler = normals(3, 1), SEEDSScheduler()
    with pytest.raises(ParameterError, match=r"each of 3 samples.*got 2"):
        scheduler.add_noise(clean, clean, torch.tensor([3, 500]))


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("EDMEulerScheduler", {}, "EDM"),
        ("EDMDPMSolverMultistepScheduler", {}, "EDM"),
        ("EulerDiscreteScheduler", {"timestep_type": "continuous"}, "log sigma"),
        ("FlowMatchEulerDiscreteScheduler", {"invert_sigmas": True}, "backwards"),
    ],
)
def test_networks_of_other_kinds_are_refused(
    name: str, options: dict[str, Any], reason: str
) -> None:
    theirs = getattr(diffusers, name)(**options)
    with pytest.raises(ParameterError, match=reason):
        SEEDSScheduler.from_config(theirs.config)


def test_a_configuration_is_refused_also_where_its_class_cannot_be_made() -> None:
    name = "CosineDPMSolverMultistepScheduler"  # needs torchsde
    with pytest.raises(ParameterError, match=rf"{name}.*EDM"):
        SEEDSScheduler.from_config({"_class_name": name, "sigma_data": 1.0})


def test_without_diffusers_the_module_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "diffusers.configuration_utils", None)
    with pytest.raises(LibraryError, match=r"pip install 'diffusers>=0\.35'") as caught:
        runpy.run_path(inspect.getfile(SEEDSScheduler))
    assert isinstance(caught.value, ImportError) and "\n" not in str(caught.value)


def test_the_package_does_not_import_diffusers() -> None:
    program = (
        "import sys, seeds_theory, seeds_theory.kdiffusion; sys.exit('diffusers' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# ------------------------------------------------------------------ settings of other people's networks


@pytest.mark.parametrize("name", ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"])
@pytest.mark.parametrize("order", [1, 3])
def test_one_step_of_any_spacing_goes_from_the_highest_level_to_0(name: str, order: int) -> None:
    scheduler = SEEDSScheduler(**{name: True}, solver_order=order)
    scheduler.set_timesteps(1)
    assert scheduler.levels == (scheduler.coordinates.sigma_range[1], 0.0)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_one_step_of_a_flow_is_the_estimate_at_its_start(order: int) -> None:
    scheduler = SEEDSScheduler(**FLOW, solver_order=order)
    scheduler.set_timesteps(1)
    assert scheduler.timesteps.tolist() == [1000.0]
    x, velocity = normals(2, 3), normals(2, 3, seed=5)
    found = scheduler.step(velocity, scheduler.timesteps[0], x).prev_sample
    torch.testing.assert_close(found, x - velocity)


def test_the_ends_of_eulers_karras_grid_carry_over() -> None:
    theirs = diffusers.EulerDiscreteScheduler(use_karras_sigmas=True, sigma_min=0.1, sigma_max=5.0)
    ours = SEEDSScheduler.from_config(theirs.config, solver_order=1)
    for scheduler in (theirs, ours):
        scheduler.set_timesteps(6)
    torch.testing.assert_close(ours.sigmas, theirs.sigmas, rtol=1e-5, atol=1e-6)
    halves = SEEDSScheduler(use_karras_sigmas=True, rho=2.0, sigma_min=1.0, sigma_max=4.0)
    halves.set_timesteps(3)
    assert halves.levels[::2][:3] == pytest.approx([4.0, 2.25, 1.0])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sigma_min": 0.0}, "sigma_min is above 0"),
        ({"sigma_min": 2.0, "sigma_max": 1.0}, "sigma_max is above 2"),
        ({"dynamic_thresholding_ratio": 1.5}, "dynamic_thresholding_ratio"),
        ({"clip_sample_range": 0.0}, "clip_sample_range"),
    ],
)
def test_bounds_that_are_none_are_refused(changes: dict[str, float], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        SEEDSScheduler(**changes)


@pytest.mark.parametrize("spacing", ["linspace", "leading", "trailing"])
@pytest.mark.parametrize("final", ["zero", "sigma_min"])
@pytest.mark.parametrize("steps", [1, 999, 1000, 1500])
def test_any_number_of_steps_runs(spacing: str, final: str, steps: int) -> None:
    scheduler = SEEDSScheduler(timestep_spacing=spacing, final_sigmas_type=final, solver_order=1)
    scheduler.set_timesteps(steps)
    assert len(scheduler.timesteps) == steps
    assert (np.diff(scheduler.levels) < 0).all()
    assert scheduler.timesteps.min() >= 0 and scheduler.timesteps.max() <= 999


@pytest.mark.parametrize("final", ["zero", "sigma_min"])
def test_its_own_sigmas_in_single_precision_are_its_grid(final: str) -> None:
    scheduler = SEEDSScheduler(final_sigmas_type=final, solver_order=1)
    scheduler.set_timesteps(10)
    told = scheduler.timesteps
    scheduler.set_timesteps(sigmas=scheduler.sigmas)
    assert scheduler.timesteps.tolist() == pytest.approx(told.tolist(), abs=0.01)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_a_learned_variance_has_no_effect(kind: str) -> None:
    options = {"prediction_type": kind, "variance_type": "learned_range"}
    ours = SEEDSScheduler.from_config(diffusers.DDPMScheduler(**options).config)
    assert ours.config.variance_type == "learned_range"
    x, output = normals(2, 3, 4, 4), normals(2, 6, 4, 4, seed=3)
    ours.set_timesteps(4)
    found = ours.step(output, ours.timesteps[0], x, torch.Generator().manual_seed(0)).prev_sample
    plain = SEEDSScheduler(prediction_type=kind)
    plain.set_timesteps(4)
    generator = torch.Generator().manual_seed(0)
    expected = plain.step(output[:, :3], plain.timesteps[0], x, generator).prev_sample
    assert torch.equal(found, expected)
    with pytest.raises(DenoiserError, match="learned_range"):
        plain.step(output, plain.timesteps[1], x)


@pytest.mark.parametrize(
    "options",
    [
        {"thresholding": True, "sample_max_value": 1.5},
        {"thresholding": True},
        {"clip_sample": True},
    ],
)
def test_estimates_are_bounded_as_by_diffusers(options: dict[str, Any]) -> None:
    options = {"prediction_type": "sample", "dynamic_thresholding_ratio": 0.9, **options}
    theirs = diffusers.DDPMScheduler(**{"clip_sample": False, **options})
    ours = SEEDSScheduler.from_config(theirs.config, solver_order=1)
    x, output = normals(3, 3, 5, 5), 2 * normals(3, 3, 5, 5, seed=3)
    output[0] *= 0.1
    ours.set_timesteps(timesteps=[1])
    found = ours.step(output, ours.timesteps[0], x).prev_sample  # to 0: the estimate itself
    expected = theirs.step(output, 1, x).pred_original_sample
    torch.testing.assert_close(found, expected)
    assert found.abs().max() <= 1


def test_what_pipelines_shift_by_carries_over() -> None:
    shifts = {"base_shift": 0.95, "max_shift": 2.05, "base_image_seq_len": 1024}
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(**shifts, use_dynamic_shifting=True)
    ours = SEEDSScheduler.from_config(theirs.config)
    assert {name: ours.config[name] for name in shifts} == shifts


def test_the_shift_of_a_flow_can_be_changed() -> None:
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    ours = SEEDSScheduler.from_config(theirs.config, shift=5.0, solver_order=1)
    assert ours.config.flow_shift == 5.0
    ours.set_shift(2.0)
    ours.set_timesteps(2)
    assert ours.sigmas.tolist() == pytest.approx([1.0, 2 / 3, 0.0])
    with pytest.raises(ParameterError, match="shift"):
        ours.set_shift(-1.0)
    assert ours.config.flow_shift == 2.0


def test_the_table_is_there_as_in_other_schedulers() -> None:
    theirs, ours = diffusers.DDPMScheduler(**STABLE_DIFFUSION), SEEDSScheduler(**STABLE_DIFFUSION)
    torch.testing.assert_close(ours.alphas_cumprod, theirs.alphas_cumprod, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.betas, theirs.betas, rtol=1e-5, atol=1e-6)
    assert len(SEEDSScheduler(**FLOW).betas) == len(SEEDSScheduler(**FLOW).alphas_cumprod) == 0


def test_a_call_is_found_by_its_timestep() -> None:
    scheduler = SEEDSScheduler(solver_order=2)
    scheduler.set_timesteps(4)
    assert scheduler.index_for_timestep(scheduler.timesteps[2]) == 2
    assert scheduler.index_for_timestep(7, torch.tensor([9, 7, 5, 7])) == 1
    with pytest.raises(ParameterError, match=r"scheduler\.timesteps"):
        scheduler.index_for_timestep(3.25)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_classes_it_is_compatible_with_can_be_taken_over() -> None:
    for name in SEEDSScheduler._compatibles:
        if name != "DPMSolverSDEScheduler":  # asks for torchsde
            SEEDSScheduler.from_config(getattr(diffusers, name)().config)


def test_a_rescaled_signal_to_noise_ratio_is_that_of_the_schedule() -> None:
    theirs = diffusers.CogVideoXDDIMScheduler(rescale_betas_zero_snr=True, snr_shift_scale=2.5)
    ours = SEEDSScheduler.from_config(theirs.config)
    assert ours.config.snr_shift_scale == 2.5
    torch.testing.assert_close(
        ours.alphas_cumprod.double(), theirs.alphas_cumprod.double(), rtol=1e-5, atol=1e-7
    )
    assert (
        SEEDSScheduler.from_config(diffusers.CogVideoXDPMScheduler().config).config.snr_shift_scale
        == 3
    )
    with pytest.raises(ParameterError, match="snr_shift_scale"):
        SEEDSScheduler(snr_shift_scale=0.0)


def test_timesteps_with_sigmas_are_what_the_network_is_told() -> None:
    """As CogView4's pipelines hand both on, whose network is told times before the shift."""
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True, time_shift_type="linear"
    )
    timesteps = np.linspace(1000, 1, 5).astype(np.int64).astype(np.float32)
    given = {"timesteps": timesteps, "sigmas": timesteps / 1000, "mu": 2.5}
    ours = SEEDSScheduler.from_config(theirs.config, solver_order=1)
    for scheduler in (theirs, ours):
        scheduler.set_timesteps(**given)
    torch.testing.assert_close(ours.sigmas, theirs.sigmas)
    torch.testing.assert_close(ours.timesteps, theirs.timesteps)
    second = SEEDSScheduler.from_config(theirs.config)
    second.set_timesteps(**given)
    times = second.sigmas[:-1].double()
    torch.testing.assert_close(
        second.timesteps.double(), 1000 * times / (2.5 - 1.5 * times), rtol=1e-5, atol=1e-3
    )
    clean, noise = normals(1, 2), normals(1, 2, seed=1)
    mixed = second.scale_noise(clean, second.timesteps[2:3], noise)
    torch.testing.assert_close(
        mixed, (1 - times[2]) * clean + times[2] * noise, rtol=1e-5, atol=1e-6
    )
    table = SEEDSScheduler(solver_order=1)
    table.set_timesteps(sigmas=[8.0, 2.0, 0.5], timesteps=[900, 400, 20])
    assert table.timesteps.tolist() == [900, 400, 20] and table.levels == (8.0, 2.0, 0.5, 0.0)


def test_schedulers_of_other_networks_are_known_by_their_names() -> None:
    flow_map = diffusers.FlowMapEulerDiscreteScheduler(shift=5.0)
    saved = {**flow_map.config, "_class_name": "FlowMapEulerDiscreteScheduler"}
    with pytest.raises(ParameterError, match="mean velocity to a later time"):
        SEEDSScheduler.from_config(saved)
    for name in ("LCMScheduler", "TCDScheduler", "FlowMatchLCMScheduler"):
        saved = {**getattr(diffusers, name)().config, "_class_name": name}
        with pytest.warns(UserWarning, match="trained to jump to the data"):
            SEEDSScheduler.from_config(saved)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"method": 3}, "name of a sampler"),
        ({"method": ""}, "name of a sampler"),
        ({"method": "sa-solver", "options": "x"}, "options are a dictionary"),
    ],
)
def test_a_method_is_a_name_and_options_a_dictionary(setting: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        SEEDSScheduler(**setting)


# ------------------------------------------------------------------------------------------ eta along


@pytest.mark.parametrize("method", ["seeds-2", "sde-dpm-solver++-2m"])
def test_eta_may_differ_from_step_to_step(method: str) -> None:
    settings = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "method": method}
    ends = []
    for eta in ([0, 1, 1, 0], "1:0.25-0.75"):
        scheduler = SEEDSScheduler(**settings, eta=eta)
        scheduler.set_timesteps(sigmas=[1.0, 0.75, 0.5, 0.25])
        scheduler.noise = SeededNoise([1, 2])
        x = SeededNoise([1, 2]).initial((3,))
        for timestep in scheduler.timesteps:
            x = scheduler.step(0.1 * x, timestep, x).prev_sample
        ends.append(x)
        again = SEEDSScheduler.from_config(json.loads(json.dumps(dict(scheduler.config))))
        assert again.config.eta == eta
    torch.testing.assert_close(*ends)
    scheduler = SEEDSScheduler(**settings, eta=[1, 0])
    with pytest.raises(ParameterError, match="one number for each of the 4 steps"):
        scheduler.set_timesteps(4)
    with pytest.raises(ParameterError, match="windows of a flow lie in"):
        SEEDSScheduler(**settings, eta="1:0.5-3")

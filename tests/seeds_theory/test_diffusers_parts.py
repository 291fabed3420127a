"""The parts of the scheduler one by one: each rule where it is made."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers")

from seeds_theory import (
    DiscreteSchedule,
    GridError,
    NoiseError,
    ParameterError,
    make_plan,
)
from seeds_theory.diffusers import configuration
from seeds_theory.diffusers.coordinates import Coordinates, Flow, Table
from seeds_theory.diffusers.grid import step_levels
from seeds_theory.diffusers.noise import noise_asked_with
from seeds_theory.diffusers.predictions import estimate
from seeds_theory.diffusers.run import Run
from seeds_theory.diffusers.steps import Calls, StepMaker
from seeds_theory.diffusers.training import alphas_cumprod, betas
from seeds_theory.forms import DIFFUSERS_NAMES
from seeds_theory.sources import silent

FLOW = Flow(1000)
TABLE = Table(
    DiscreteSchedule(alphas_cumprod(betas(1000, 1e-4, 0.02, "linear"), zero_snr=False).tolist())
)


def maker(method: str = "seeds-2", eta: float = 1.0, coordinates: Coordinates = FLOW) -> StepMaker:
    return StepMaker(method, eta, "data", coordinates)


def calls(grid: list[float], method: str = "seeds-2") -> Calls:
    return Calls(maker(method), maker(method).on(np.array(grid)))


# ----------------------------------------------------------------------------------------------- grid


@dataclass
class Settings:
    """The defaults of the scheduler."""

    num_train_timesteps: int = 1000
    timestep_spacing: str = "linspace"
    steps_offset: int = 0
    use_karras_sigmas: bool = False
    use_exponential_sigmas: bool = False
    use_beta_sigmas: bool = False
    use_lu_lambdas: bool = False
    sigma_min: float | None = None
    sigma_max: float | None = None
    rho: float = 7.0
    use_dynamic_shifting: bool = False
    time_shift_type: str = "exponential"
    final_sigmas_type: str = "zero"


def test_a_grid_has_a_level_more_than_steps_and_ends_where_the_settings_say() -> None:
    zero, lowest = Settings(), Settings(final_sigmas_type="sigma_min")
    assert len(step_levels(TABLE, zero, 4)) == 5
    assert step_levels(TABLE, zero, 4)[-1] == 0
    assert step_levels(TABLE, lowest, 4)[-1] == TABLE.level(0)
    assert step_levels(TABLE, zero, sigmas=[5, 1]).tolist() == [5, 1, 0]
    assert step_levels(TABLE, zero, sigmas=[5, 1, 0]).tolist() == [5, 1, 0]
    assert step_levels(TABLE, lowest, sigmas=[5, 1]).tolist() == [5, 1, TABLE.level(0)]


@pytest.mark.parametrize(
    ("kind", "shift"), [("exponential", math.exp(0.7)), ("linear", 0.7)], ids=lambda case: str(case)
)
def test_the_shift_of_a_pipeline_is_that_of_the_grid(kind: str, shift: float) -> None:
    dynamic = Settings(use_dynamic_shifting=True, time_shift_type=kind)
    found = step_levels(FLOW, dynamic, 4, mu=0.7)
    np.testing.assert_array_equal(found, step_levels(Flow(1000, shift), Settings(), 4))
    np.testing.assert_array_equal(
        step_levels(FLOW, Settings(), 4, mu=0.7), step_levels(FLOW, Settings(), 4)
    )
    with pytest.raises(ParameterError, match="mu="):
        step_levels(FLOW, dynamic, 4)


def test_a_grid_beyond_the_schedule_is_refused() -> None:
    with pytest.raises(GridError, match="157"):
        step_levels(TABLE, Settings(), sigmas=[158.0, 1.0])


# ---------------------------------------------------------------------------------------------- steps


def test_calls_are_counted_over_all_steps_and_each_has_its_level() -> None:
    made = calls([4.0, 1.0, 0.25, 0.0])
    assert made.firsts == (0, 2, 4, 5) and made.count == 5
    assert made.levels == pytest.approx((4, 2, 1, 0.5, 0.25, 0))  # stages in the middle in log-SNR
    assert Calls(maker()).levels == () and Calls(maker()).count == 0


@pytest.mark.parametrize(("method", "order"), [("seeds-1", 1), ("seeds-2", 2), ("seeds-3s", 3)])
def test_the_order_of_a_method_is_the_calls_of_its_step(method: str, order: int) -> None:
    assert maker(method).order == order == len(calls([4.0, 1.0], method).steps[0].rows)


def test_a_step_from_an_infinite_level_is_cut_at_equal_parts_of_a_flows_time() -> None:
    steps = maker("seeds-3").on(np.array([math.inf, 1.0, 0.0]))
    ends = [step.sigma_next for step in steps]
    assert [level / (1 + level) for level in ends] == pytest.approx([5 / 6, 4 / 6, 3 / 6, 0])
    assert [len(step.rows) for step in steps] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("levels", "ends"),
    [
        ([4.0, 2.0, 1.0], [2.0, 1.0]),
        ([4.0, 1.0, 1.0], [1.0, 1.0]),  # a stage at the end of its step
        ([4.0, 2.0, 2.0, 1.0], [2.0, 1.0, 1.0]),  # two stages at one level
        ([4.0, 2.0, 3.0, 1.0], [2.0, 1.0, 1.0]),  # a stage above the one before it
    ],
    ids=str,
)
def test_single_calls_go_down_and_stay_where_they_cannot(
    levels: list[float], ends: list[float]
) -> None:
    steps = maker().single_calls(levels)
    assert [step.sigma_next for step in steps] == ends
    assert [len(step.rows) for step in steps] == [1] * (len(levels) - 1)
    starts = [levels[0], *ends[:-1]]
    for step, start, end in zip(steps, starts, ends, strict=True):
        if start == end:
            assert (step.rows[0].state, step.rows[0].drift, step.intervals) == (1, (0,), ())
        else:
            assert step == make_plan("seeds-1", [start, end]).scaled(FLOW.alpha).steps[0]


def test_ahead_of_a_call_within_a_step_are_single_calls_and_the_steps_after_it() -> None:
    made = calls([4.0, 1.0, 0.25, 0.0])
    for number, call in enumerate(made.firsts[:-1]):
        assert made.ahead(call) == made.steps[number:]
    assert made.ahead(1) == (*made.maker.single_calls(made.levels[1:3]), *made.steps[1:])
    for call in (-1, 5):
        with pytest.raises(ParameterError, match=f"one of its 5 calls, from 0; got {call}"):
            made.ahead(call)


def test_of_several_calls_at_one_timestep_a_run_begins_at_the_start_of_a_step() -> None:
    made = calls([4.0, 1.0, 0.25, 0.0])
    assert made.beginning([1, 2]) == 2
    assert made.beginning([1, 3]) == 1


# ------------------------------------------------------------------------------------------------ run


def test_a_run_takes_one_call_after_the_other_and_is_not_changed_by_them() -> None:
    made = calls([4.0, 1.0, 0.0])
    timesteps, x = torch.tensor([8.0, 5.0, 3.0]), torch.ones(2, 1)
    first = Run.beginning(made, None, timesteps, 8.0)
    assert first == Run.beginning(made, 0, timesteps, 5.0)  # a number outweighs a timestep
    levels: list[float] = []

    def estimate_at(level: float) -> torch.Tensor:
        levels.append(level)
        return x

    run = first
    for index in range(3):
        assert run.index == index
        run, state = run.advanced(x, estimate_at, None, silent)
    assert tuple(levels) == made.levels[:-1]
    assert torch.equal(state, x)  # the last step ends at the estimate
    assert first.index == 0 and first.ahead == made.steps and first.stages is None
    with pytest.raises(ParameterError, match="run of 3 calls is over"):
        run.advanced(x, estimate_at, None, silent)


def test_a_run_that_a_source_refuses_is_where_it_was() -> None:
    made, x = calls([4.0, 1.0, 0.0]), torch.ones(2, 1)
    run = Run.beginning(made, 0, torch.tensor([8.0, 5.0, 3.0]), 8.0)
    with pytest.raises(NoiseError, match="2"):
        run.advanced(x, lambda level: x, [torch.Generator()], None)
    assert (run.index, run.ahead, run.noise) == (0, made.steps, None)


def test_runs_and_calls_are_equal_by_what_is_before_them() -> None:
    made, timesteps = calls([4.0, 1.0, 0.0]), torch.tensor([8.0, 5.0, 3.0])
    assert made == calls([4.0, 1.0, 0.0]) == copy.deepcopy(made)
    assert made != calls([4.0, 2.0, 0.0]) and made != calls([4.0, 1.0, 0.0], "seeds-2@0.7")
    assert maker(coordinates=TABLE) == copy.deepcopy(maker(coordinates=TABLE)) != maker()
    assert maker() != maker(eta=0.5) and maker() != maker(coordinates=Flow(1000, 3.0))
    begun = Run.beginning(made, 0, timesteps, 8.0)
    assert begun == copy.deepcopy(begun) != Run.beginning(made, 2, timesteps, 8.0)


# ---------------------------------------------------------------------------------------------- noise


def test_noise_has_one_source_as_long_as_the_generators_are_the_same() -> None:
    generator, state = torch.Generator().manual_seed(1), torch.zeros(2, 1)
    interval = calls([4.0, 1.0]).steps[0].intervals[:1]
    noise = noise_asked_with(generator, None, state)
    after = generator.get_state()
    again = noise_asked_with(generator, noise, state)
    assert again.source is noise.source and torch.equal(generator.get_state(), after)
    assert (
        noise_asked_with(torch.Generator().manual_seed(1), noise, state).source is not noise.source
    )
    assert noise_asked_with(None, noise, state).source is not noise.source
    twin = copy.deepcopy(noise)
    taken = noise_asked_with(torch.Generator().manual_seed(2), twin, state)
    assert taken.source is twin.source
    assert torch.equal(taken.source(interval, state), noise.source(interval, state))
    assert (
        noise_asked_with(generator, taken, state).source is not taken.source
    )  # then it knows them


def test_two_stages_of_one_seed_draw_other_noise() -> None:
    """A refiner, given a generator with the seed of the base's."""
    state = torch.zeros(2, 50)
    base, refiner = (
        noise_asked_with(torch.Generator().manual_seed(5), None, state) for _ in range(2)
    )
    high, low = (step.intervals for step in calls([4.0, 1.0, 0.2]).steps)
    drawn = [base.source(high, state), refiner.source(low, state), base.source(low, state)]
    assert len(torch.cat([d.flatten() for d in drawn[:2]]).unique()) == sum(
        d.numel() for d in drawn[:2]
    )
    assert torch.equal(drawn[1], drawn[2])


def test_an_image_of_one_generator_does_not_depend_on_the_batch() -> None:
    interval = calls([4.0, 1.0]).steps[0].intervals[:1]
    two, three = (
        noise_asked_with(torch.Generator().manual_seed(5), None, torch.zeros(n, 4)).source(
            interval, torch.zeros(n, 4)
        )
        for n in (2, 3)
    )
    assert torch.equal(two, three[:, :2])


# -------------------------------------------------------------------------- predictions, configuration


@pytest.mark.parametrize("kind", DIFFUSERS_NAMES)
def test_the_estimate_of_a_network_that_is_right_is_the_data(kind: str) -> None:
    clean, noise = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator())
    alpha, sigma = 0.8, 0.5
    outputs = {
        "epsilon": noise,
        "sample": clean,
        "v_prediction": alpha * noise - sigma * clean,
        "flow_prediction": noise - clean,
    }
    found = estimate(kind, outputs[kind], alpha * clean + sigma * noise, (alpha, sigma))
    torch.testing.assert_close(found, clean, rtol=1e-12, atol=1e-12)


def test_defaults_of_another_scheduler_hold_where_they_are_the_networks() -> None:
    theirs: dict[str, Any] = {
        "beta_schedule": "linear",
        "timestep_spacing": "leading",
        "_use_default_values": ["beta_schedule", "timestep_spacing"],
    }
    ours = configuration.in_our_names(theirs)
    assert ours["_use_default_values"] == ["timestep_spacing"]  # diffusers takes our default
    assert theirs["_use_default_values"] == ["beta_schedule", "timestep_spacing"]
    assert "use_flow_sigmas" not in ours
    flow = configuration.in_our_names({"shift": 3.0})
    assert (flow["use_flow_sigmas"], flow["flow_shift"]) == (True, 3.0)
    assert flow["prediction_type"] == "flow_prediction"


def test_a_flow_that_does_not_say_what_timesteps_count_is_not_served() -> None:
    configuration.require_servable({"shift": 3.0, "num_train_timesteps": 1000}, "theirs")
    with pytest.raises(ParameterError, match=r"configuration of theirs: .* what timesteps count"):
        configuration.require_servable({"shift": 3.0}, "theirs")

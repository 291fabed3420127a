"""What a trainer's own loop does with a scheduler, beside or instead of what a pipeline does."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")

from seeds_theory import (  # noqa: E402
    DenoiserError,
    DensityError,
    ParameterError,
    SeededNoise,
    SeedsError,
    follow,
    invert,
    kl,
    log_prob,
    make_plan,
    policy,
    rollout,
)
from seeds_theory.diffusers import SEEDSScheduler  # noqa: E402
from seeds_theory.diffusers.policy_step import sde_step_with_logprob  # noqa: E402
from seeds_theory.eta_schedule import EtaWindows  # noqa: E402
from seeds_theory.policies import POLICIES  # noqa: E402
from seeds_theory.schedule import flow_alpha  # noqa: E402
from seeds_theory.solver import Solver  # noqa: E402

FLOW: dict[str, Any] = {
    "use_flow_sigmas": True,
    "flow_shift": 3.0,
    "prediction_type": "flow_prediction",
}


def normals(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def velocity(x: Tensor, timesteps: Tensor) -> Tensor:
    return 0.8 * x + torch.sin(timesteps.to(x).reshape(-1, 1) / 300)


def shrunk(x: Tensor, sigma: float) -> Tensor:
    """The denoiser of a unit normal."""
    return x / (1 + sigma**2)


def scheduler_of(steps: int = 6, **options: Any) -> SEEDSScheduler:
    scheduler = SEEDSScheduler(**FLOW, **options)
    scheduler.set_timesteps(steps)
    return scheduler


# ---------------------------------------------------------------------------------- calls of `step`


def test_a_timestep_that_is_not_that_of_the_call_is_refused() -> None:
    scheduler = scheduler_of(method="seeds-1")
    x = normals(2, 4)
    x = scheduler.step(velocity(x, scheduler.timesteps[:1]), scheduler.timesteps[0], x).prev_sample
    for t in (scheduler.timesteps[3], float(scheduler.timesteps[0]), 12345.0):
        with pytest.raises(ParameterError, match=r"number 1, .*; got .*set_begin_index"):
            scheduler.step(x, t, x)
    scheduler.step(x, scheduler.timesteps[1], x)


@pytest.mark.parametrize(
    "rounded",
    [
        lambda t: t.clone(),
        float,
        int,
        lambda t: t.double(),
        lambda t: t.long(),
        lambda t: t.round(),
        lambda t: t.to(torch.bfloat16),
        lambda t: t.to(torch.float16),
        lambda t: t.expand(2),
    ],
)
def test_a_rounded_timestep_is_that_of_its_call(rounded: Any) -> None:
    scheduler = scheduler_of(7, method="seeds-1", eta=0.0)
    exact = scheduler_of(7, method="seeds-1", eta=0.0)
    x = y = normals(2, 4)
    for i, t in enumerate(scheduler.timesteps):
        output = velocity(x, t)
        x = scheduler.step(output, rounded(t) if i else t, x).prev_sample
        y = exact.step(output, exact.timesteps[i], y).prev_sample
    torch.testing.assert_close(x, y, rtol=0, atol=0)


def test_a_loop_of_both_kinds_of_step_takes_the_ode_where_eta_is_0() -> None:
    """An ODE but for a window, whose steps are taken one by one, as in MixGRPO."""
    etas = [0.0, 0.245, 0.245, 0.0, 0.0, 0.0]
    scheduler = scheduler_of(method="flow-sde", eta=etas)
    x = normals(3, 4)
    for i, t in enumerate(scheduler.timesteps):
        output = velocity(x, t)
        if etas[i]:
            x = sde_step_with_logprob(scheduler, output, t, x)[0]
            continue
        scheduler.set_begin_index(i)
        euler = x + (scheduler.sigmas[i + 1] - scheduler.sigmas[i]).double() * output
        x = scheduler.step(output, t, x).prev_sample
        torch.testing.assert_close(x, euler, rtol=1e-6, atol=1e-6)
    assert scheduler.step_index == len(etas)


# ---------------------------------------------------------------------------- inversion on a scheduler


def pipeline(scheduler: SEEDSScheduler, x: Tensor, shift: float = 0.0) -> Tensor:
    for t in scheduler.timesteps:
        x = scheduler.step(velocity(x, t) + shift, t, x).prev_sample
    return x


@pytest.mark.parametrize("path", ["eta", "independent"])
@pytest.mark.parametrize(
    "options",
    [
        {"method": "seeds-1"},
        {"method": "seeds-2"},
        {"method": "seeds-3", "eta": [0, 1, 1, 0, 0.5, 0]},
        {"method": "flow-sde", "eta": 0.3},
        {"method": "cps", "options": {"level": 0.7}},
    ],
    ids=str,
)
def test_an_inversion_on_a_schedulers_plan_is_the_noise_of_its_run(
    options: dict[str, Any], path: Any
) -> None:
    """In a pipeline the run ends where the inversion says, and under another network elsewhere."""
    scheduler = scheduler_of(**options)
    images = normals(3, 4)
    denoiser = scheduler.denoiser(velocity)
    found = invert(denoiser, images, scheduler.plan, SeededNoise(range(3)), path=path)
    scheduler.noise = found
    ended = pipeline(scheduler, found.start)
    torch.testing.assert_close(ended, found.x, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(scheduler.plan(denoiser, found.start, found), found.x)
    scheduler.set_timesteps(6)
    assert float((pipeline(scheduler, found.start, 0.1) - found.x).abs().max()) > 0.01


def test_a_run_that_ends_with_noise_comes_back_to_the_samples_given() -> None:
    scheduler = scheduler_of(method="seeds-2", final_sigmas_type="sigma_min")
    images = normals(3, 4)
    found = invert(scheduler.denoiser(velocity), images, scheduler.plan, SeededNoise(range(3)))
    assert float(found.error.max()) < 1e-9


def test_the_record_of_a_scheduler_is_inverted_to_its_normals() -> None:
    scheduler = scheduler_of(method="seeds-2")
    denoiser = scheduler.denoiser(velocity)
    record = rollout(denoiser, normals(3, 4), scheduler.plan, SeededNoise(range(3)))
    found = invert(denoiser, record, scheduler.plan)
    torch.testing.assert_close(found.x, record.x)
    expected = SeededNoise(range(3))
    for interval, normal in zip(found.intervals, found.normals, strict=True):
        del interval
        assert 0.1 < float(normal.std()) < 3
    again = scheduler.plan(denoiser, record.states[0], expected)
    torch.testing.assert_close(found.x, again)


def test_an_ode_of_a_scheduler_is_gone_back_exactly() -> None:
    scheduler = scheduler_of(20, method="seeds-1", eta=0.0, final_sigmas_type="sigma_min")
    scheduler.set_timesteps(sigmas=torch.linspace(0.9, 0.2, 8).tolist())
    denoiser, images = scheduler.denoiser(lambda x, t: 0.2 * x), normals(3, 4)
    with pytest.raises(ParameterError, match="exact=True"):
        invert(denoiser, images, scheduler.plan)
    assert float(invert(denoiser, images, scheduler.plan, exact=True).error.max()) < 1e-9


def test_a_denoiser_of_samples_is_refused_on_a_plan_of_the_frame() -> None:
    scheduler = scheduler_of(method="seeds-1")
    denoiser, x = scheduler.denoiser(velocity), normals(2, 4)
    plan = make_plan("seeds-1", scheduler.levels[1:])
    record = rollout(lambda x, sigma: 0.5 * x, x, plan)
    calls: list[Any] = [
        lambda: invert(denoiser, x, plan),
        lambda: rollout(denoiser, x, plan),
        lambda: follow(denoiser, x, plan),
        lambda: log_prob(denoiser, record),
        lambda: Solver("ddim")(denoiser, x, plan.sigmas),
        lambda: Solver("ddim").on(plan.sigmas)(denoiser, x),
    ]
    for call in calls:
        with pytest.raises(ParameterError, match=r"samples alpha y.*scheduler\.plan"):
            call()
    follow(denoiser, x, plan.scaled(flow_alpha))


# --------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("setting", "way_out"),
    [
        ({"noise_level": 0.7}, "options="),
        ({"level": 0.7}, "options="),
        ({"methods": "cps"}, "did you mean 'method'"),
        ({"log_probs": "mean"}, "did you mean 'log_prob'"),
        ({"etas": [1.0]}, "did you mean 'eta'"),
        ({"algorithm_type": "sde-dpmsolver++"}, "leave it out"),
    ],
    ids=str,
)
def test_a_setting_that_there_is_not_is_refused_beside_a_configuration(
    setting: dict[str, Any], way_out: str
) -> None:
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0).config
    (name,) = setting
    with pytest.raises(ParameterError, match=f"no setting '{name}'.*{way_out}") as caught:
        SEEDSScheduler.from_config(theirs, **setting)
    assert "\n" not in str(caught.value)
    ours = SEEDSScheduler.from_config(theirs, method="cps", shift=2.0)
    assert ours.config.flow_shift == 2.0
    with pytest.raises(ParameterError, match=f"no setting '{name}'"):
        SEEDSScheduler.from_config(ours.config, **setting)


# ---------------------------------------------------------------------------------- what goes wrong


def test_an_error_names_a_tensor_in_one_line() -> None:
    x, plan = normals(2, 1000), make_plan("seeds-1", [3.0, 1.0, 0.5])
    calls: list[Any] = [
        lambda: invert(shrunk, plan, x),
        lambda: rollout(shrunk, x, x),
        lambda: rollout(shrunk, x, plan, x),
        lambda: follow(shrunk, x, x),
        lambda: SeededNoise(x),
        lambda: log_prob(shrunk, rollout(shrunk, x, plan), steps=x),
    ]
    for call in calls:
        with pytest.raises(SeedsError) as caught:
            call()
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_plan_of_a_baseline_is_not_followed_but_called() -> None:
    x, plan = normals(2, 3), Solver("ddim").on([3.0, 1.0, 0.5], 1.0)
    with pytest.raises(ParameterError, match=r"got LoopPlan: it is called itself, plan\("):
        follow(shrunk, x, plan)
    found = invert(shrunk, x, plan, SeededNoise(range(2)))
    torch.testing.assert_close(found.run(shrunk), x)
    torch.testing.assert_close(plan(shrunk, found.start, found), x)


def test_what_is_not_finite_has_no_density() -> None:
    scheduler = scheduler_of(method="cps")
    x, t = normals(2, 4), scheduler.timesteps[2]
    record = rollout(scheduler.denoiser(velocity), x, scheduler.plan)

    def broken(x: Tensor, t: Tensor) -> Tensor:
        return x * math.nan

    for call in (
        lambda: log_prob(scheduler.denoiser(broken), record),
        lambda: kl(scheduler.denoiser(velocity), scheduler.denoiser(broken), record),
        lambda: sde_step_with_logprob(scheduler, velocity(x, t), t, x, prev_sample=x * math.nan),
        lambda: sde_step_with_logprob(scheduler, x * math.inf, t, x),
    ):
        with pytest.raises(DenoiserError, match="not finite"):
            call()


def test_a_network_may_return_its_sample_in_something() -> None:
    scheduler = scheduler_of(method="cps")
    x, level = normals(2, 4), scheduler.levels[2]
    expected = scheduler.denoiser(velocity)(x, level)
    for wrapped in (
        lambda x, t: SimpleNamespace(sample=velocity(x, t)),
        lambda x, t: (velocity(x, t),),
        lambda x, t: velocity(x.bfloat16(), t).to(x),
    ):
        torch.testing.assert_close(
            scheduler.denoiser(wrapped)(x, level), expected, rtol=0.05, atol=0.05
        )
    with pytest.raises(ParameterError, match="function of x and t"):
        scheduler.denoiser(None)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------- levels in windows


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("level", ["0.5:0.6-0.857142857", [0, 0, 0.5, 0.5, 0, 0]], ids=str)
def test_a_level_in_a_window_is_that_level_there_and_the_ode_elsewhere(
    name: str, level: Any
) -> None:
    sigmas = [0.97, 0.95, 6 / 7, 0.75, 0.6, 0.375]
    along, plain = (
        SEEDSScheduler(**{**FLOW, "flow_shift": 1.0}, method=name, options={"level": one})
        for one in (level, 0.5)
    )
    for scheduler in (along, plain):
        scheduler.set_timesteps(sigmas=sigmas)
    assert along.noise_level == 0.5
    x = normals(2, 4)
    for i, t in enumerate(along.timesteps):
        output = velocity(x, t)
        if i in (2, 3):
            of_window, of_all = (
                sde_step_with_logprob(s, output, t, x, prev_sample=0.9 * x) for s in (along, plain)
            )
            torch.testing.assert_close(of_window, of_all)
            continue
        with pytest.raises(DensityError):
            sde_step_with_logprob(along, output, t, x)
        along.set_begin_index(i)
        euler = x + (along.sigmas[i + 1] - along.sigmas[i]).double() * output
        torch.testing.assert_close(
            along.step(output, t, x).prev_sample, euler, rtol=1e-6, atol=1e-6
        )


def test_levels_may_differ_from_step_to_step_from_an_infinite_level_too() -> None:
    scheduler = scheduler_of(method="cps", options={"level": [0.7, 0.7, 0, 0, 0, 0]})
    plan = scheduler.plan
    record = rollout(scheduler.denoiser(velocity), normals(2, 4), plan)
    assert record.steps == (0, 1)
    with pytest.raises(ParameterError, match="each of the 6 steps"):
        scheduler_of(method="cps", options={"level": [0.7, 0]})
    with pytest.raises(ParameterError, match="'cps' is below 1"):
        scheduler_of(method="cps", options={"level": [0.7, 1.0]})
    with pytest.raises(ParameterError, match="a window is one of its level"):
        scheduler_of(method="cps", eta="1:0.3-0.9")


def test_a_policy_takes_a_window_of_noise_levels() -> None:
    grid = [10.0, 5.0, 2.0, 1.0, 0.0]
    everywhere = policy("cps", grid, 0.7).options["eta"]
    assert policy("cps", grid, "0.7:2-10").options["eta"] == (*everywhere[:2], 0.0, 0.0)


@pytest.mark.parametrize(
    "options",
    [
        {"method": "cps", "options": {"level": 0.7}},
        {"method": "flow-sde", "eta": "0.5:0.6-1"},
        {"method": "seeds-1", "eta": [0.5, 0.4, 0.3, 0.2, 0.1, 0]},
        {"method": "seeds-2"},
    ],
    ids=str,
)
def test_the_plan_of_a_scheduler_says_its_etas(options: dict[str, Any]) -> None:
    plan = scheduler_of(**options).plan
    assert len(plan.eta) == len(plan.sigmas) - 1
    if options["method"] == "cps":
        finite = plan.sigmas[1:]
        assert plan.eta[1:] == pytest.approx(policy("cps", finite, 0.7).options["eta"])
    if options["method"] == "flow-sde":
        assert plan.eta == (0.5, 0.5, 0.5, 0.5, 0.0, 0.0)
    if options["method"] == "seeds-1":
        assert plan.eta[:-1] == (0.5, 0.4, 0.3, 0.2, 0.1)


@pytest.mark.parametrize("other", ["determistic", "deterministic", "sde_type", "return_sqrt_dt"])
def test_an_argument_of_other_codes_is_refused_by_its_name(other: str) -> None:
    scheduler, x = scheduler_of(method="cps"), normals(2, 4)
    with pytest.raises(ParameterError, match=f"takes no '{other}'.*method"):
        sde_step_with_logprob(scheduler, x, scheduler.timesteps[1], x, **{other: True})


def test_a_step_without_noise_says_what_to_do() -> None:
    x = normals(2, 4)
    for options, says in (
        ({"method": "ddim"}, "choose an eta above 0"),
        ({"method": "seeds-1", "eta": 0.0}, "choose an eta above 0"),
        ({"method": "seeds-1", "eta": 1.0}, r"the other steps.*scheduler\.step"),
    ):
        scheduler = scheduler_of(**options)
        with pytest.raises(DensityError, match=says):
            sde_step_with_logprob(scheduler, x, scheduler.timesteps[-1], x)


@pytest.mark.parametrize(
    "eta",
    [
        torch.tensor([1.0, 0.5, 0, 0, 0, 0]),
        np.ones(6),
        EtaWindows(((0.5, 0.3, 0.9),)),
        np.float64(1),
    ],
    ids=str,
)
def test_an_eta_is_saved_in_whatever_it_was_given(eta: Any, tmp_path: Path) -> None:
    scheduler = scheduler_of(method="seeds-1", eta=eta)
    scheduler.save_pretrained(tmp_path)
    loaded = SEEDSScheduler.from_pretrained(tmp_path)
    loaded.set_timesteps(6)
    assert loaded.plan.eta == scheduler.plan.eta

"""The scheduler as a policy: log-densities of its steps, and one step as trainers call it."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")

from published_steps import published_step  # noqa: E402
from with_density import WITH_DENSITY  # noqa: E402

from proofs_checks.audit import assert_density, trainer_step  # noqa: E402
from seeds_theory import (  # noqa: E402
    DenoiserError,
    DensityError,
    GeneratorNoise,
    NoiseError,
    ParameterError,
    SeededNoise,
    SeedsError,
    follow,
    log_prob,
    make_plan,
    policy,
    rollout,
)
from seeds_theory.chain import chain_of  # noqa: E402
from seeds_theory.diffusers import SEEDSScheduler  # noqa: E402
from seeds_theory.diffusers.policy_step import sde_step_with_logprob  # noqa: E402
from seeds_theory.diffusers.recorded import plan_of  # noqa: E402
from seeds_theory.policies import POLICIES  # noqa: E402
from seeds_theory.schedule import flow_alpha  # noqa: E402
from seeds_theory.solver import JoinedPlan, Solver  # noqa: E402

FLOW: dict[str, Any] = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
TABLE: dict[str, Any] = {"prediction_type": "v_prediction"}
USABLE = [name for name in WITH_DENSITY if name != "seeds-2m"]
ONE_CALL = ("seeds-1", "ddim", "euler-maruyama", "er-sde-1", *POLICIES)
TAUS = [0.9, 0.6, 0.25]


def normals(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def network(x: Tensor, timesteps: Tensor, shift: float = 0.0) -> Tensor:
    times = timesteps.to(x).reshape(-1, *[1] * (x.ndim - 1)) / 1000
    return torch.sin(1.3 * x + shift) * (1 + times) + 0.4 * x


def scheduler_of(name: str, kind: dict[str, Any] = FLOW, **options: Any) -> SEEDSScheduler:
    eta = None if name in POLICIES else 1.0
    return SEEDSScheduler(**{**kind, "method": name, "eta": eta, **options})


def on_taus(name: str, **options: Any) -> SEEDSScheduler:
    scheduler = scheduler_of(name, **options)
    scheduler.set_timesteps(sigmas=TAUS)
    return scheduler


def run(scheduler: SEEDSScheduler, x: Tensor, shift: float = 0.0) -> tuple[list[Tensor], list[Any]]:
    """The samples of a run by the loop of a pipeline, and the log-densities of its calls."""
    samples, densities = [x], []
    for t in scheduler.timesteps:
        output = network(x, t.expand(len(x)), shift)
        found = scheduler.step(output, t, x)
        x = found.prev_sample
        samples.append(x)
        densities.append(found.log_prob)
    return samples, densities


# ------------------------------------------------------------------------------------ a run's densities


@pytest.mark.parametrize("kind", [FLOW, TABLE], ids=["flow", "table"])
@pytest.mark.parametrize("name", [*USABLE, "cps", "dance-sde", "precise"])
def test_a_call_that_ends_a_step_gives_the_density_of_the_record(
    name: str, kind: dict[str, Any]
) -> None:
    scheduler = scheduler_of(name, kind, log_prob="sum")
    scheduler.set_timesteps(4)
    scheduler.noise, x = SeededNoise(range(3)), normals(3, 2, 2)
    samples, densities = run(scheduler, x)
    record = scheduler.record
    given = torch.stack([one for one in densities if one is not None], dim=1)
    assert given.dtype == torch.float64 and densities[-1] is None
    assert torch.equal(given, record.log_prob) and torch.equal(record.x, samples[-1])
    denoiser = scheduler.denoiser(network)
    assert torch.equal(log_prob(denoiser, record), given)
    again = rollout(denoiser, x, scheduler.plan, SeededNoise(range(3)))
    torch.testing.assert_close(again.x, samples[-1], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(again.log_prob, given, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        log_prob(denoiser, record, reduction="mean"), given / 4, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("name", ["seeds-2", "sde-dpm-solver++-2m"])
def test_densities_are_those_of_samples_and_not_of_the_frame(name: str) -> None:
    """A density of X = alpha y is that of y over alpha to the power of its elements, for each state."""
    scheduler = on_taus(name, log_prob="sum")
    scheduler.noise, x = SeededNoise(range(3)), normals(3, 5)
    run(scheduler, x)
    levels = [tau / (1 - tau) for tau in TAUS]

    def denoiser(y: Tensor, sigma: float) -> Tensor:
        tau = sigma / (1 + sigma)
        sample = (1 - tau) * y
        return sample - tau * network(sample, torch.full((len(y),), 1000 * tau))

    plan = Solver(name).on([*levels, 0.0], 1.0)
    frame = rollout(denoiser, x / (1 - TAUS[0]), plan, SeededNoise(range(3)))
    stages = {"seeds-2": [(levels[0] * levels[1]) ** 0.5, (levels[1] * levels[2]) ** 0.5]}
    for step, (end, stage) in enumerate(zip(levels[1:], stages.get(name, [0, 0]), strict=True)):
        moved = -5 * (math.log(flow_alpha(end)) + (math.log(flow_alpha(stage)) if stage else 0))
        torch.testing.assert_close(
            scheduler.record.log_prob[:, step], frame.log_prob[:, step] + moved, rtol=0, atol=2e-5
        )  # timesteps are told in single precision


def test_a_run_from_the_middle_is_recorded_from_there() -> None:
    scheduler = scheduler_of("seeds-3", TABLE, log_prob="sum")
    scheduler.set_timesteps(4)
    scheduler.set_begin_index(4)  # within a step
    x, densities = normals(2, 3), []
    for t in scheduler.timesteps[4:]:
        found = scheduler.step(network(x, t.expand(2)), t, x)
        x, densities = found.prev_sample, [*densities, found.log_prob]
    record = scheduler.record
    given = torch.stack([one for one in densities if one is not None], dim=1)
    assert torch.equal(log_prob(scheduler.denoiser(network), record), given)
    assert len(record.steps) == 3 and torch.equal(record.x, x)


def test_a_scheduler_that_is_copied_in_a_run_records_both() -> None:
    scheduler = on_taus("seeds-2", log_prob="sum")
    scheduler.noise, x = SeededNoise(range(3)), normals(3, 2)
    twin = copy.deepcopy(scheduler)
    expected = run(twin, x)[1]
    for index, t in enumerate(scheduler.timesteps):
        scheduler = copy.deepcopy(scheduler)
        found = scheduler.step(network(x, t.expand(3)), t, x)
        x = found.prev_sample
        if expected[index] is not None:
            assert torch.equal(found.log_prob, expected[index])
    assert torch.equal(scheduler.record.log_prob, twin.record.log_prob)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_samples_of_half_precision_have_float64_densities_of_what_they_were_rounded_to(
    dtype: torch.dtype,
) -> None:
    scheduler = on_taus("seeds-2", log_prob="sum")
    samples, densities = run(scheduler, normals(3, 4, dtype=dtype))
    given = torch.stack([one for one in densities if one is not None], dim=1)
    assert given.dtype == torch.float64 and given.isfinite().all()
    assert samples[-1].dtype == dtype

    def same_precision(x: Tensor, t: Tensor) -> Tensor:
        return network(x.to(dtype), t)

    again = log_prob(scheduler.denoiser(same_precision), scheduler.record)
    torch.testing.assert_close(again, given, rtol=1e-12, atol=1e-12)
    one = on_taus("flow-sde", options={"level": 0.7})
    x, t = samples[0], one.timesteps[0]
    action, density, mean, _ = sde_step_with_logprob(one, network(x, t.expand(3)), t, x)
    assert action.dtype == dtype and mean.dtype == torch.float32
    assert density.dtype == torch.float64 and density.isfinite().all()
    again = sde_step_with_logprob(one, network(x, t.expand(3)), t, x, prev_sample=action)[1]
    assert torch.equal(density, again)


def test_a_run_in_inference_mode_is_trained_on() -> None:
    scheduler, theta = on_taus("seeds-2", log_prob="sum"), torch.zeros((), requires_grad=True)
    with torch.inference_mode():
        run(scheduler, normals(3, 2))

    def trained(x: Tensor, t: Tensor) -> Tensor:
        return network(x, t) + theta

    new, record = log_prob(scheduler.denoiser(trained), scheduler.record), scheduler.record
    torch.testing.assert_close(new, record.log_prob, rtol=1e-12, atol=1e-12)
    new.sum().backward()
    assert float(theta.grad.abs()) > 0  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["seeds-1", "sde-dpm-solver++-2m"])
def test_steps_between_those_of_a_window_have_no_density(name: str) -> None:
    """As MixGRPO: an SDE within a window of the flow's times, an ODE outside."""
    scheduler = scheduler_of(name, eta="1:0.25-0.75", log_prob="sum")
    scheduler.set_timesteps(sigmas=[0.95, 0.75, 0.5, 0.25, 0.1])
    _, densities = run(scheduler, normals(3, 2))
    assert [one is not None for one in densities] == [False, True, True, False, False]
    record = scheduler.record
    assert record.steps == (1, 2)
    again = log_prob(scheduler.denoiser(network), record)
    assert torch.equal(again, record.log_prob)


def test_options_are_saved_and_the_published_samplers_are_named(tmp_path: Any) -> None:
    scheduler = scheduler_of("cps", options={"level": 0.6}, log_prob="mean")
    again = SEEDSScheduler.from_config(json.loads(json.dumps(dict(scheduler.config))))
    assert (again.noise_level, again.config.log_prob, again.order) == (0.6, "mean", 1)
    assert on_taus("seeds-1").noise_level is None
    levels = [tau / (1 - tau) for tau in TAUS] + [0.0]
    for name in POLICIES:
        scheduler = on_taus(name, options={"level": 0.5})
        scheduler.noise, x = SeededNoise(range(2)), normals(2, 3)
        end = run(scheduler, x)[0][-1]

        def denoiser(y: Tensor, sigma: float) -> Tensor:
            tau = sigma / (1 + sigma)
            sample = (1 - tau) * y
            return sample - tau * network(sample, torch.full((len(y),), 1000 * tau))

        expected = policy(name, levels, 0.5)(
            denoiser, x / (1 - TAUS[0]), levels, SeededNoise(range(2))
        )
        torch.testing.assert_close(end, expected, rtol=1e-6, atol=1e-6)


# ------------------------------------------------------------------------------------------- one step


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", POLICIES)
def test_a_step_is_the_published_one_in_the_flows_own_coordinates(
    name: str, reduction: Any
) -> None:
    level = 0.7 * POLICIES[name].level
    scheduler = on_taus(name, options={"level": level})
    x, action = normals(4, 2, 3), normals(4, 2, 3, seed=1)
    for t, tau, r in zip(scheduler.timesteps, TAUS, TAUS[1:], strict=False):
        output = network(x, t.expand(4))
        given, density, mean, deviation = sde_step_with_logprob(
            scheduler, output, t, x, level, action, reduction=reduction
        )
        expected, spread = published_step(name, x, x - tau * output, tau, r, level)
        torch.testing.assert_close(mean, expected, rtol=1e-12, atol=1e-12)
        assert float(deviation.max()) == pytest.approx(spread, rel=1e-12)
        assert given is action and deviation.shape == (4, 1, 1)
        each = torch.distributions.Normal(expected, spread).log_prob(action).flatten(1)
        torch.testing.assert_close(density, getattr(each, reduction)(1), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("kind", [FLOW, TABLE], ids=["flow", "table"])
@pytest.mark.parametrize("name", ONE_CALL)
def test_a_step_draws_and_weighs_what_the_run_does(name: str, kind: dict[str, Any]) -> None:
    scheduler = scheduler_of(name, kind, log_prob="sum")
    scheduler.set_timesteps(5)
    scheduler.noise = SeededNoise(range(3))
    samples, densities = run(scheduler, normals(3, 2, 2))
    times = scheduler.timesteps
    for n, t in enumerate(times[:-1]):
        scheduler.noise = SeededNoise(range(3))
        x = samples[n]
        drawn, density, _, _ = sde_step_with_logprob(
            scheduler, network(x, t.expand(3)), t, x, reduction="sum"
        )
        torch.testing.assert_close(drawn, samples[n + 1], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(density, densities[n], rtol=1e-9, atol=1e-9)
    # Each sample of a batch at a step of its own, as trainers shuffle them.
    order = torch.tensor([2, 0, 3])
    x = torch.stack([samples[n][i] for i, n in enumerate(order.tolist())])
    action = torch.stack([samples[n + 1][i] for i, n in enumerate(order.tolist())])
    found = sde_step_with_logprob(
        scheduler, network(x, times[order]), times[order], x, None, action, reduction="sum"
    )
    expected = torch.stack([densities[n][i] for i, n in enumerate(order.tolist())])
    torch.testing.assert_close(found[1], expected, rtol=1e-9, atol=1e-9)


def test_generators_make_a_step_new_each_time_and_the_same_again() -> None:
    scheduler, x = on_taus("seeds-1"), normals(3, 2)
    times = scheduler.timesteps[[0, 1, 1]]

    def drawn(generator: Any) -> Tensor:
        return sde_step_with_logprob(scheduler, x, times, x, generator=generator)[0]

    one = torch.Generator().manual_seed(1)
    first, second = drawn(one), drawn(one)
    assert not torch.equal(first, second)
    assert torch.equal(first, drawn(torch.Generator().manual_seed(1)))
    many = [torch.Generator().manual_seed(n) for n in range(3)]
    assert drawn(many).shape == x.shape
    scheduler.noise = SeededNoise(range(3))
    with pytest.raises(NoiseError, match="serves samples at one timestep"):
        drawn(None)


@pytest.mark.parametrize("kind", [FLOW, TABLE, {"prediction_type": "epsilon"}])
def test_gradients_are_those_of_finite_differences(kind: dict[str, Any]) -> None:
    scheduler = scheduler_of("seeds-1", kind, eta=0.7)
    scheduler.set_timesteps(4)
    x, action = normals(2, 3), normals(2, 3, seed=1)
    times = scheduler.timesteps[[1, 2]]

    def density(output: Tensor) -> Tensor:
        return sde_step_with_logprob(scheduler, output, times, x, None, action)[1]

    output = normals(2, 3, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(density, (output,))
    drawn, own, _, _ = sde_step_with_logprob(scheduler, output, times, x)
    (gradient,) = torch.autograd.grad(own.sum(), output)
    assert bool((gradient != 0).all()) and drawn.requires_grad


@pytest.mark.parametrize("name", ONE_CALL)
def test_the_ratio_of_two_networks_has_mean_1(name: str) -> None:
    count = 20_000
    scheduler, x = on_taus(name), normals(count, 1)
    scheduler.noise = GeneratorNoise(torch.Generator().manual_seed(2))
    for t in scheduler.timesteps[:-1]:
        output, other = (network(x, t.expand(count), shift) for shift in (0.0, 0.1))
        action, old, _, _ = sde_step_with_logprob(scheduler, output, t, x)
        new = sde_step_with_logprob(scheduler, other, t, x, prev_sample=action)[1]
        ratio = (new - old).exp()
        error = float(ratio.std()) / math.sqrt(count)
        assert abs(float(ratio.mean()) - 1) <= 4 * error and 0 < error < 0.01
        x = action


# ------------------------------------------------------------------------------------------- refused


def test_what_is_no_step_with_a_density_is_refused() -> None:
    scheduler, x = on_taus("seeds-1"), normals(3, 2)
    times = scheduler.timesteps
    theirs = diffusers.FlowMatchEulerDiscreteScheduler()
    fresh, still = scheduler_of("seeds-1"), on_taus("seeds-1", eta=[1, 0, 1])
    level = on_taus("cps", options={"level": 0.5})
    cases: list[tuple[type[SeedsError], str, tuple[Any, ...], dict[str, Any]]] = [
        (DensityError, "has no noise", (scheduler, x, times[2], x), {}),
        (DensityError, "has no noise", (still, x, times[1], x), {}),
        (DensityError, "stages or memory", (on_taus("seeds-2"), x, times[0], x), {}),
        (DensityError, "stages or memory", (on_taus("sa-solver"), x, times[1], x), {}),
        (ParameterError, "is a SEEDSScheduler", (theirs, x, times[0], x), {}),
        (ParameterError, "call set_timesteps first", (fresh, x, times[0], x), {}),
        (ParameterError, "one of scheduler.timesteps", (scheduler, x, 17.0, x), {}),
        (ParameterError, "one of scheduler.timesteps", (scheduler, x, math.nan, x), {}),
        (ParameterError, "bfloat16: pass its elements as they are, torch.float32",
         (scheduler, x, torch.tensor(876.0).bfloat16(), x), {}),
        (NoiseError, "one sample or more", (scheduler, x[:0], times[0], x[:0]), {}),
        (ParameterError, "method='ddim', eta=0.0", (level, x, times[0], x, 0), {}),
        (ParameterError, "method='ddim', eta=0.0", (scheduler, x, times[0], x, 0.0), {}),
        (ParameterError, "one for each of 3", (scheduler, x, times[:2], x), {}),
        (ParameterError, "prev_sample has the shape", (scheduler, x, times[0], x), {"prev_sample": x[:, :1]}),
        (ParameterError, "prev_sample has the shape", (scheduler, x, times[0], x), {"prev_sample": 3}),
        (ParameterError, "floating-point type", (scheduler, x, times[0], x), {"prev_sample": x.long()}),
        (ParameterError, "an eta, no noise_level", (scheduler, x, times[0], x, 0.7), {}),
        (ParameterError, "that of the scheduler, 0.5", (level, x, times[0], x, 0.7), {}),
        (ParameterError, "that of the scheduler, 0.5", (level, x, times[0], x, math.nan), {}),
        (ParameterError, "'sum' or 'mean'", (scheduler, x, times[0], x), {"reduction": "max"}),
        (DenoiserError, "the shape of the sample", (scheduler, x[:, :1], times[0], x), {}),
        (DenoiserError, "is a tensor", (scheduler, None, times[0], x), {}),
        (ParameterError, "states are", (scheduler, x, times[0], x.long()), {}),
        (ParameterError, "torch.Generator", (scheduler, x, times[0], x), {"generator": 3}),
    ]  # fmt: skip
    for error, says, arguments, options in cases:
        with pytest.raises(error, match=says) as caught:
            sde_step_with_logprob(*arguments, **options)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"method": "cps", "eta": 0.5}, "leave eta and algorithm out"),
        ({"method": "cps", "options": {"level": 1.0}}, "is below 1"),
        ({"method": "flow-sde", "options": {"level": -0.1}}, "0 < level"),
        ({"method": "precise", "options": {"level": math.nan}}, "level is a number"),
        ({"method": "dance-sde", "options": {"noise": 1}}, "no option 'noise'; known: level"),
        ({"method": "seeds-1", "eta": -1.0}, "eta is a finite number"),
        ({"method": "seeds-1", "eta": math.nan}, "eta is a finite number"),
        ({"log_prob": "total"}, "'sum' or 'mean'"),
        ({"log_prob": True}, "'sum' or 'mean'"),
    ],
)
def test_wrong_settings_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        SEEDSScheduler(**FLOW, **options)


@pytest.mark.parametrize(
    ("name", "eta", "says"),
    [
        ("seeds-2", 0.0, "no step of this plan has noise"),
        ("seeds-4s", 1.0, "fewer independent noises"),
        ("seeds-2m", 1.0, "rollout"),
    ],
)
def test_a_run_without_densities_says_so_at_its_first_call(
    name: str, eta: float, says: str
) -> None:
    scheduler, x = on_taus(name, eta=eta, log_prob="sum"), normals(2, 3)
    with pytest.raises(DensityError, match=says):
        scheduler.step(x, scheduler.timesteps[0], x)


def test_what_is_said_about_a_run_that_is_over_or_was_interrupted() -> None:
    x = normals(2, 3)
    for log_prob_ in ("sum", None):
        scheduler = on_taus("seeds-1", log_prob=log_prob_)
        run(scheduler, x)
        with pytest.raises(ParameterError, match="run of 3 calls is over: set_timesteps starts"):
            run(scheduler, x)
    scheduler = on_taus("seeds-1", log_prob="sum")
    scheduler.step(x, scheduler.timesteps[0], x)
    with pytest.raises(ParameterError, match="set_timesteps starts another run"):
        run(scheduler, x)
    scheduler.set_timesteps(sigmas=TAUS)
    run(scheduler, x)


@pytest.mark.parametrize("name", POLICIES)
def test_a_policys_name_alone_has_the_level_of_its_paper(name: str) -> None:
    levels = [tau / (1 - tau) for tau in TAUS] + [0.0]
    named, told = on_taus(name), on_taus(name, options={"level": POLICIES[name].level})
    assert named.noise_level == told.noise_level == POLICIES[name].level
    etas = policy(name, levels).options["eta"]
    for scheduler in (named, told):
        found = [i.eta for block in chain_of(scheduler.plan).blocks for i in block.asks]
        assert found == pytest.approx(list(etas)[:-1], rel=1e-9)
    if name == "flow-sde":  # a loop too, at any eta that it is told
        asked = [i.eta for b in chain_of(on_taus(name, eta=1.0).plan).blocks for i in b.asks]
        assert asked == [1.0, 1.0] and on_taus(name, eta=1.0).noise_level is None


@pytest.mark.parametrize("name", POLICIES)
def test_without_noise_a_policy_is_evaluated_by_the_scheduler_that_is_named(name: str) -> None:
    """Euler's method in the time of the flow, as the published codes have it at level 0."""
    ode = SEEDSScheduler.from_config(
        on_taus(name, options={"level": 0.5}).config, method="ddim", eta=0.0, options=None
    )
    ode.set_timesteps(sigmas=TAUS)
    x = expected = normals(2, 3)
    for tau, after in zip(TAUS, [*TAUS[1:], 0.0], strict=True):
        expected = expected + (after - tau) * network(expected, torch.full((2,), 1000 * tau))
    torch.testing.assert_close(run(ode, x)[0][-1], expected, rtol=1e-5, atol=1e-5)


def test_a_plan_is_made_once_a_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are taken one by one: none makes the plan anew, or looks its numbers up by comparing them."""
    made: list[Any] = []
    monkeypatch.setattr(
        "seeds_theory.diffusers.plan_of", lambda *given: made.append(0) or plan_of(*given)
    )
    monkeypatch.setattr(
        "seeds_theory.diffusers.chain_of", lambda plan: made.append(1) or chain_of(plan)
    )
    scheduler, x = on_taus("seeds-1"), normals(2, 3)
    for _ in range(3):
        sde_step_with_logprob(scheduler, x, scheduler.timesteps[:2], x)
        assert scheduler.plan is scheduler.plan and made == [0, 1]
    scheduler.set_timesteps(sigmas=[0.8, 0.5, 0.1])
    expected = scheduler_of("seeds-1")
    expected.set_timesteps(sigmas=[0.8, 0.5, 0.1])
    for one in (scheduler, expected):
        one.noise = SeededNoise([1, 2])
    found = [sde_step_with_logprob(s, x, s.timesteps[0], x)[:2] for s in (scheduler, expected)]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert made == [0, 1, 0, 1, 0, 1]


def test_what_the_pipeline_cannot_see_is_recorded_by_rollout() -> None:
    scheduler, x = on_taus("seeds-2m"), normals(2, 3)
    denoiser = scheduler.denoiser(network)
    record = rollout(denoiser, x, scheduler.plan, SeededNoise(range(2)))
    assert torch.equal(log_prob(denoiser, record), record.log_prob)
    scheduler.noise = SeededNoise(range(2))
    torch.testing.assert_close(record.x, run(scheduler, x)[0][-1], rtol=1e-9, atol=1e-12)


def test_a_run_that_was_not_recorded_whole_has_no_record() -> None:
    scheduler, x = on_taus("seeds-1"), normals(2, 3)
    run(scheduler, x)
    with pytest.raises(DensityError, match="log_prob='sum' or 'mean'"):
        _ = scheduler.record
    scheduler = on_taus("seeds-1", log_prob="sum")
    times = scheduler.timesteps
    y = scheduler.step(x, times[0], x).prev_sample
    with pytest.raises(DensityError, match="of a whole run"):
        _ = scheduler.record
    with pytest.raises(DensityError, match="changed between two calls"):
        scheduler.step(x, times[1], y + 1)
    assert (
        scheduler.step(x, times[1], y).log_prob is not None
    )  # a call that was refused is made again
    with pytest.raises(DenoiserError, match="at other levels than 7"):
        scheduler.denoiser(network)(x, 7.0)
    for wrong in ("plan", "denoiser"):
        with pytest.raises(ParameterError, match="call set_timesteps first"):
            fresh = SEEDSScheduler()
            _ = fresh.plan if wrong == "plan" else fresh.denoiser(network)


# ----------------------------------------------------------------------------- by the audit's own check


def on_times(name: str) -> Callable[[Tensor], SEEDSScheduler]:
    """Schedulers whose first step is between two times of a flow."""

    def made(times: Tensor) -> SEEDSScheduler:
        scheduler = scheduler_of(name)
        scheduler.set_timesteps(sigmas=times.tolist())
        return scheduler

    return made


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("name", ONE_CALL)
def test_the_audit_of_densities_finds_nothing(name: str, reduction: Literal["sum", "mean"]) -> None:
    step = trainer_step(sde_step_with_logprob, on_times(name), reduction=reduction)
    assert_density(step, reduction=reduction, fail_on="note", draws=512)


def test_the_audit_finds_a_density_of_ours_that_was_changed() -> None:
    def step(*args: Any, **options: Any) -> tuple[Tensor, Tensor]:
        action, density, mean, deviation = sde_step_with_logprob(*args, reduction="sum", **options)
        return action, density + ((action - mean) ** 2 / (8 * deviation**2)).flatten(1).sum(1)

    with pytest.raises(AssertionError, match=r"squares count 0\.7\d+ times"):
        assert_density(trainer_step(step, on_times("seeds-1")), draws=512)


# -------------------------------------------------------------------------------------- joined plans


def test_joined_plans_are_run_one_after_another() -> None:
    first, second = make_plan("seeds-1", [3.0, 1.5]), Solver("ddim").on([1.5, 0.7, 0.0], 1.0)
    joined = JoinedPlan("both", (first, second), flow_alpha)
    assert joined.sigmas == (3.0, 1.5, 0.7, 0.0)

    def denoiser(y: Tensor, sigma: float) -> Tensor:
        return torch.sin(y) + 0.1 * sigma

    y, source = normals(2, 3), SeededNoise(range(2))
    expected = second(denoiser, follow(denoiser, y, first, source), source)
    seen: list[tuple[int, float]] = []
    found = joined(
        lambda x, sigma: denoiser(x / flow_alpha(sigma), sigma),
        flow_alpha(3.0) * y,
        SeededNoise(range(2)),
        callback=lambda step: seen.append((step.index, step.sigma)),
    )
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert seen == [(0, 3.0), (1, 1.5), (2, 0.7)]
    with pytest.raises(ParameterError, match="starts where the one before it ends"):
        JoinedPlan("both", (second, first), flow_alpha)
    with pytest.raises(ParameterError, match="one or more"):
        JoinedPlan("none", (), flow_alpha)

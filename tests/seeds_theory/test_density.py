"""The density of a run's steps: it belongs to the step, to any model, and is refused where there is none."""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from with_density import SINGULAR, WITH_DENSITY

from seeds_theory import (
    DenoiserError,
    DensityError,
    GeneratorNoise,
    ParameterError,
    Plan,
    SeededNoise,
    chain,
    density,
    follow,
    kl,
    log_prob,
    make_plan,
    require_repeatable,
    rollout,
)
from seeds_theory.chain import chain_of
from seeds_theory.density import Record
from seeds_theory.solver import Solver
from toy_models.gaussian import Gaussian
from toy_models.response import probe

GRID = [3.0, 2.0, 1.2, 0.7, 0.3, 0.0]


def plan_of(name: str, grid: Any = GRID, eta: Any = 1.0) -> Any:
    return Solver(name).on(grid, eta)


class Model:
    """A curved denoiser with one parameter."""

    def __init__(self, theta: float | Tensor = 0.5) -> None:
        self.theta, self.calls = theta, 0

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.calls += 1
        return torch.sin(x + self.theta).to(x) / (1 + min(sigma, 10.0) ** 2) + self.theta * 0.2


def start(batch: int, *event: int, dtype: torch.dtype = torch.float64) -> Tensor:
    draws = torch.randn(
        batch, *event, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    return (GRID[0] * draws).to(dtype)


def within_four_errors(values: Tensor, expected: float) -> bool:
    error = float(values.std(0).max()) / math.sqrt(len(values))
    return bool(
        ((values.mean(0) - expected).abs() <= 4 * values.std(0) / math.sqrt(len(values))).all()
    ) and (error < 0.05)


# ----------------------------------------------------------------------------- it belongs to its step


@pytest.mark.parametrize("name", WITH_DENSITY)
def test_the_run_is_the_same_and_the_density_is_that_of_its_denoiser(name: str) -> None:
    model, plan = Model(), plan_of(name)
    record = rollout(model, start(3, 2), plan, SeededNoise(range(3)))
    calls = model.calls
    alone = Model()
    end = Solver(name)(alone, start(3, 2), GRID, SeededNoise(range(3)), eta=1.0)
    assert torch.equal(record.x, end) and calls == alone.calls
    assert record.steps == (0, 1, 2, 3) and record.log_prob.shape == (3, 4)
    again = log_prob(Model(), record)
    assert torch.equal(again, record.log_prob)
    assert float(kl(Model(), Model(), record).abs().max()) == 0
    mean = log_prob(Model(), record, reduction="mean")
    torch.testing.assert_close(mean, again / 2, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("eta", [1.0, [1, 0.4, 0, 2, 1]], ids=["1", "along"])
@pytest.mark.parametrize("name", WITH_DENSITY)
def test_the_ratio_of_two_models_has_mean_1_and_the_score_mean_0(name: str, eta: Any) -> None:
    if name == "ddpm" and eta != 1.0:
        pytest.skip("ddpm has eta = 1 only")
    plan, theta, step = plan_of(name, eta=eta), 0.5, 1e-4
    noise = GeneratorNoise(torch.Generator().manual_seed(3))
    record = rollout(Model(theta), start(20_000, 1), plan, noise)
    other = log_prob(Model(theta + 0.03), record)
    steps = (other - record.log_prob).exp()
    assert within_four_errors(steps, 1.0)
    assert within_four_errors((other - record.log_prob).sum(1, keepdim=True).exp(), 1.0)
    up, down = (log_prob(Model(theta + sign * step), record) for sign in (1, -1))
    score = (up - down) / (2 * step)
    assert within_four_errors(score / score.std(0), 0.0)


def squares_over_number(name: str) -> Tensor:
    """Of each step, the sum of its innovations' squares over their number: (runs, steps)."""
    noise = GeneratorNoise(torch.Generator().manual_seed(3))
    record = rollout(Model(), start(20_000, 1), plan_of(name), noise)
    blocks = [chain_of(record.plan).blocks[number] for number in record.steps]
    numbers = torch.tensor([len(block.targets) for block in blocks])
    determinants = torch.tensor([block.log_determinant for block in blocks], dtype=torch.float64)
    constants = determinants + numbers / 2 * math.log(2 * math.pi)
    return -2 * (record.log_prob + constants) / numbers


@pytest.mark.parametrize("name", WITH_DENSITY)
def test_innovations_are_standard_normals(name: str) -> None:
    found = squares_over_number(name)
    assert within_four_errors(found, 1.0)


@pytest.mark.parametrize("name", WITH_DENSITY)
def test_a_factor_that_is_wrong_by_three_hundredths_is_noticed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = chain._block

    def wrong(*parts: Any) -> Any:
        right = block(*parts)
        return replace(right, factor=tuple((*row[:-1], 1.03 * row[-1]) for row in right.factor))

    monkeypatch.setattr(chain, "_block", wrong)
    chain._made.cache_clear()
    try:
        assert not within_four_errors(squares_over_number(name), 1.0)
    finally:
        chain._made.cache_clear()


@pytest.mark.parametrize("name", ["seeds-1", "ddim", "euler-maruyama", "er-sde-1"])
def test_a_step_of_one_stage_is_a_normal_distribution(name: str) -> None:
    model, sigma, sigma_next = Model(), 2.0, 0.7
    plan, x = plan_of(name, [sigma, sigma_next]), start(4, 3)
    record = rollout(model, x, plan, SeededNoise(range(4)))
    solver = Solver(name)

    def drawing(value: float) -> Tensor:
        return solver(
            model,
            x,
            [sigma, sigma_next],
            lambda i, like: like.new_full((1, *like.shape), value),
            eta=1.0,
        )

    mean, deviation = drawing(0.0), drawing(1.0) - drawing(0.0)
    expected = torch.distributions.Normal(mean, deviation).log_prob(record.x).sum(1)
    torch.testing.assert_close(record.log_prob[:, 0], expected, rtol=1e-12, atol=1e-10)
    other = Model(0.7)
    shift = mean - solver(
        other, x, [sigma, sigma_next], lambda i, like: like.new_zeros((1, *like.shape)), eta=1.0
    )
    expected = (shift / deviation).square().sum(1) / 2
    torch.testing.assert_close(kl(model, other, record)[:, 0], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("prediction", ["data", "noise"])
@pytest.mark.parametrize("name", ["seeds-2", "seeds-3", "seeds-3b"])
def test_a_step_with_stages_has_the_joint_law_of_its_noises(name: str, prediction: str) -> None:
    plan = make_plan(name, [2.0, 0.7], prediction=prediction)
    model, (step,) = Model(), plan.steps
    record = rollout(model, start(4, 1), plan, SeededNoise(range(4)))
    # The states of its rows, with the noise of none: the means given the states before.
    states = [state[:, 0] for state in record.states[2:]]
    called = [record.states[1], *record.states[2 : 1 + len(step.rows)]]
    integrands = [
        ((model(state, level) - skip * state) / out)[:, 0]
        for state, level, (skip, out) in zip(called, step.levels, step.integrands, strict=True)
    ]
    noises = torch.stack(
        [
            state
            - row.state * record.states[0][:, 0]
            - sum(w * f for w, f in zip(row.drift, integrands, strict=False))
            for state, row in zip(states, step.rows, strict=True)
        ],
        dim=1,
    )
    width = len(step.intervals)
    factor = torch.tensor(
        [(*row.noise, *[0.0] * width)[:width] for row in step.rows], dtype=torch.float64
    )
    law = torch.distributions.MultivariateNormal(
        torch.zeros(len(factor)).double(), factor @ factor.T
    )
    torch.testing.assert_close(record.log_prob[:, 0], law.log_prob(noises), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "grid"),
    [("seeds-1", [2.0, 1.0, 0.4]), ("seeds-2", [2.0, 0.4]), ("seeds-2s", [2.0, 0.4])],
)
def test_on_gaussian_data_it_integrates_to_the_law_of_the_end(name: str, grid: list[float]) -> None:
    """Two states of which one is integrated out, in one dimension, by the trapezoidal rule."""
    gaussian = Gaussian(torch.tensor([0.3]).double(), torch.tensor([0.5]).double())
    plan = make_plan(name, grid)
    response = probe(lambda denoiser, x, noise: follow(denoiser, x, plan, noise), gaussian)
    x, end = 1.3, 0.9
    mean = response.offset + response.gain * x
    law = torch.distributions.Normal(mean, response.weights.square().sum().sqrt())
    expected = law.log_prob(torch.full_like(mean, end)).exp()
    inner = torch.linspace(-12, 12, 4001, dtype=torch.float64)[:, None]
    record = rollout(gaussian, torch.full_like(inner, x), plan)
    fixed = {0: torch.full_like(inner, x), len(record.states) - 1: torch.full_like(inner, end)}
    same = chain_of(plan).same
    states = tuple(fixed.get(same[n], inner) for n in range(len(record.states)))
    density = log_prob(gaussian, replace(record, states=states)).sum(1).exp()
    assert float(torch.trapezoid(density, inner[:, 0])) == pytest.approx(float(expected), rel=1e-9)


# ---------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("name", ["seeds-1", "seeds-2", "seeds-3s", "seeds-2m", "sa-solver"])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    record = rollout(Model(0.4), start(3, 2), plan_of(name), SeededNoise(range(3)))
    gradients = []
    for checkpointing in (True, False):
        theta = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
        log_prob(Model(theta), record, checkpointing=checkpointing).sum().backward()
        assert theta.grad is not None
        gradients.append(float(theta.grad))
    up, down = (float(log_prob(Model(0.5 + e), record).sum()) for e in (1e-5, -1e-5))
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-12)
    assert gradients[0] == pytest.approx((up - down) / 2e-5, rel=1e-7)
    theta = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    kl(Model(theta), Model(0.4), record).sum().backward()
    assert theta.grad is not None and float(theta.grad) != 0


@pytest.mark.parametrize("name", ["seeds-2", "seeds-2m"])
def test_chosen_steps_call_the_model_where_they_need_it(name: str) -> None:
    record = rollout(Model(), start(3, 2), plan_of(name), SeededNoise(range(3)))
    model = Model()
    chosen = log_prob(model, record, steps=[2])
    assert torch.equal(chosen, record.log_prob[:, [2]])
    assert model.calls == (2 if name == "seeds-2" else 4)
    backwards = log_prob(Model(), record, steps=[3, 0])
    assert torch.equal(backwards, record.log_prob[:, [3, 0]])


def test_a_network_keeps_one_step_at_a_time() -> None:
    """The tensors that autograd holds between the passes: with checkpoints, none of the network's."""
    record = rollout(Model(), start(3, 500), plan_of("seeds-1", [3.0, 2, 1, 0.5, 0.2, 0.1]))
    held = []
    for checkpointing in (True, False):
        sizes: list[int] = []

        def pack(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())  # noqa: B023
            return tensor

        theta = torch.zeros(500, dtype=torch.float64, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            value = log_prob(Model(theta), record, checkpointing=checkpointing).sum()
        held.append(sum(sizes))
        value.backward()
    assert held[0] < 0.1 * held[1]


def test_dropout_is_the_same_in_the_backward_pass_of_a_checkpoint() -> None:
    record = rollout(Model(), start(3, 2), plan_of("seeds-2"), SeededNoise(range(3)))
    weight = torch.ones(2, dtype=torch.float64, requires_grad=True)

    def dropping(x: Tensor, sigma: float) -> Tensor:
        return torch.nn.functional.dropout(weight * x, 0.5)

    gradients = []
    for checkpointing in (True, False):
        torch.manual_seed(0)
        value = log_prob(dropping, record, checkpointing=checkpointing).sum()
        gradients.append(torch.autograd.grad(value, weight)[0])
    assert torch.equal(*gradients)


def test_a_checkpoint_is_given_the_states_whose_devices_draw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Torch keeps the random numbers of the devices of a checkpoint's arguments, and of no others."""
    record = rollout(Model(), start(3, 2), plan_of("seeds-2m"), SeededNoise(range(3)))
    found: list[int] = []

    def looked_at(function: Any, *arguments: Any, **options: Any) -> Any:
        torch.utils._pytree.tree_map_only(Tensor, lambda t: found.append(id(t)), arguments)
        return checkpoint(function, *arguments, **options)

    monkeypatch.setattr(density, "checkpoint", looked_at)
    called: list[int] = []

    def model(x: Tensor, sigma: float) -> Tensor:
        called.append(id(x))
        return Model()(x, sigma)

    log_prob(model, record)
    assert called and set(called) <= set(found)


# ------------------------------------------------------------------------------- records and batches


@pytest.mark.parametrize("shape", [(3,), (0, 2), (1, 2), (2, 0), (2, 3, 0)])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_states_of_any_shape(shape: tuple[int, ...], reduction: Any) -> None:
    plan = plan_of("seeds-2")
    record = rollout(Model(), start(*shape), plan, reduction=reduction)
    assert record.log_prob.shape == (shape[0], 4) and record.log_prob.isfinite().all()
    require_repeatable(Model(), record)
    divergence = kl(Model(), Model(0.7), record)
    assert divergence.shape == (shape[0], 4) and divergence.isfinite().all()


def test_states_of_numbers_are_states_of_one_element() -> None:
    plan, x = plan_of("seeds-2"), start(3, 1)
    flat = rollout(Model(), x[:, 0], plan, GeneratorNoise(torch.Generator().manual_seed(1)))
    record = rollout(Model(), x, plan, GeneratorNoise(torch.Generator().manual_seed(1)))
    assert torch.equal(flat.log_prob, record.log_prob)


def test_a_record_has_no_gradients_of_what_made_its_start() -> None:
    x = start(3, 2).requires_grad_()
    record = rollout(Model(), x, plan_of("seeds-2"), SeededNoise(range(3)))
    assert not any(state.requires_grad for state in record.states)
    assert not log_prob(Model(), record).requires_grad


def test_a_record_of_inference_is_trained_on() -> None:
    weight = torch.ones(2, dtype=torch.float64, requires_grad=True)
    with torch.inference_mode():
        x = start(3, 2)
        record = rollout(lambda x, s: weight * x, x, plan_of("seeds-2m"), SeededNoise(range(3)))
    log_prob(lambda x, s: weight * x, record).sum().backward()
    assert weight.grad is not None and weight.grad.isfinite().all()


def test_a_part_of_a_record_is_the_record_of_that_part() -> None:
    record = rollout(Model(), start(4, 2), plan_of("seeds-2m"), SeededNoise(range(4)))
    part = record.mapped(lambda values: values[1:3])
    assert torch.equal(part.log_prob, record.log_prob[1:3])
    torch.testing.assert_close(log_prob(Model(), part), part.log_prob, rtol=1e-12, atol=1e-12)
    assert len({id(state) for state in part.states}) == len({id(state) for state in record.states})
    assert record == record and record != part
    meta = record.mapped(lambda values: values.to("meta"))
    assert {state.device.type for state in (*meta.states, meta.log_prob)} == {"meta"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["seeds-2", "ddim"])
def test_a_record_goes_to_another_process(name: str, tmp_path: Path) -> None:
    record = rollout(Model(), start(2, 1), plan_of(name), SeededNoise([1, 2]))
    file = tmp_path / "record"
    file.write_bytes(pickle.dumps(record))
    there = (
        "import pickle, sys; from dataclasses import replace; "
        "record = pickle.load(open(sys.argv[1], 'rb')); replace(record, states=record.states)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", there, str(file)], check=True, env=environment)


@pytest.mark.parametrize("eta", [np.array([1, 0.5, 0, 1, 1]), torch.ones(5), lambda s: 1 / s])
def test_a_baseline_with_an_eta_of_any_kind_is_a_plan(eta: Any) -> None:
    plans = [plan_of("ddim", eta=eta), Solver("ddim", {"eta": eta}).on(GRID)]
    assert plans[0] == plans[1]
    first, second = (rollout(Model(), start(2, 1), p, SeededNoise([1, 2])) for p in plans)
    assert torch.equal(first.log_prob, second.log_prob)
    pickle.loads(pickle.dumps(plans[0]))


# ------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("name", SINGULAR)
def test_a_step_with_more_states_than_noises_is_refused(name: str) -> None:
    with pytest.raises(
        DensityError, match="fewer independent noises, so no density: take a method"
    ):
        rollout(Model(), start(2, 1), plan_of(name))


def test_a_node_at_the_end_has_the_noise_of_the_end() -> None:
    with pytest.raises(DensityError, match="'seeds-2@1' has 2 states and fewer independent noises"):
        rollout(Model(), start(2, 1), plan_of("seeds-2@1"))


def test_steps_without_noise_are_left_out_and_refused_when_asked_for() -> None:
    record = rollout(Model(), start(2, 1), plan_of("seeds-2", eta="1:0.7-2"), SeededNoise([1, 2]))
    assert record.steps == (1, 2) and record.log_prob.shape == (2, 2)
    for step in (0, 3, 4):
        with pytest.raises(
            DensityError, match=f"step {step} of 'seeds-2' has no noise.*record.steps"
        ):
            log_prob(Model(), record, steps=[step])
    with pytest.raises(DensityError, match="steps of this record are 0 to 4; got 7"):
        kl(Model(), Model(), record, steps=[7])
    for steps in ([], 2, [1.0], ["a"], [None]):
        with pytest.raises(DensityError, match="steps are one or more whole numbers, from 0 to 4"):
            log_prob(Model(), record, steps=steps)  # type: ignore[arg-type]
    for name, eta in (("seeds-2", 0.0), ("euler", None), ("restart", 1.0)):
        with pytest.raises(DensityError, match="choose an eta above 0"):
            rollout(Model(), start(2, 1), plan_of(name, eta=eta))
    with pytest.raises(DensityError, match="choose an eta above 0"):
        rollout(Model(), start(2, 1), make_plan("seeds-1", [1.0, 0.0]))


def test_a_record_of_another_plan_is_refused() -> None:
    record = rollout(Model(), start(2, 1), plan_of("seeds-2"), SeededNoise([1, 2]))
    others = [
        plan_of("seeds-3"),
        plan_of("seeds-2", [g + 0.1 for g in GRID]),
        plan_of("seeds-2", eta=0.5),
    ]
    for other in others:
        with pytest.raises(DensityError, match="a record belongs to the plan of its run"):
            replace(record, plan=other)
    with pytest.raises(DensityError, match="a record belongs"):
        replace(record, states=record.states[:-1])
    with pytest.raises(DensityError, match="a record belongs"):
        replace(record, states=(*record.states[:-1], record.x.float()))


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (
            lambda r: rollout(Model(), start(2, 1), "seeds-2"),
            ParameterError,
            "a plan comes from make_plan",
        ),
        (
            lambda r: rollout(Model(), start(2, 1), r.plan, reduction="max"),
            ParameterError,
            "'sum' or 'mean'",
        ),
        (lambda r: rollout(3, start(2, 1), r.plan), ParameterError, "a denoiser is a function"),
        (
            lambda r: rollout(Model(), "x", r.plan),
            ParameterError,
            "states are a floating-point tensor",
        ),
        (lambda r: log_prob(Model(), r.states), ParameterError, "a record comes from rollout"),
        (lambda r: log_prob(3, r), ParameterError, "a denoiser is a function"),
        (lambda r: log_prob(lambda x, s: x[:1], r), DenoiserError, "a denoiser returns"),
        (lambda r: log_prob(Model(), r, reduction="no"), ParameterError, "'sum' or 'mean'"),
    ],
)
def test_what_is_no_run_is_refused(
    call: Callable[[Record], Any], error: type[Exception], says: str
) -> None:
    record = rollout(Model(), start(2, 1), plan_of("seeds-2"), SeededNoise([1, 2]))
    with pytest.raises(error, match=says):
        call(record)


def test_a_denoiser_that_changes_is_found() -> None:
    record = rollout(Model(), start(2, 3), plan_of("seeds-2"), SeededNoise([1, 2]))
    require_repeatable(Model(), record)
    with pytest.raises(DenoiserError, match=r"log-densities differ by .*: turn off dropout"):
        require_repeatable(lambda x, sigma: torch.nn.functional.dropout(Model()(x, sigma)), record)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_denoiser_that_changes_is_found_however_its_densities_are_reduced(
    reduction: Any,
) -> None:
    """Per element log-densities differ by less than 0.01 here, and by tens in all."""
    noise = SeededNoise([1, 2])
    record = rollout(Model(), start(2, 3, 64, 64), plan_of("seeds-1"), noise, reduction=reduction)
    require_repeatable(Model(), record)
    means = (log_prob(Model(0.501), record) - record.log_prob).abs() / (
        1 if reduction == "mean" else 3 * 64 * 64
    )
    assert float(means.max()) < 0.01
    with pytest.raises(DenoiserError, match="log-densities differ by"):
        require_repeatable(Model(0.501), record)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_densities_are_float64_for_states_of_any_type(dtype: torch.dtype) -> None:
    for name in ("seeds-1", "seeds-3", "seeds-2m"):
        record = rollout(Model(), start(2, 64, dtype=dtype), plan_of(name), SeededNoise([1, 2]))
        assert record.x.dtype == dtype and record.log_prob.dtype == torch.float64
        assert record.log_prob.isfinite().all()
        require_repeatable(Model(), record, within=1e-9)
        exact = rollout(Model(), start(2, 64), plan_of(name), SeededNoise([1, 2]))
        digits = {torch.float32: 1e-3, torch.float16: 10.0, torch.bfloat16: 60.0}[dtype]
        assert float((record.log_prob - exact.log_prob).abs().max()) < digits


def test_a_run_from_an_infinite_level_has_a_density_from_its_first_step() -> None:
    plan = make_plan("seeds-2", [math.inf, *GRID])
    assert isinstance(plan, Plan)
    record = rollout(Model(), start(2, 1) / GRID[0], plan, SeededNoise([1, 2]))
    assert record.steps == (0, 1, 2, 3, 4)
    scaled = rollout(Model(), start(2, 1) / GRID[0], plan.scaled(lambda s: 1 / (1 + s)))
    assert scaled.log_prob.isfinite().all()


def test_states_that_are_one_are_one_tensor() -> None:
    record = rollout(Model(), start(2, 1), plan_of("seeds-2"), SeededNoise([1, 2]))
    same = chain_of(record.plan).same
    assert all(record.states[n] is record.states[k] for n, k in enumerate(same))
    assert len({id(state) for state in record.states}) == 1 + record.plan.nfe  # type: ignore[union-attr]
    changed: list[Tensor] = []

    def change(values: Tensor) -> Tensor:
        changed.append(values)
        return values.clone()

    other = record.mapped(change)
    assert len(changed) == 1 + record.plan.nfe + 1  # type: ignore[union-attr]  # states, and the densities
    assert all(other.states[n] is other.states[k] for n, k in enumerate(same))

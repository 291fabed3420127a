"""The loop: what it computes, what it leaves alone, what it reports and what it refuses."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from seeds_theory.denoiser import NetworkDenoiser
from seeds_theory.errors import DenoiserError, NoiseError, SeedsError
from seeds_theory.grids import rho_grid, time_grid, uniform_log_snr
from seeds_theory.loop import StepInfo, follow
from seeds_theory.methods import METHODS, method
from seeds_theory.plan import make_plan
from seeds_theory.schedule import RectifiedFlow
from seeds_theory.sources import GeneratorNoise, InjectedNoise, SeededNoise
from toy_models.gaussian import Gaussian

GRID = [9.0, 3.0, 1.0, 0.2]
every_form = pytest.mark.parametrize(
    ("name", "prediction"), [(name, form) for name in METHODS for form in method(name).predictions]
)
MODEL = Gaussian(torch.tensor([0.3, -1.0]), torch.tensor([0.25, 2.0]))


def curved(x: Tensor, sigma: float) -> Tensor:
    """A denoiser that is not linear: data at -1 and 1."""
    return torch.tanh(x / sigma**2)


def start(batch: int = 4, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return (9 * torch.randn(batch, 2, dtype=torch.float64, generator=generator)).to(dtype)


def normals(count: int, like: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(count, *like.shape, dtype=torch.float64, generator=generator)


# -------------------------------------------------------------------------- what a reader would write


def seeds_2_data(x: Tensor, sigmas: list[float], z: Tensor) -> Tensor:
    """SEEDS-2 in data prediction, c2 = 1/2, eta = 1, in the frame alpha = 1."""
    for n, (s, t) in enumerate(itertools.pairwise(sigmas)):
        h, m = math.log(s / t), math.sqrt(s * t)
        d = curved(x, s)
        w = m * math.sqrt(-math.expm1(-h)) * z[2 * n]
        u = math.exp(-h) * x - math.expm1(-h) * d + w
        d_2 = curved(u, m)
        w = t * (math.exp(-h / 2) * w / m + math.sqrt(-math.expm1(-h)) * z[2 * n + 1])
        x = math.exp(-2 * h) * x - math.expm1(-2 * h) * (d + (d_2 - d)) + w
    return x


def seeds_2_noise(x: Tensor, sigmas: list[float], z: Tensor) -> Tensor:
    """SEEDS-2 in noise prediction: eps = (x - D) / sigma."""
    for n, (s, t) in enumerate(itertools.pairwise(sigmas)):
        h, m = math.log(s / t), math.sqrt(s * t)
        e = (x - curved(x, s)) / s
        w = m * math.sqrt(math.expm1(h)) * z[2 * n]
        u = x - 2 * m * math.expm1(h / 2) * e + w
        e_2 = (u - curved(u, m)) / m
        w = t * (math.exp(h / 2) * w / m + math.sqrt(math.expm1(h)) * z[2 * n + 1])
        x = x - 2 * t * math.expm1(h) * (e + (e_2 - e)) + w
    return x


@pytest.mark.parametrize(
    ("prediction", "by_hand"), [("data", seeds_2_data), ("noise", seeds_2_noise)]
)
def test_the_loop_is_the_ten_lines_a_reader_would_write(prediction: str, by_hand) -> None:
    plan, x = make_plan("seeds-2", GRID, prediction=prediction), start()
    z = normals(plan.normals, x)
    found, expected = follow(curved, x, plan, InjectedNoise(z)), by_hand(x, GRID, z)
    assert float((found - expected).abs().max() / expected.abs().max()) <= 1e-13


def test_ending_at_zero_returns_the_last_denoised_state() -> None:
    x = start()
    short, whole = make_plan("seeds-2", GRID), make_plan("seeds-2", [*GRID, 0.0])
    z = normals(short.normals, x)
    before = follow(curved, x, short, InjectedNoise(z))
    assert torch.equal(follow(curved, x, whole, InjectedNoise(z)), curved(before, GRID[-1]))


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_starting_at_infinity(eta: float) -> None:
    """Unit noise in; the first step is y = D(x, inf) + sigma z, with z the unit noise at eta = 0."""
    x = start() / 9
    plan = make_plan("seeds-1", [math.inf, 4.0], eta=eta)
    z = normals(1, x)
    expected = MODEL.mean + 4.0 * (z[0] if eta else x)
    torch.testing.assert_close(
        follow(MODEL, x, plan, InjectedNoise(z)), expected, rtol=1e-15, atol=0
    )


def test_a_flow_network_is_sampled_from_pure_noise() -> None:
    """Rectified flow of a Gaussian, from t = 1: eta = 0 must follow the exact transport map."""
    schedule = RectifiedFlow()

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        time = float(t[0])
        if time == 1:
            return x - MODEL.mean
        denoised = MODEL(x / (1 - time), time / (1 - time))
        return (x - (1 - time) * denoised) / time - denoised

    plan = make_plan("seeds-3", time_grid(schedule, 400, t_min=1e-2), eta=0.0)
    x = start() / 9
    found = follow(NetworkDenoiser(velocity, schedule, "flow"), x, plan)
    end = plan.sigmas[-1]
    exact = MODEL.mean + (MODEL.variances + end**2).sqrt() * x
    # The first step is of order 1, in 1/sigma_1 = 1/399 squared; the rest is of order 3.
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("name", "order"), [("seeds-1", 1), ("seeds-2", 2), ("seeds-3", 3)])
@pytest.mark.parametrize("prediction", ["data", "noise"])
def test_the_ode_is_solved_to_the_declared_order(name: str, order: int, prediction: str) -> None:
    x = start()
    exact = MODEL.mean + ((MODEL.variances + 0.04) / (MODEL.variances + 81)).sqrt() * (
        x - MODEL.mean
    )
    errors = []
    for steps in (80, 160):
        plan = make_plan(name, uniform_log_snr(9.0, 0.2, steps), eta=0.0, prediction=prediction)
        errors.append(float((follow(MODEL, x, plan) - exact).abs().max()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)


# --------------------------------------------------------------------------- what it leaves alone


@every_form
def test_inputs_are_not_changed(name: str, prediction: str) -> None:
    plan, x = make_plan(name, [*GRID, 0.0], prediction=prediction), start()
    z = normals(plan.normals, x)
    copies = x.clone(), z.clone()
    seen = []

    def model(state: Tensor, sigma: float) -> Tensor:
        estimate = curved(state, sigma)
        seen.append((state, state.clone(), estimate, estimate.clone()))
        return estimate

    found = follow(model, x, plan, InjectedNoise(z))
    assert torch.equal(x, copies[0])
    assert torch.equal(z, copies[1])
    for state, state_then, estimate, estimate_then in seen:
        assert torch.equal(state, state_then)
        assert torch.equal(estimate, estimate_then)
    assert found.data_ptr() not in {x.data_ptr(), *(row.data_ptr() for row in z)}


def test_a_model_that_returns_its_own_input_is_harmless() -> None:
    x = start()
    copy = x.clone()
    plan = make_plan("seeds-2", [*GRID, 0.0], eta=0.0)
    found = follow(lambda state, sigma: state, x, plan)
    assert torch.equal(x, copy)
    torch.testing.assert_close(found, x, rtol=1e-13, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@every_form
def test_dtype_is_kept_and_only_costs_its_rounding(
    name: str, prediction: str, dtype: torch.dtype
) -> None:
    plan, x = make_plan(name, [3.0, 1.0, 0.2], prediction=prediction), start() / 3
    z = normals(plan.normals, x)
    seen = []

    def model(state: Tensor, sigma: float) -> Tensor:
        seen.append(state.dtype)
        return MODEL(state, sigma)

    exact = follow(MODEL, x, plan, InjectedNoise(z))
    found = follow(model, x.to(dtype), plan, InjectedNoise(z))
    assert found.dtype == dtype
    assert set(seen) == {dtype}
    # A dozen roundings a step, of states up to 10, amplified by noise prediction's 1/sigma.
    bound = 500 * torch.finfo(dtype).eps
    assert float((found.double() - exact).abs().max()) <= bound


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 2, 4, 4), (0, 2)])
def test_any_event_shape(shape: tuple[int, ...], eta: float) -> None:
    plan = make_plan("seeds-3", [*GRID, 0.0], eta=eta)
    assert follow(curved, torch.ones(shape), plan).shape == shape


def test_a_sample_does_not_depend_on_its_batch() -> None:
    plan, x = make_plan("seeds-3", GRID), start(8)
    z = normals(plan.normals, x)
    whole = follow(curved, x, plan, InjectedNoise(z))
    for i in (0, 3, 7):
        part = slice(i, i + 1)
        assert torch.equal(follow(curved, x[part], plan, InjectedNoise(z[:, part])), whole[part])


def test_a_permuted_batch_gives_permuted_samples() -> None:
    plan, x = make_plan("seeds-2", GRID, prediction="noise"), start(8)
    z, order = (
        normals(plan.normals, x),
        torch.randperm(8, generator=torch.Generator().manual_seed(0)),
    )
    whole = follow(curved, x, plan, InjectedNoise(z))
    found = follow(curved, x[order], plan, InjectedNoise(z[:, order]))
    assert torch.equal(found, whole[order])


@pytest.mark.parametrize("name", METHODS)
def test_the_ode_is_deterministic_and_asks_no_source(name: str) -> None:
    plan, x = make_plan(name, [*GRID, 0.0], eta=0.0), start()

    def source(intervals, like: Tensor) -> Tensor:
        raise AssertionError("the ODE needs no noise")

    state = torch.get_rng_state()
    first = follow(curved, x, plan, source)
    assert torch.equal(follow(curved, x, plan), first)
    assert torch.equal(torch.get_rng_state(), state)


# --------------------------------------------------------------------------------- what it reports


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_the_model_is_called_as_often_as_the_plan_says(name: str, eta: float) -> None:
    plan = make_plan(name, rho_grid(9.0, 0.2, 5, to_zero=True), eta=eta)
    levels = []

    def model(x: Tensor, sigma: float) -> Tensor:
        levels.append(sigma)
        return curved(x, sigma)

    follow(model, start(), plan)
    expected = [
        level
        for step in plan.steps
        for level in (step.sigma, *(row.sigma for row in step.rows[:-1]))
    ]
    assert levels == expected
    assert len(levels) == plan.nfe
    assert all(type(level) is float for level in levels)


def test_the_callback_sees_every_step_in_order() -> None:
    plan, x = make_plan("seeds-2", [*GRID, 0.0]), start()
    infos: list[StepInfo] = []
    estimates: list[Tensor] = []
    copies: list[Tensor] = []

    def model(state: Tensor, sigma: float) -> Tensor:
        estimates.append(curved(state, sigma))
        return estimates[-1]

    def callback(info: StepInfo) -> None:
        infos.append(info)
        copies.append(info.x.clone())

    found = follow(model, x, plan, callback=callback)
    grid = [*GRID, 0.0]
    assert [info.index for info in infos] == [0, 1, 2, 3]
    assert [(info.sigma, info.sigma_next) for info in infos] == list(itertools.pairwise(grid))
    # The first of each step's two estimates, and the states as they were then.
    assert all(info.denoised is estimates[2 * info.index] for info in infos)
    assert all(torch.equal(info.x, copy) for info, copy in zip(infos, copies, strict=True))
    assert torch.equal(infos[-1].x, found)


def test_a_callback_can_stop_the_run() -> None:
    class Enough(Exception):
        pass

    def callback(info: StepInfo) -> None:
        if info.index == 1:
            raise Enough

    calls = []

    def model(x: Tensor, sigma: float) -> Tensor:
        calls.append(sigma)
        return curved(x, sigma)

    with pytest.raises(Enough):
        follow(model, start(), make_plan("seeds-1", GRID), callback=callback)
    assert len(calls) == 2


def test_the_progress_bar_is_on_stderr_and_off_by_default(capsys: pytest.CaptureFixture) -> None:
    plan = make_plan("seeds-2", GRID)
    follow(curved, start(), plan)
    assert capsys.readouterr() == ("", "")
    follow(curved, start(), plan, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "seeds-2" in err
    assert "3/3" in err


# ------------------------------------------------------------------------------------------ gradients


@every_form
def test_gradients_flow_through(name: str, prediction: str) -> None:
    plan = make_plan(name, [3.0, 1.0, 0.5], prediction=prediction)
    x = (start(2) / 3).requires_grad_()
    z = normals(plan.normals, x)
    assert torch.autograd.gradcheck(
        lambda y: follow(curved, y, plan, InjectedNoise(z), gradients=True), x
    )


def test_gradients_reach_the_parameters_of_the_model() -> None:
    scale = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    plan = make_plan("seeds-3", [3.0, 1.0, 0.5, 0.0], eta=0.0)
    model = lambda x, sigma: scale * curved(x, sigma)
    assert not follow(model, start(2), plan).requires_grad  # off by default: it costs memory
    found = follow(model, start(2), plan, gradients=True)
    found.sum().backward()
    assert scale.grad is not None
    assert scale.grad.isfinite()
    assert scale.grad != 0


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_without_gradients_the_numbers_are_the_same(guard) -> None:
    plan, x = make_plan("seeds-3", GRID), start()
    z = normals(plan.normals, x)
    recorded = x.clone().requires_grad_()
    expected = follow(curved, recorded, plan, InjectedNoise(z), gradients=True)
    with guard():
        found = follow(curved, x, plan, InjectedNoise(z), gradients=True)
    assert not found.requires_grad
    assert torch.equal(found, expected.detach())


# -------------------------------------------------------------------------------- what it refuses


@pytest.mark.parametrize(
    ("broken", "offence"),
    [
        (lambda x: x[:, :1], "(4, 1)"),
        (lambda x: x[0], "(2,)"),
        (lambda x: x.sum(), "()"),
        (lambda x: x.float(), "torch.float32"),
        (lambda x: x.long(), "torch.int64"),
        (lambda x: x.numpy(), "ndarray"),
        (lambda x: (x,), "tuple"),
        (lambda x: None, "NoneType"),
    ],
)
@pytest.mark.parametrize("call", [0, 3, 4])
def test_a_denoiser_that_breaks_the_protocol(broken, offence: str, call: int) -> None:
    plan, calls = make_plan("seeds-2", [*GRID, 0.0]), []

    def model(x: Tensor, sigma: float) -> Tensor:
        calls.append(sigma)
        return broken(x) if len(calls) == call + 1 else curved(x, sigma)

    with pytest.raises(DenoiserError) as caught:
        follow(model, start(), plan)
    assert isinstance(caught.value, SeedsError)
    assert f"step {call // 2}, sigma {calls[-1]:g}" in str(caught.value)
    assert offence in str(caught.value)
    assert len(calls) == call + 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("call", [0, 1, 4, 6])
@pytest.mark.parametrize("prediction", ["data", "noise"])
def test_a_denoiser_that_is_not_finite(value: float, call: int, prediction: str) -> None:
    """Also where the model's next call maps the infinite stage back to a finite estimate."""
    plan, calls = make_plan("seeds-2", [*GRID, 0.0], prediction=prediction), []

    def model(x: Tensor, sigma: float) -> Tensor:
        calls.append(sigma)
        estimate = curved(x, sigma)
        if len(calls) == call + 1:
            estimate[1, 0] = value
        return estimate

    with pytest.raises(DenoiserError, match=f"step {call // 2}, .*not finite"):
        follow(model, start(), plan)
    assert len(calls) <= call + 2  # no model call after that step


def test_infinities_of_both_signs_do_not_cancel() -> None:
    def model(x: Tensor, sigma: float) -> Tensor:
        estimate = torch.zeros_like(x)
        estimate[0, 0], estimate[0, 1] = math.inf, -math.inf
        return estimate

    with pytest.raises(DenoiserError, match="step 0"):
        follow(model, start(), make_plan("seeds-1", GRID))


@pytest.mark.parametrize("row", range(3))
def test_noise_that_is_not_finite_never_reaches_the_result(row: int) -> None:
    x, plan = start(), make_plan("seeds-1", GRID)
    z = normals(plan.normals, x)
    z[row, 2, 1] = math.nan
    with pytest.raises(SeedsError, match=f"step {row}"):
        follow(curved, x, plan, InjectedNoise(z))


def test_a_state_that_overflows_its_dtype_never_reaches_the_result() -> None:
    """The denoiser is finite; at eta = 0 the step from infinity multiplies by 1e6."""
    plan = make_plan("seeds-1", [math.inf, 1e6], eta=0.0)
    with pytest.raises(SeedsError, match="step 0"):
        follow(lambda x, sigma: x, torch.ones(2, 2, dtype=torch.float16), plan)


def test_large_finite_states_are_no_error() -> None:
    """Half precision: a sum over the batch exceeds the dtype's range though no state does."""
    x = torch.full((64, 2), 3e4, dtype=torch.float16)
    found = follow(lambda state, sigma: state, x, make_plan("seeds-1", [2.0, 1.0], eta=0.0))
    assert found.isfinite().all()


def test_an_initial_state_that_is_not_finite_is_reported_at_the_first_step() -> None:
    x = start()
    x[0, 0] = math.nan
    with pytest.raises(NoiseError, match=r"step 0, .*initial state"):
        follow(curved, x, make_plan("seeds-1", GRID))


@pytest.mark.parametrize(
    "x", [torch.ones(2, 2, dtype=torch.int64), torch.tensor(1.0), [[1.0, 2.0]], 3.0], ids=str
)
def test_states_are_floating_tensors(x: object) -> None:
    with pytest.raises(SeedsError):
        follow(lambda state, sigma: state, x, make_plan("seeds-1", GRID))  # type: ignore[arg-type]


def test_errors_of_the_model_itself_pass_unchanged() -> None:
    def model(x: Tensor, sigma: float) -> Tensor:
        raise KeyError("weights")

    with pytest.raises(KeyError, match="weights"):
        follow(model, start(), make_plan("seeds-1", GRID))


@pytest.mark.parametrize("seeds", [[1], [1, 2, 3], list(range(5))])
def test_seeds_of_the_wrong_number(seeds: list[int]) -> None:
    with pytest.raises(NoiseError, match=f"{len(seeds)} seeds for a batch of 4"):
        follow(curved, start(), make_plan("seeds-1", GRID), SeededNoise(seeds))


def test_two_runs_of_one_generator_differ_and_reseeding_repeats() -> None:
    plan, x = make_plan("seeds-1", GRID), start()
    generator = torch.Generator().manual_seed(0)
    first, second = (follow(curved, x, plan, GeneratorNoise(generator)) for _ in range(2))
    again = follow(curved, x, plan, GeneratorNoise(generator.manual_seed(0)))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("plan", "noise", "message"),
    [("seeds-2", None, "make_plan"), (make_plan("seeds-1", [2.0, 1.0]), 3, "SeededNoise")],
)
def test_a_name_is_no_plan_and_a_seed_no_source(plan, noise, message: str) -> None:
    with pytest.raises(SeedsError, match=message):
        follow(curved, start(), plan, noise)


@pytest.mark.parametrize("name", METHODS)
def test_any_estimate_that_is_not_finite_is_named_with_its_level(name: str) -> None:
    """Also one that the next state of its step has no weight for."""
    plan = make_plan(name, [*GRID[:3], 0.0])
    for broken in range(plan.nfe):
        levels: list[float] = []

        def model(x: Tensor, sigma: float, broken: int = broken, levels: Any = levels) -> Tensor:
            levels.append(sigma)
            return curved(x, sigma) + (math.nan if len(levels) == broken + 1 else 0.0)

        with pytest.raises(DenoiserError) as caught:
            follow(model, start(), plan)
        assert f"sigma {levels[broken]:g}: the denoiser's estimate" in str(caught.value)

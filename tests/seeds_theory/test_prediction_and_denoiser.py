"""Every parametrisation of one and the same Gaussian model gives one and the same denoiser."""

import math
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from outputs import OUTPUTS
from torch import Tensor

from seeds_theory.denoiser import EDMDenoiser, NetworkDenoiser
from seeds_theory.errors import DenoiserError, ParameterError, SeedsError, UnknownNameError
from seeds_theory.prediction import PREDICTIONS, prediction
from seeds_theory.schedule import (
    DiscreteSchedule,
    RectifiedFlow,
    Schedule,
    VarianceExploding,
    VariancePreservingCosine,
    VariancePreservingLinear,
)
from toy_models.gaussian import Gaussian

TABLE = np.cumprod(1 - np.linspace(0.03, 0.28, 50) ** 2)
ROOT = np.sqrt(TABLE)
ZERO_TERMINAL = ((ROOT - ROOT[-1]) * ROOT[0] / (ROOT[0] - ROOT[-1])) ** 2
SCHEDULES: dict[str, Schedule] = {
    "exploding": VarianceExploding(),
    "linear": VariancePreservingLinear(),
    "cosine": VariancePreservingCosine(),
    "flow": RectifiedFlow(),
    "discrete": DiscreteSchedule(TABLE),
    "discrete-zero": DiscreteSchedule(ZERO_TERMINAL),
}
MODEL = Gaussian(torch.tensor([0.3, -1.0, 0.0]), torch.tensor([0.25, 2.0, 0.01]))


def network(schedule: Schedule, predicts: str) -> Callable[[Tensor, Tensor], Tensor]:
    """MODEL as a network in the schedule's coordinates: it is told a state and a time, no more."""

    def evaluate(x: Tensor, t: Tensor) -> Tensor:
        assert t.shape == (len(x),)
        assert (t == t[0]).all()
        alpha, sigma = float(schedule.alpha(float(t[0]))), float(schedule.sigma(float(t[0])))
        denoised = MODEL(x / alpha, sigma / alpha) if alpha else MODEL.mean.expand_as(x)
        return OUTPUTS[predicts](x, denoised, alpha, sigma)

    return evaluate


def levels(schedule: Schedule) -> list[float]:
    if isinstance(schedule, DiscreteSchedule):
        return [float(schedule.noise_level(t)) for t in (0, 10, 25, 48)]
    return [0.01, 0.4, 1.0, 7.0]


def states() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return 2 * torch.randn(5, 3, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("predicts", OUTPUTS)
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_network_is_the_same_denoiser(name: str, predicts: str) -> None:
    schedule, x = SCHEDULES[name], states()
    denoiser = NetworkDenoiser(network(schedule, predicts), schedule, predicts)
    for level in levels(schedule):
        # The output is divided by alpha or sigma: rounding is amplified by max(1, sigma/alpha).
        torch.testing.assert_close(denoiser(x, level), MODEL(x, level), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("sigma_data", [0.5, 1.7])
@pytest.mark.parametrize("level", [0.002, 0.4, 80.0])
def test_the_preconditioned_network_is_the_same_denoiser(level: float, sigma_data: float) -> None:
    x = states()

    def f(scaled: Tensor, c_noise: Tensor) -> Tensor:
        assert c_noise.shape == (len(scaled),)
        sigma = float(torch.exp(4 * c_noise[0]))
        total = math.hypot(sigma, sigma_data)
        state = scaled * total
        skip, out = sigma_data**2 / total**2, sigma * sigma_data / total
        return (MODEL(state, sigma) - skip * state) / out

    denoised = EDMDenoiser(f, sigma_data)(x, level)
    torch.testing.assert_close(denoised, MODEL(x, level), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("predicts", ["data", "v", "flow"])
@pytest.mark.parametrize("name", ["cosine", "flow", "discrete-zero"])
def test_pure_noise_is_denoised_where_the_output_knows_the_data(name: str, predicts: str) -> None:
    schedule, x = SCHEDULES[name], states()
    denoiser = NetworkDenoiser(network(schedule, predicts), schedule, predicts)
    torch.testing.assert_close(denoiser(x, math.inf), MODEL(x, math.inf), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("predicts", ["noise", "score"])
@pytest.mark.parametrize("name", ["cosine", "flow", "discrete-zero"])
def test_pure_noise_cannot_be_denoised_by_its_noise(name: str, predicts: str) -> None:
    schedule = SCHEDULES[name]
    denoiser = NetworkDenoiser(network(schedule, predicts), schedule, predicts)
    with pytest.raises(ParameterError, match=f"'{predicts}' prediction says nothing") as caught:
        denoiser(states(), math.inf)
    assert "alpha = 0, sigma = 1" in str(caught.value)


@pytest.mark.parametrize("name", ["exploding", "linear", "discrete"])
def test_a_schedule_that_never_reaches_pure_noise_says_so(name: str) -> None:
    schedule = SCHEDULES[name]
    denoiser = NetworkDenoiser(network(schedule, "data"), schedule, "data")
    with pytest.raises(ParameterError, match="no time for the noise level inf") as caught:
        denoiser(states(), math.inf)
    assert type(schedule).__name__ in str(caught.value)


@pytest.mark.parametrize("name", ["linear", "discrete"])
def test_a_level_beyond_the_last_time_of_a_schedule_is_refused(name: str) -> None:
    schedule = SCHEDULES[name]
    denoiser = NetworkDenoiser(network(schedule, "data"), schedule, "data")
    beyond = 1e3 * float(schedule.noise_level(schedule.t_max))
    with pytest.raises(ParameterError, match="no time for the noise level"):
        denoiser(states(), beyond)


@pytest.mark.parametrize("name", ["linear", "discrete"])
def test_the_last_level_of_a_schedule_is_reached_also_after_rounding_to_float32(name: str) -> None:
    """Grids are often float32 tensors: their first level may lie above the schedule's by 6e-8."""
    schedule, x = SCHEDULES[name], states()
    last = float(schedule.noise_level(schedule.t_max))
    above = float(np.nextafter(np.float32(last), np.float32(np.inf)))
    denoiser = NetworkDenoiser(network(schedule, "data"), schedule, "data")
    torch.testing.assert_close(denoiser(x, above), MODEL(x, last), rtol=1e-5, atol=1e-5)


class Recorder:
    """A network that writes down its arguments and predicts 0."""

    def __init__(self) -> None:
        self.states: list[Tensor] = []
        self.times: list[Tensor] = []

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.states.append(x)
        self.times.append(t)
        return torch.zeros_like(x)


@pytest.mark.parametrize(
    ("rounds", "given"), [(None, 7.0), (True, 7.0), (False, pytest.approx(7.3, rel=1e-12))]
)
def test_discrete_times_are_rounded_to_the_nearest(rounds: bool | None, given: object) -> None:
    schedule, recorder = DiscreteSchedule(TABLE), Recorder()
    level = float(schedule.noise_level(7.3))
    NetworkDenoiser(recorder, schedule, "noise", round_time=rounds)(states(), level)
    assert recorder.times[0].tolist() == [given] * 5


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_timesteps_are_exact_in_every_dtype(dtype: torch.dtype) -> None:
    schedule, recorder = DiscreteSchedule(np.linspace(0.999, 0.001, 1000)), Recorder()
    denoiser = NetworkDenoiser(recorder, schedule, "noise")
    x = states().to(dtype)
    for step in (999, 501, 257, 0):
        assert denoiser(x, float(schedule.noise_level(step))).dtype == dtype
    assert [float(t[0]) for t in recorder.times] == [999, 501, 257, 0]
    assert all(state.dtype == dtype for state in recorder.states)


def test_continuous_times_are_rounded_on_request_only() -> None:
    recorder = Recorder()
    NetworkDenoiser(recorder, VarianceExploding(), "data")(states(), 2.6)
    NetworkDenoiser(recorder, VarianceExploding(), "data", round_time=True)(states(), 2.6)
    assert [float(t[0]) for t in recorder.times] == [2.6, 3.0]


def test_after_rounding_the_noise_level_is_still_the_one_asked_for() -> None:
    """D = (x - sigma eps) with the sigma of the call: the state's own noise level."""
    schedule, x = DiscreteSchedule(TABLE), states()
    level = float(schedule.noise_level(7.3))
    ones = NetworkDenoiser(lambda state, t: torch.ones_like(state), schedule, "noise")
    torch.testing.assert_close(ones(x, level), x - level, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("broken", [lambda x: x[:1], lambda x: x[..., :1], lambda x: None])
def test_a_network_that_returns_another_shape(broken) -> None:
    """It would be broadcast to the right one on the way out."""
    for denoiser in (
        NetworkDenoiser(lambda x, t: broken(x), RectifiedFlow(), "v"),
        EDMDenoiser(lambda x, t: broken(x)),
    ):
        with pytest.raises(DenoiserError, match="a network returns a tensor"):
            denoiser(states(), 1.0)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda x: {"sample": x, "other": None},
        lambda x: SimpleNamespace(sample=x),
        lambda x: (x, None),
        lambda x: [x],
    ],
)
def test_outputs_in_what_other_libraries_return(wrapped: Callable[[Tensor], object]) -> None:
    x = states()
    plain = NetworkDenoiser(lambda x, t: 0.3 * x, RectifiedFlow(), "v")(x, 1.0)
    found = NetworkDenoiser(lambda x, t: wrapped(0.3 * x), RectifiedFlow(), "v_prediction")
    assert torch.equal(found(x, 1.0), plain)
    edm = EDMDenoiser(lambda x, t: wrapped(0.3 * x))(x, 1.0)
    assert torch.equal(edm, EDMDenoiser(lambda x, t: 0.3 * x)(x, 1.0))


@pytest.mark.parametrize("wrong", [{"samples": 1}, {}, (), "output", SimpleNamespace(sample=None)])
def test_what_has_no_output_is_told(wrong: object) -> None:
    with pytest.raises(DenoiserError, match="a network returns a tensor"):
        NetworkDenoiser(lambda x, t: wrong, RectifiedFlow(), "v")(states(), 1.0)


def test_a_learned_variance_is_left_out() -> None:
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)

    def network(x: Tensor, t: Tensor) -> Tensor:
        return torch.cat([0.3 * x, 5 + x], dim=1)

    found = NetworkDenoiser(network, RectifiedFlow(), "v", learned_variance=True)
    plain = NetworkDenoiser(lambda x, t: 0.3 * x, RectifiedFlow(), "v", learned_variance=True)
    assert torch.equal(found(x, 1.0), plain(x, 1.0))
    with pytest.raises(DenoiserError, match="learned_variance=True"):
        NetworkDenoiser(network, RectifiedFlow(), "v")(x, 1.0)


@pytest.mark.parametrize(
    ("name", "ours"),
    [("epsilon", "noise"), ("sample", "data"), ("v_prediction", "v"), ("flow_prediction", "flow")],
)
def test_diffusers_names_of_predictions(name: str, ours: str) -> None:
    found, plain = (NetworkDenoiser(lambda x, t: 0.3 * x, RectifiedFlow(), n) for n in (name, ours))
    assert torch.equal(found(states(), 0.7), plain(states(), 0.7))


def test_times_for_a_table() -> None:
    table = torch.nn.Embedding(3, 1).double()
    denoiser = NetworkDenoiser(
        lambda x, t: x + table(t)[:, 0].reshape(-1, *[1] * (x.ndim - 1)),
        DiscreteSchedule([0.9, 0.5, 0.1]),
        time_dtype=torch.int64,
    )
    assert denoiser(states(), 1.0).shape == states().shape


def test_finite_levels_above_the_last_finite_entry_have_no_time() -> None:
    schedule = DiscreteSchedule([0.9, 0.5, 0.1, 0.0])
    denoiser = NetworkDenoiser(lambda x, t: x, schedule, "v")
    assert denoiser(states(), math.inf).shape == states().shape
    with pytest.raises(ParameterError, match="no time for the noise level 10"):
        denoiser(states(), 10.0)


def test_a_data_prediction_is_passed_on_unscaled() -> None:
    x = states()
    denoiser = NetworkDenoiser(lambda state, t: 7 * torch.ones_like(state), predicts="data")
    assert (denoiser(x, 3.0) == 7).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("predicts", OUTPUTS)
def test_dtype_is_kept(predicts: str, dtype: torch.dtype) -> None:
    x = states().to(dtype)
    assert NetworkDenoiser(lambda s, t: s, RectifiedFlow(), predicts)(x, 1.0).dtype == dtype
    assert EDMDenoiser(lambda s, t: s)(x, 1.0).dtype == dtype


def test_edm_time_is_a_quarter_of_the_log_in_every_dtype() -> None:
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        recorder = Recorder()
        EDMDenoiser(recorder)(states().to(dtype), 80.0)
        # float32 or better: a time rounded to bfloat16 is a noise level off by 3 %.
        assert float(recorder.times[0][0]) == pytest.approx(math.log(80) / 4, rel=1e-7)


def test_images_and_single_samples_pass_through() -> None:
    for shape in [(1,), (2, 3, 4, 5)]:
        x = torch.ones(shape)
        assert NetworkDenoiser(lambda s, t: s, RectifiedFlow(), "flow")(x, 1.0).shape == shape
        assert EDMDenoiser(lambda s, t: s)(x, 1.0).shape == shape


# --------------------------------------------------------------------------------- the registry


@pytest.mark.parametrize("name", PREDICTIONS)
def test_coefficients_are_the_symbols(name: str) -> None:
    a, s, sd = (1.0, 1.3, 0.5) if name == "F" else (0.8, 0.6, 1.0)
    by_hand = {
        "data": (0.0, 1.0),
        "noise": (1 / 0.8, -0.6 / 0.8),
        "score": (1 / 0.8, 0.36 / 0.8),
        "v": (0.8, -0.6),
        "flow": (1 / 1.4, -0.6 / 1.4),
        "F": (0.25 / 1.94, 1.3 * 0.5 / math.sqrt(1.94)),
    }
    assert prediction(name).name == name
    assert prediction(name).coefficients(a, s, sd) == pytest.approx(by_hand[name], rel=1e-14)


@pytest.mark.parametrize("name", ["eps", "x0", "Epsilon", "Data", ""])
def test_unknown_predictions_list_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        prediction(name)
    assert repr(name) in str(caught.value)
    assert all(known in str(caught.value) for known in PREDICTIONS)
    with pytest.raises(UnknownNameError):
        NetworkDenoiser(Recorder(), predicts=name)


def test_f_predictions_are_sent_to_their_own_wrapper() -> None:
    with pytest.raises(ParameterError, match="EDMDenoiser"):
        NetworkDenoiser(Recorder(), predicts="F")


@pytest.mark.parametrize("sigma_data", [0.0, -0.5, math.nan, math.inf])
def test_sigma_data_is_positive_and_finite(sigma_data: float) -> None:
    with pytest.raises(ParameterError, match=str(sigma_data)) as caught:
        EDMDenoiser(Recorder(), sigma_data)
    assert isinstance(caught.value, SeedsError)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf])
def test_edm_levels_are_positive_and_finite(sigma: float) -> None:
    with pytest.raises(ParameterError, match=str(sigma)):
        EDMDenoiser(Recorder())(states(), sigma)

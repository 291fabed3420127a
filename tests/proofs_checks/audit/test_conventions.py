"""Samplers of other conventions: right through the options that say them, and wrong without."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import foreign_samplers
import numpy as np
import pytest
import torch

from proofs_checks.audit import check
from proofs_checks.audit.affine import AffineMap, LinearModel, Source, probe
from proofs_checks.audit.conventions import FRAMES, PREDICTIONS, TIMES, Convention
from proofs_checks.audit.guess import guess
from proofs_checks.audit.protocol import OtherGrid, SamplerFailure, Target, call
from proofs_checks.audit.targets import find_target
from seeds_theory.errors import ParameterError, SeedsError, UnknownNameError
from seeds_theory.grids import uniform_log_snr

VARIANCES = torch.tensor([0.01, 1.0, 100.0], dtype=torch.float64)
MEANS = torch.tensor([0.1, -1.0, 10.0], dtype=torch.float64)
COUNTS = (16, 32, 64, 128)


def target(name: str) -> Target:
    return find_target(f"{Path(foreign_samplers.__file__)}:{name}")


def levels_of(found: Target, steps: int) -> list[float]:
    return found.levels(steps) if found.levels else uniform_log_snr(20.0, 0.02, steps).tolist()


def run(found: Target, steps: int) -> tuple[AffineMap, list[float]]:
    levels = levels_of(found, steps)
    source = Source.BROWNIAN if found.takes_noise_sampler else Source.OWN
    return probe(found, MEANS, VARIANCES, levels, source), levels


def law_error(found: Target, steps: int) -> float:
    """Of deviations and means, relative to the exact deviations."""
    response, levels = run(found, steps)
    exact = (VARIANCES + levels[-1] ** 2).sqrt()
    variance = response.gain.square() * (VARIANCES + levels[0] ** 2) + response.noise_variance
    mean = response.offset + (response.gain - 1) * MEANS
    return float(torch.stack([variance.sqrt() / exact - 1, mean / exact]).norm())


SOUND = {
    "flow_euler?frame=flow&predicts=velocity": 1,
    "flow_euler?predicts=noise": 1,  # the same lines are Euler's method in sigma
    "flow_up_heun?frame=flow&time=flow-up&model_time=flow-up*1000&predicts=velocity": 2,
    "ddim?frame=vp&time=alpha-bar&predicts=noise&takes=x,model,levels": 1,
    "ddim?frame=vp&time=alpha-bar&predicts=noise&takes=x,model,levels&ancestral=1": 1,
    "reverse_euler?predicts=score": 1,
    "v_ddim?frame=vp&time=angle&predicts=v": 1,
    "heun_of_its_own_grid?grid=own&ends=zero": 2,
    "heun_of_its_own_grid?grid=own&ends=zero&takes=model,x,num_steps=steps&rho=3": 2,
    "flow_from_nothing?grid=own&start=own&ends=zero&frame=flow&predicts=velocity": 1,
    "draws_its_start?start=own&ends=appends": 1,
    "insists_on_zero?ends=zero": 1,
    "appends_zero?ends=appends": 1,
    "in_place?ends=appends": 1,
    "ancestral_numpy?arrays=numpy": 1,
    "ancestral_numpy?arrays=numpy&legacy=true": 1,
    "ancestral_numpy_injected?arrays=numpy": 1,
    "FlowScheduler?frame=flow&predicts=velocity": 1,
    "FlowScheduler?frame=flow&predicts=velocity&order=2": 2,
    "FlowScheduler?frame=flow&predicts=velocity&ends=zero&returns=tuple": 1,
    "FlowScheduler?frame=flow&predicts=velocity&returns=tensor": 1,
}


@pytest.mark.parametrize("name", SOUND)
def test_the_law_is_right_at_the_order_of_the_method(name: str) -> None:
    errors = [law_error(target(name), steps) for steps in COUNTS[1:]]
    assert math.log2(errors[1] / errors[2]) == pytest.approx(SOUND[name], abs=0.2)


@pytest.mark.slow
def test_a_compiled_scan_of_jax_is_followed_step_by_step() -> None:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("needs jax")
    found = target("ancestral_jax?arrays=jax")
    response, _ = run(found, 16)
    assert len(response.other) == 16
    assert law_error(found, 8) / law_error(found, 16) == pytest.approx(2, abs=0.6)


@pytest.mark.parametrize(
    "name",
    [
        "flow_euler?frame=flow",
        "flow_euler?frame=flow&predicts=noise",
        "flow_euler?frame=vp&predicts=velocity",
        "flow_up_heun?frame=flow&time=flow-up&model_time=flow-up*1000&predicts=noise",
        "ddim?frame=vp&time=alpha-bar&takes=x,model,levels",
        "ddim?time=alpha-bar&predicts=noise&takes=x,model,levels",
        "reverse_euler",
        "reverse_euler?predicts=noise",
        "v_ddim?frame=vp&time=angle&predicts=noise",
        "FlowScheduler?frame=flow&predicts=v",
    ],
)
def test_the_law_is_wrong_by_another_convention(name: str) -> None:
    fewer, more = (law_error(target(name), steps) for steps in COUNTS[-2:])
    assert more > 0.01
    assert more > 0.8 * fewer


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("insists_on_zero", "ValueError: sigmas must end with 0"),
        ("ancestral_numpy", "AssertionError"),
        ("flow_euler?frame=flow&model_time=flow*0.01", "none of the kind"),
        ("draws_its_start", "TypeError"),
        ("starts_elsewhere?start=own&ends=appends", "multiple of a normal draw"),
        ("TwoTimesteps?frame=flow&predicts=velocity", "32 timesteps for 16 steps"),
    ],
)
def test_what_breaks_its_convention_is_told(name: str, says: str) -> None:
    with pytest.raises(SamplerFailure, match=says):
        run(target(name), 16)


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("flow_euler?frame=fm", UnknownNameError, "unknown frame 'fm'; known: ve, vp, flow"),
        ("flow_euler?predicts=eps", UnknownNameError, "known: denoised, noise, velocity, v, score"),
        ("flow_euler?time=t", UnknownNameError, "known: sigma, log-sigma"),
        ("flow_euler?model_time=flow*many", ParameterError, "name*factor as flow*1000"),
        ("flow_euler?ends=one", ParameterError, "ends is one of given, zero, appends"),
        ("flow_euler?grid=mine", ParameterError, "grid is one of given, own"),
        ("flow_euler?grid=own", ParameterError, "say where it ends"),
        ("flow_euler?grid=own&ends=-1", ParameterError, "say where it ends"),
        ("flow_euler?start=there", ParameterError, "start is one of given, own"),
        ("flow_euler?arrays=cupy", ParameterError, "arrays is one of torch, numpy, jax"),
        ("ddim?takes=x,network", ParameterError, "one of model, x, shape, levels, steps, rng"),
        ("ddim?takes=x,model", ParameterError, "each of levels, model, x once"),
        ("ddim?takes=x,model,levels&anc=1", ParameterError, "anc"),
        ("FlowScheduler?grid=own&ends=zero", ParameterError, "of a solver object say frame, time"),
        (
            "FlowScheduler?frame=flow&rho=7",
            ParameterError,
            "no option 'rho'; known: order, returns",
        ),
    ],
)
def test_a_wrong_word_is_one_typed_line(name: str, error: type, says: str) -> None:
    with pytest.raises(SeedsError) as caught:
        target(name)
    assert isinstance(caught.value, error)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_object_may_call_its_table_otherwise() -> None:
    words = {"frame": "flow", "predicts": "velocity"}
    (found,) = check(foreign_samplers.FlowTimes, "runs", **words)
    assert "no table 'sigmas'" in found.found and "?table=" in found.found
    assert not check(foreign_samplers.FlowTimes, "runs", **words, table="times")
    assert not check(foreign_samplers.FlowTimes, "limit", **words, table="times")


def test_an_object_is_no_class() -> None:
    with pytest.raises(ParameterError, match="give its class"):
        check(foreign_samplers.FlowTimes(), "runs", frame="flow")


def test_a_misspelt_word_names_the_near_one() -> None:
    with pytest.raises(ParameterError, match="did you mean 'arrays'"):
        check(foreign_samplers.flow_euler, "runs", array="numpy")
    with pytest.raises(ParameterError, match="predicts"):
        check(foreign_samplers.FlowTimes, "runs", predict="velocity")


def test_a_parameter_of_the_sampler_is_no_word_of_a_convention() -> None:
    found = target("of_its_own_frame?frame=own&ends=appends")
    assert found.options == {"frame": "own"}
    law_error(found, 8)


def test_a_function_is_audited_with_the_words_beside_it() -> None:
    words = {"frame": "flow", "predicts": "velocity"}
    assert not check(foreign_samplers.flow_euler, "runs", **words)
    assert not check(foreign_samplers.FlowScheduler, "runs", **words)
    with pytest.raises(UnknownNameError, match="known: ve, vp, flow"):
        check(foreign_samplers.flow_euler, "runs", frame="fm")


@pytest.mark.parametrize("name", TIMES)
def test_times_and_noise_levels_are_inverse_and_monotone(name: str) -> None:
    time, levels = TIMES[name], np.geomspace(0.02, 80, 50)
    times = [time.time(level) for level in levels]
    assert [time.level(t) for t in times] == pytest.approx(levels, rel=1e-9)
    assert set(np.sign(np.diff(times))) == {-1 if time.to_data else 1}
    assert [time.times(1000).level(1000 * t) for t in times] == pytest.approx(levels, rel=1e-9)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("predicts", PREDICTIONS)
def test_predictions_are_what_their_names_say(frame: str, predicts: str) -> None:
    """Of data at a point D: x = D + level z, the state alpha x."""
    convention, level, D, z = Convention(frame=frame, predicts=predicts), 3.0, 0.7, -1.3
    alpha = convention.alpha(level)
    state = alpha * (D + level * z)
    expected = {
        "denoised": D,
        "noise": z,
        "velocity": z - D,
        "v": (z - level * D) / math.hypot(1, level),
        "score": -z / (alpha * level),
    }
    skip, out = convention.skip_and_out(level)
    assert (D - skip * state) / out == pytest.approx(expected[predicts], rel=1e-12)


def test_a_velocity_points_where_time_runs() -> None:
    up = Convention(frame="flow", time="flow-up", predicts="velocity")
    skip, out = up.skip_and_out(1.0)
    assert (2.0 - skip * 0.5 * (2.0 + 1.0)) / out == pytest.approx(2.0 - 1.0)


def test_its_own_levels_are_learned_from_its_calls() -> None:
    found = target("heun_of_its_own_grid?grid=own&ends=zero&rho=1")
    assert found.levels is not None
    # The last positive level is the same for all numbers of steps: it is where the figures are of.
    assert found.levels(4) == pytest.approx([80.0, 53.34, 26.68, 0.02])
    flow = target("flow_from_nothing?grid=own&start=own&ends=zero&frame=flow&predicts=velocity")
    assert flow.levels is not None
    assert flow.levels(4) == pytest.approx([1e8, 3.0, 1.0, 1 / 3, 0.0], rel=1e-6)
    ending = target("heun_of_its_own_grid?grid=own&ends=0.001")
    assert ending.levels is not None
    assert ending.levels(4)[-2:] == pytest.approx([0.02, 0.001])


def test_a_sampler_with_its_own_grid_takes_no_other() -> None:
    found = target("heun_of_its_own_grid?grid=own&ends=zero")
    with pytest.raises(OtherGrid, match="chooses its own noise levels"):
        probe(found, MEANS, VARIANCES, [20.0, 1.0, 0.02], Source.OWN)
    unclear = target("stops_at_once?grid=own&ends=zero")
    assert unclear.levels is not None
    with pytest.raises(SamplerFailure, match="calls its model at 5 levels for 4 steps"):
        unclear.levels(4)
    failing = target("refuses_few_steps?grid=own&ends=zero")
    assert failing.levels is not None
    assert len(failing.levels(8)) == 8
    with pytest.raises(SamplerFailure, match="raises RuntimeError: at least 8 steps"):
        failing.levels(4)


def test_a_start_is_the_audits_whatever_it_is_multiplied_with() -> None:
    for scale in (1.0, 7.0):
        name = "flow_from_nothing?grid=own&start=own&ends=zero&frame=flow&predicts=velocity"
        found = target(f"{name}&scale={scale}")
        assert law_error(found, 16) == pytest.approx(law_error(found, 16), rel=1e-9)
        response, _ = run(found, 8)
        assert not len(response.other) or float(response.other.abs().max()) == 0


def test_noise_of_numpy_is_known_by_the_state_of_its_generator() -> None:
    response, _ = run(target("ancestral_numpy?arrays=numpy"), 8)
    assert len(response.other) == 8
    injected, _ = run(target("ancestral_numpy_injected?arrays=numpy"), 8)
    assert not len(injected.other)
    torch.testing.assert_close(injected.noise_variance, response.noise_variance)
    again = np.random.default_rng(3).normal(size=4), np.random.default_rng(3).normal(size=4)
    assert np.array_equal(*again)


def test_precision_is_what_it_was() -> None:
    x = torch.ones(2, 3, 1, 1)
    sigmas = torch.tensor([2.0, 1.0, 0.5])

    class Silent:
        injects = False

        def stretch(self, sigma: float, sigma_next: float, like: torch.Tensor) -> torch.Tensor:
            raise NotImplementedError

        def draw(self, number: int, like: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(like)

    for name in ("flow_euler?frame=flow&predicts=velocity", "insists_on_zero?ends=zero"):
        result = call(target(name), LinearModel(MEANS, VARIANCES), x, sigmas, Silent())
        assert result.dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "reverse_euler",
            "it is the SDE's if the model's output were a score (?frame=ve&predicts=score)",
        ),
        (
            "flow_up_heun?frame=flow&time=flow-up&model_time=flow-up*1000",
            "it is the ODE's if the model's output were a velocity (?frame=flow&predicts=velocity)",
        ),
        (
            "flow_euler",
            "the model's output were a noise (?frame=ve&predicts=noise), or the ODE's if the model's "
            "output were a velocity and the states were those of a flow (?frame=flow&predicts=velocity)",
        ),
        ("FlowScheduler?frame=flow&predicts=noise", "(?frame=flow&predicts=velocity)"),
    ],
)
def test_a_guess_names_the_convention_that_has_the_right_law(name: str, says: str) -> None:
    found = guess(target(name))
    assert found is not None
    assert says in found


def test_no_guess_where_no_convention_helps() -> None:
    def wrong(model, x, sigmas):
        return 0.5 * foreign_samplers.insists_on_zero(model, x, [*sigmas, 0.0])

    assert guess(Target("wrong", wrong)) is None
    assert guess(target("heun_of_its_own_grid?grid=own&ends=zero")) is None

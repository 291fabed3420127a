"""Schedules: alpha, sigma, their ratio and its inverse."""

import math

import mpmath
import numpy as np
import pytest

from seeds_theory.errors import ParameterError, SeedsError
from seeds_theory.schedule import (
    DiscreteSchedule,
    RectifiedFlow,
    Schedule,
    VarianceExploding,
    VariancePreservingCosine,
    VariancePreservingLinear,
)


def stable_diffusion_table(count: int = 1000) -> np.ndarray:
    """The 'scaled linear' betas of latent diffusion models."""
    return np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, count) ** 2)


def zero_terminal_table(count: int = 1000) -> np.ndarray:
    """The same, shifted and scaled so that the last signal is 0 (Lin et al. 2024)."""
    root = np.sqrt(stable_diffusion_table(count))
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return root**2


PRESERVING: dict[str, Schedule] = {
    "linear": VariancePreservingLinear(),
    "linear-steep": VariancePreservingLinear(0.0, 8.0),
    "constant": VariancePreservingLinear(2.0, 2.0),
    "cosine": VariancePreservingCosine(),
    "cosine-0": VariancePreservingCosine(0.0),
    "discrete": DiscreteSchedule(stable_diffusion_table()),
    "discrete-zero": DiscreteSchedule(zero_terminal_table()),
}
ALL = {**PRESERVING, "exploding": VarianceExploding(), "flow": RectifiedFlow()}
INFINITE = {name: ALL[name] for name in ("cosine", "cosine-0", "discrete-zero", "flow")}


def times(schedule: Schedule) -> np.ndarray:
    last = 80.0 if isinstance(schedule, VarianceExploding) else schedule.t_max
    if isinstance(schedule, DiscreteSchedule):
        finite = np.isfinite(schedule.noise_level(np.arange(last + 1)))
        return np.linspace(0, float(finite.sum() - 1), 501)
    return np.unique(np.append(np.logspace(-6, -1, 50), np.linspace(0.1, 0.999, 200))) * last


@pytest.mark.parametrize("name", ALL)
def test_time_inverts_the_noise_level(name: str) -> None:
    schedule, t = ALL[name], times(ALL[name])
    scale = t[-1]
    found = schedule.time(schedule.noise_level(t))
    assert np.abs(found - t).max() <= 1e-12 * scale


@pytest.mark.parametrize("name", ["linear", "linear-steep", "exploding", "flow"])
def test_time_inverts_the_noise_level_also_relatively(name: str) -> None:
    schedule, t = ALL[name], np.logspace(-9, -0.01, 200)
    assert schedule.time(schedule.noise_level(t)) == pytest.approx(t, rel=1e-12, abs=0)


@pytest.mark.parametrize("name", ALL)
def test_the_noise_level_is_the_ratio_and_increases(name: str) -> None:
    schedule, t = ALL[name], times(ALL[name])
    level = schedule.noise_level(t)
    assert (np.diff(level) > 0).all()
    assert level == pytest.approx(schedule.sigma(t) / schedule.alpha(t), rel=1e-10)
    assert schedule.log_snr(t) == pytest.approx(-np.log(level), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", PRESERVING)
def test_variance_is_preserved(name: str) -> None:
    schedule, t = PRESERVING[name], times(PRESERVING[name])
    assert schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2 == pytest.approx(1.0, rel=1e-13)


@pytest.mark.parametrize("name", ALL)
def test_floats_and_arrays_agree(name: str) -> None:
    schedule = ALL[name]
    t = times(schedule)[[3, 100, -1]]
    level = schedule.noise_level(t)
    for quantity in ("alpha", "sigma", "noise_level", "log_snr"):
        array = getattr(schedule, quantity)(t)
        assert array.shape == t.shape
        assert [float(getattr(schedule, quantity)(float(x))) for x in t] == pytest.approx(
            array.tolist(), rel=1e-14
        )
    assert [float(schedule.time(float(x))) for x in level] == pytest.approx(
        schedule.time(level).tolist(), rel=1e-14
    )


@pytest.mark.parametrize("name", INFINITE)
def test_the_infinite_noise_level(name: str) -> None:
    schedule = INFINITE[name]
    last = schedule.t_max
    assert float(schedule.alpha(last)) == 0.0
    assert float(schedule.sigma(last)) == pytest.approx(1.0, rel=1e-15)
    assert schedule.noise_level(last) == math.inf
    assert schedule.noise_level(np.array([0.5 * last, last]))[1] == math.inf
    assert float(schedule.log_snr(last)) == -math.inf
    assert float(schedule.time(math.inf)) == pytest.approx(last, rel=1e-15)
    assert schedule.time(np.array([1.0, math.inf]))[1] == pytest.approx(last, rel=1e-15)


def test_linear_schedule_against_its_integral() -> None:
    schedule = VariancePreservingLinear(0.1, 20.0)
    for t in (1e-6, 0.01, 0.5, 1.0):
        with mpmath.workdps(40):
            integral = mpmath.quad(lambda s: mpmath.mpf("0.1") + s * mpmath.mpf("19.9"), [0, t])
            alpha = mpmath.exp(-integral / 2)
            sigma = mpmath.sqrt(1 - alpha**2)
        assert float(schedule.alpha(t)) == pytest.approx(float(alpha), rel=1e-13)
        assert float(schedule.sigma(t)) == pytest.approx(float(sigma), rel=1e-13)
        assert float(schedule.noise_level(t)) == pytest.approx(float(sigma / alpha), rel=1e-13)


def test_cosine_schedule_against_its_definition() -> None:
    schedule = VariancePreservingCosine(0.008)
    for t in (1e-6, 0.01, 0.5, 0.999, 1 - 1e-9):
        with mpmath.workdps(40):
            offset = mpmath.mpf(0.008)
            quarter = mpmath.pi / 2 / (1 + offset)
            alpha = mpmath.cos(quarter * (t + offset)) / mpmath.cos(quarter * offset)
            sigma = mpmath.sqrt(1 - alpha**2)
        assert float(schedule.alpha(t)) == pytest.approx(float(alpha), rel=1e-13)
        assert float(schedule.sigma(t)) == pytest.approx(float(sigma), rel=1e-13)


def test_rectified_flow_and_edm_by_hand() -> None:
    flow, edm = RectifiedFlow(), VarianceExploding()
    assert (flow.alpha(0.25), flow.sigma(0.25), flow.noise_level(0.25)) == (0.75, 0.25, 1 / 3)
    assert (edm.alpha(3.0), edm.sigma(3.0), edm.noise_level(3.0), edm.time(3.0)) == (1, 3, 3, 3)
    assert edm.alpha(np.array([1.0, 2.0])).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", ["linear", "cosine", "exploding", "flow"])
def test_the_noise_level_zero(name: str) -> None:
    schedule = ALL[name]
    assert float(schedule.noise_level(0.0)) == 0.0
    assert float(schedule.time(0.0)) == 0.0
    assert float(schedule.log_snr(0.0)) == math.inf


@pytest.mark.parametrize("table", [stable_diffusion_table(), zero_terminal_table()])
def test_discrete_schedule_is_its_table_at_the_indices(table: np.ndarray) -> None:
    schedule = DiscreteSchedule(table)
    index = np.arange(len(table))
    assert schedule.t_max == len(table) - 1
    assert schedule.alpha(index) ** 2 == pytest.approx(table, rel=1e-12)
    assert schedule.sigma(index) ** 2 == pytest.approx(1 - table, rel=1e-12)
    assert schedule.time(schedule.noise_level(index)) == pytest.approx(index, rel=1e-12, abs=1e-10)


def test_discrete_schedule_is_log_linear_between_indices() -> None:
    schedule = DiscreteSchedule(stable_diffusion_table())
    middle = math.sqrt(schedule.noise_level(41) * schedule.noise_level(42))
    assert schedule.noise_level(41.5) == pytest.approx(middle, rel=1e-13)
    assert schedule.time(middle) == pytest.approx(41.5, rel=1e-13)


def test_discrete_schedule_takes_any_sequence_and_is_a_value() -> None:
    table = [0.9, 0.5, 0.0]
    schedules = [DiscreteSchedule(x) for x in (table, tuple(table), np.array(table))]
    assert schedules[0] == schedules[1] == schedules[2]
    assert len({hash(schedule) for schedule in schedules}) == 1
    table[0] = 0.1
    assert schedules[0] == schedules[1]


@pytest.mark.parametrize(
    ("build", "offence"),
    [
        (lambda: VariancePreservingLinear(-0.1, 20.0), "-0.1"),
        (lambda: VariancePreservingLinear(0.0, 0.0), "0.0, 0.0"),
        (lambda: VariancePreservingLinear(3.0, 2.0), "3.0, 2.0"),
        (lambda: VariancePreservingLinear(math.nan, 2.0), "nan"),
        (lambda: VariancePreservingLinear(0.1, math.inf), "inf"),
        (lambda: VariancePreservingCosine(-0.1), "-0.1"),
        (lambda: VariancePreservingCosine(math.nan), "nan"),
        (lambda: VariancePreservingCosine(math.inf), "inf"),
        (lambda: DiscreteSchedule([0.9]), "1 values"),
        (lambda: DiscreteSchedule([]), "0 values"),
        (lambda: DiscreteSchedule([0.5, 0.9]), "0.9"),
        (lambda: DiscreteSchedule([0.9, 0.5, 0.5]), "0.5"),
        (lambda: DiscreteSchedule([1.0, 0.5]), "1.0"),
        (lambda: DiscreteSchedule([0.9, 0.5, -0.25]), "-0.25"),
        (lambda: DiscreteSchedule([0.9, 0.0, -0.25]), "-0.25"),
        (lambda: DiscreteSchedule([0.9, math.nan, 0.1]), "nan"),
        (lambda: DiscreteSchedule([[0.9, 0.5], [0.4, 0.1]]), "(2, 2)"),  # type: ignore[list-item]
        (lambda: DiscreteSchedule(["high", "low"]), "high"),  # type: ignore[list-item]
    ],
)
def test_schedules_that_cannot_be(build, offence: str) -> None:
    with pytest.raises(ParameterError) as caught:
        build()
    assert isinstance(caught.value, SeedsError)
    assert offence in str(caught.value)

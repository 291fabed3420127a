import itertools
import math

import mpmath
import pytest
import torch

from seeds_theory import (
    BrownianPath,
    ParameterError,
    follow,
    make_plan,
    path_points,
    uniform_log_snr,
)
from seeds_theory.exact import DATA, GAUSSIAN
from seeds_theory.plan import Interval
from toy_models import (
    CoupledPaths,
    Gaussian,
    GaussianMixture,
    NotAffineError,
    probe,
    strong_errors,
    weak_errors,
)
from toy_models.convergence import plan_response

C, START, STOP = 1.0, 10.0, 0.05
UNIT = Gaussian.scalar(C)


def errors(name: str, steps: int) -> tuple[float, float]:
    response = plan_response(make_plan(name, uniform_log_snr(START, STOP, steps)), UNIT)
    return (
        float(strong_errors(response, UNIT, START, STOP, 1.0)),
        float(weak_errors(response, UNIT, START, STOP)),
    )


def seeds_1_in_fifty_digits(steps: int) -> tuple[float, float]:
    """Strong and weak error of data-prediction SEEDS-1, by hand, in the clock v = sigma^2.

    The numerical kernel on the step from a to b is gain * b/v, the exact one (C + v_T)/(C + v).
    """
    with mpmath.workdps(50):
        c, stop = mpmath.mpf(C), mpmath.mpf(STOP) ** 2
        # The grid's own double precision numbers, so that both measure the same sampler.
        levels = [mpmath.mpf(s) ** 2 for s in uniform_log_snr(START, STOP, steps).tolist()]
        start = levels[0]
        gain, square, variance = mpmath.mpf(1), mpmath.mpf(0), mpmath.mpf(0)
        for a, b in reversed(list(itertools.pairwise(levels))):
            # (gain b/v - (c + stop)/(c + v))^2 integrated from b to a in closed form
            p, q = gain * b, c + stop
            square += p**2 * (1 / b - 1 / a) + q**2 * (1 / (c + b) - 1 / (c + a))
            square -= 2 * p * q / c * (mpmath.log(a / b) - mpmath.log((c + a) / (c + b)))
            variance += gain**2 * (b - b**2 / a)
            gain *= b / a + (1 - b / a) * c / (c + a)
        strong = mpmath.sqrt(square + (gain - q / (c + start)) ** 2 * (c + start))
        weak = abs(mpmath.sqrt(gain**2 * (c + start) + variance) - mpmath.sqrt(c + stop))
        return float(strong), float(weak)


@pytest.mark.parametrize("steps", [1, 7, 64, 512])
def test_errors_agree_with_closed_forms_in_fifty_digits(steps):
    assert errors("seeds-1", steps) == pytest.approx(seeds_1_in_fifty_digits(steps), abs=1e-13)


@pytest.mark.parametrize(
    ("name", "nfe", "strong", "weak"),
    [
        ("seeds-2", 48, 6.06e-2, 1.10e-2),
        ("seeds-2", 768, 4.52e-3, 4.73e-5),
        ("seeds-3", 48, 6.08e-2, 1.13e-3),
        ("seeds-3", 192, 1.80e-2, 1.49e-4),
    ],
)
def test_errors_agree_with_an_independent_measurement(name, nfe, strong, weak):
    """Three digits of an earlier computation that shares no code with this one."""
    steps = nfe // make_plan(name, [2.0, 1.0]).nfe
    assert errors(name, steps) == pytest.approx((strong, weak), rel=5e-3)


def test_strong_error_agrees_with_sampled_paths_within_four_standard_errors():
    """Response kernels against what they replace: the distance of actual paths."""
    plan = make_plan("seeds-2", uniform_log_snr(START, STOP, 8))
    generator = CoupledPaths(seed=5).generator(0)
    x = UNIT.marginal(START).sample(50_000, generator)
    path = BrownianPath(
        path_points([plan]),
        1.0,
        x,
        lambda intervals, like: torch.randn(
            (len(intervals), *like.shape), generator=generator, dtype=like.dtype
        ),
        (DATA, GAUSSIAN),
        {GAUSSIAN: UNIT.variances.numpy()},
    )
    exact = UNIT.path_solution(x, path, START, STOP)
    squares = (follow(UNIT, x, plan, path) - exact).square()
    expected = errors("seeds-2", 8)[0] ** 2
    assert abs(float(squares.mean()) - expected) < 4 * float(squares.std()) / len(x) ** 0.5


def test_an_exact_sampler_has_no_error():
    """The exact transition as a sampler: no weak error; strong error only from its own noise."""

    def sampler(denoiser, x, noise):
        mean, variances = UNIT.transition(x, START, STOP, 0.0)
        assert float(variances) == pytest.approx(0, abs=1e-15)
        return mean

    response = probe(sampler, UNIT)
    assert float(weak_errors(response, UNIT, START, STOP)) < 1e-15
    assert float(strong_errors(response, UNIT, START, STOP, 0.0)) < 1e-15


def test_a_sampler_that_ignores_the_noise_misses_the_exact_noise():
    response = probe(lambda denoiser, x, noise: UNIT.transition(x, START, STOP, 1.0)[0], UNIT)
    _, variances = UNIT.transition(torch.zeros(1, 1, dtype=torch.float64), START, STOP, 1.0)
    expected = math.sqrt(float(variances))
    assert float(strong_errors(response, UNIT, START, STOP, 1.0)) == pytest.approx(
        expected, rel=1e-12
    )


def test_a_mean_is_followed():
    shifted = Gaussian.scalar(C, mean=3.0)
    response = plan_response(make_plan("seeds-2", uniform_log_snr(START, STOP, 16)), shifted)
    strong = float(strong_errors(response, shifted, START, STOP, 1.0))
    assert strong == pytest.approx(errors("seeds-2", 16)[0], rel=1e-12)  # D is exact on the mean


def test_a_denoiser_that_is_not_affine_is_refused():
    mixture = GaussianMixture.scalar((0.5, 0.5), (-1, 1), (0.3, 0.3))
    plan = make_plan("seeds-1", [2.0, 1.0, 0.5])
    with pytest.raises(NotAffineError, match="coupled paths"):
        probe(lambda denoiser, x, noise: follow(mixture, x, plan, noise), UNIT)


@pytest.mark.parametrize("mix", [lambda x: x.flip(1), lambda x: x.mean(1, keepdim=True) + 0 * x])
def test_a_sampler_that_mixes_coordinates_is_refused(mix):
    gaussian = Gaussian(torch.zeros(2), torch.tensor([1.0, 4.0]))
    plan = make_plan("seeds-1", [2.0, 1.0, 0.5])
    with pytest.raises(NotAffineError, match="coordinate by coordinate"):
        probe(lambda denoiser, x, noise: mix(follow(denoiser, x, plan, noise)), gaussian)


def test_a_rotated_gaussian_must_be_brought_to_its_eigenbasis():
    rotated = Gaussian.from_covariance(torch.zeros(2), torch.tensor([[2.0, 1.0], [1.0, 2.0]]))
    with pytest.raises(ParameterError, match="in_eigenbasis"):
        probe(lambda denoiser, x, noise: x, rotated)


def test_an_infinite_first_level_has_a_weak_but_no_strong_error():
    plan = make_plan("seeds-3", [math.inf, *uniform_log_snr(50.0, STOP, 40)])
    response = plan_response(plan, UNIT)
    with pytest.raises(ParameterError, match="finite first noise level"):
        strong_errors(response, UNIT, math.inf, STOP, 1.0)
    assert float(response.variance(1.0)) == pytest.approx(C + STOP**2, rel=5e-3)


def test_noise_of_another_path_adds_its_variance_to_the_strong_error():
    """One step, noise wholly foreign: exact and numerical noise are independent."""
    end, h = 0.5, math.log(2.0)
    foreign = Interval(1.0, end, DATA, 1.0, path=1)
    tiny = Gaussian.scalar(
        1e-12
    )  # D = 0, and the exact solution's noise is that of data prediction

    def sampler(denoiser, x, noise):
        return math.exp(-2 * h) * x + foreign.deviation * noise([foreign], x)[0]

    response = probe(sampler, tiny)
    error = float(strong_errors(response, tiny, 1.0, end, 1.0))
    assert error == pytest.approx(math.sqrt(2) * foreign.deviation, rel=1e-6)

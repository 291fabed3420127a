"""eta along the way: a number for each step, windows, functions; in plans, loops, paths and hosts."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from seeds_theory import (
    METHODS,
    SEEDS,
    BrownianPath,
    InjectedNoise,
    Interval,
    ParameterError,
    SeededNoise,
    follow,
    make_plan,
    sample,
    uniform_log_snr,
)
from seeds_theory.baselines import BASELINES
from seeds_theory.errors import NoiseError, SeedsError
from seeds_theory.eta_schedule import EtaWindows, on_grid, parse_eta, step_etas
from seeds_theory.forms import DATA, NOISE
from seeds_theory.kdiffusion import as_k_diffusion
from seeds_theory.solver import Solver
from toy_models.gaussian import Gaussian
from toy_models.response import Response, probe, weak_errors

GRID = [80.0, 20.0, 5.0, 1.0, 0.3, 0.0]
ALONG = [1.0, 1.0, 0.0, 0.5, 1.0]
OF_ALL_ETAS = [
    name for name, baseline in BASELINES.items() if baseline.only_eta is None and baseline.along
]
FORMS = [(name, "data") for name in METHODS] + [(name, "noise") for name in SEEDS]


def curved(x: torch.Tensor, sigma: float) -> torch.Tensor:
    return torch.tanh(x) / (1 + min(sigma, 1e3))


def start(batch: int = 3) -> torch.Tensor:
    return 80 * torch.randn(batch, 4, generator=torch.Generator().manual_seed(0)).double()


# -------------------------------------------------------------------------------------- the numbers


@pytest.mark.parametrize(("name", "prediction"), FORMS)
def test_each_step_is_that_of_its_own_eta(name: str, prediction: str) -> None:
    steps = make_plan(name, GRID, eta=ALONG, prediction=prediction).steps
    for index, (step, eta) in enumerate(zip(steps[:-1], ALONG, strict=False)):
        (alone,) = make_plan(name, GRID[index : index + 2], eta=eta, prediction=prediction).steps
        assert len(step.intervals) == len(alone.intervals) == 0 or step.intervals[0].eta == eta
        for row, own in zip(step.rows, alone.rows, strict=True):
            assert len(row.noise) == len(own.noise)
            numbers = [(r.sigma, r.state, *r.drift, *r.noise) for r in (row, own)]
            np.testing.assert_allclose(*numbers, rtol=1e-13, atol=1e-15)


def test_a_list_of_one_number_is_that_number() -> None:
    plan = make_plan("seeds-3", GRID, eta=1.0)
    listed: list[Any] = [
        [1] * 5,
        (1.0,) * 5,
        np.ones(5),
        torch.ones(5),
        "1",
        "1,1,1,1,1",
        lambda _: 1,
    ]
    assert all(make_plan("seeds-3", GRID, eta=eta) is plan for eta in listed)
    assert make_plan("seeds-3", GRID, eta="1:0-inf") is plan


def test_a_function_counts_by_its_mean_over_the_log_snr() -> None:
    # eta = sigma: H = int sigma dlambda = sigma_s - sigma_t.
    etas = make_plan("seeds-1", GRID, eta=lambda sigma: sigma).eta
    assert isinstance(etas, tuple)
    for eta, (s, t) in zip(etas[:-1], itertools.pairwise(GRID[:-1]), strict=False):
        assert eta == pytest.approx((s - t) / math.log(s / t), rel=1e-12)
    infinite = make_plan("seeds-1", [math.inf, 3.0, 1.0], eta=lambda s: 1 - math.exp(-s)).eta
    assert isinstance(infinite, tuple) and infinite[0] == 1.0


def test_a_window_within_a_step_counts_for_its_part() -> None:
    window = parse_eta("1:0.3-5,0.5:10-inf")
    assert isinstance(window, EtaWindows) and str(window) == "1:0.3-5,0.5:10-inf"
    third = math.log(20 / 10) / math.log(20 / 5)
    assert step_etas(window, GRID) == pytest.approx((0.5, 0.5 * third, 1, 1, 1))
    assert [window(sigma) for sigma in (80.0, 7.0, 5.0, 1.0, 0.3, 0.2)] == [0.5, 0, 0, 1, 1, 0]
    whole = on_grid(ALONG, GRID)
    assert step_etas(whole, GRID)[:4] == tuple(ALONG[:4])  # type: ignore[index]
    assert step_etas(whole, GRID[2:5]) == tuple(ALONG[2:4])


@pytest.mark.parametrize("grid", ["double", "single", "six digits"])
def test_the_ends_of_a_window_are_levels_but_for_rounding(grid: str) -> None:
    """Of the grids of hosts, in single precision, and of windows as they are written down."""
    sigmas = uniform_log_snr(80.0, 0.01, 10, to_zero=True)
    high, low = sigmas[2], sigmas[7]
    window = EtaWindows(((0.7, float(low), float(high)),))
    if grid == "single":
        sigmas = sigmas.astype(np.float32)
    if grid == "six digits":
        window = EtaWindows(((0.7, float(f"{low:.6g}"), float(f"{high:.6g}")),))
    plan = make_plan("seeds-2", sigmas, eta=window)
    assert plan.eta == (0, 0, 0.7, 0.7, 0.7, 0.7, 0.7, 0, 0, 0)
    infinite = [math.inf, *sigmas[2:]]
    assert make_plan("seeds-2", infinite, eta=window).eta == (0, *[0.7] * 5, 0, 0, 0)
    assert parse_eta(str(window)) == window


def test_a_short_window_within_a_step_counts() -> None:
    (eta,) = step_etas("1:0.9999-1,0:0.1-0.2", [2.0, 0.5, 0.25])[:1]  # type: ignore[index]
    assert eta == pytest.approx(math.log(1 / 0.9999) / math.log(4), rel=1e-9)
    fine = [1.0, 1 - 1e-6, 1 - 2e-6, 1 - 3e-6]  # steps far below the thousandth of a long one
    assert step_etas(f"1:{1 - 2e-6!r}-{1 - 1e-6!r}", fine) == (0, 1, 0)


def test_a_level_that_comes_again_has_the_value_there() -> None:
    repeated = [8.0, 5.0, 5.0, 1.0]
    assert step_etas("1:0.3-5.5", repeated)[1] == 1  # type: ignore[index]
    x = start()
    found = Solver("edm-heun")(curved, x, repeated, SeededNoise([1, 2, 3]), eta="1:0.3-5")
    assert found.isfinite().all()


@pytest.mark.parametrize("stretches", [3, "1:2-3", ((1, 2),), ((1, "a", 2),), ((1, None, 2),)])
def test_what_is_no_window_is_refused(stretches: Any) -> None:
    with pytest.raises(ParameterError, match="windows of eta are triples"):
        EtaWindows(stretches)


def test_numbers_of_any_library_are_numbers() -> None:
    plan = make_plan("seeds-3", GRID, eta=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for eta in (np.float32(0.5), np.array(0.5), torch.tensor(0.5), [np.float16(0.5)] * 5):
            assert make_plan("seeds-3", GRID, eta=eta) is plan


@pytest.mark.parametrize(
    ("eta", "says"),
    [
        (-1, "eta is a finite number >= 0; got -1"),
        (math.nan, "got nan"),
        (None, "got None"),
        ([1, 1], "one number for each of the 5 steps of the grid, the one to 0 included; got 2"),
        ([], "got none"),
        ([1, 1, -0.5, 1, 1], "got -0.5 in step 2"),
        ([1, math.nan, 1, 1, 1], "got nan in step 1"),
        ([1, 1, 1, 1, math.inf], "got inf in step 4"),
        ([1, 1, 1, 1, "a"], "got 'a' in step 4"),
        ([[1], [1], [1], [1], [1]], r"got \[1\] in step 0"),
        (lambda sigma: -sigma, "in step 0, at sigma = "),
        (lambda sigma: math.nan, "got nan in step 0, at sigma"),
        (lambda sigma: "a", "got 'a' in step 0"),
        (lambda sigma: torch.ones(2), "in step 0"),
        (lambda sigma: 1 / 0, "division by zero.* in step 0"),
        (lambda sigma: math.sqrt(sigma - 1), "in step 3, at sigma = "),
        ({1.0: 0.5}, "got {1.0: 0.5}"),
        ({1.0, 0.5}, "got {"),
        (b"11111", "got b'11111'"),
        ("", "got ''"),
        ("1:5", "windows of noise levels as 1:0.3-5; got '1:5'"),
        ("1:5-3", "to a higher one; got 5 and 3"),
        ("1:1-3,1:2-4", "do not overlap; got one up to 3 and one from 2"),
        ("-1:1-3", "got '-1:1-3'"),
        ("1,1:1-3", "got '1,1:1-3'"),
    ],
)
def test_what_is_no_eta_is_refused(eta: Any, says: str) -> None:
    for run in (lambda: make_plan("seeds-2", GRID, eta=eta), lambda: run_of("euler-maruyama", eta)):
        if eta is None and run.__name__ == "<lambda>" and run.__code__.co_names[0] == "run_of":
            continue  # the sampler's own
        with pytest.raises(ParameterError, match=says) as caught:
            run()
        assert "\n" not in str(caught.value)


def run_of(name: str, eta: Any, noise: Any = None, grid: Any = GRID) -> torch.Tensor:
    return Solver(name)(curved, start(), grid, noise or SeededNoise([1, 2, 3]), eta=eta)


def test_a_step_from_infinity_has_noise_from_there_or_none() -> None:
    for eta in (lambda s: 1 / s, "1:0.5-5"):
        with pytest.raises(ParameterError, match="start at a finite level"):
            make_plan("seeds-1", [math.inf, 1.0, 0.5], eta=eta)
    assert make_plan("seeds-1", [math.inf, 5.0, 0.5], eta="1:0.5-5").steps[0].intervals == ()
    assert make_plan("seeds-1", [math.inf, 1.0, 0.5], eta=[1, 0]).normals == 1


# ------------------------------------------------------------------------------------------- runs


@pytest.mark.parametrize("name", [*METHODS, *OF_ALL_ETAS])
def test_every_sampler_takes_one_for_each_step_and_none_is_drawn_at_0(name: str) -> None:
    asked: list[Interval] = []
    seeded = SeededNoise([1, 2, 3])

    def source(intervals: Any, like: torch.Tensor) -> torch.Tensor:
        asked.extend(intervals)
        return seeded(intervals, like)

    short = [3.0, 2.5, 2.0, 1.7, 1.5, 0.0]  # on which explicit methods are stable
    mixed = run_of(name, ALONG, source, short)
    assert {interval.eta for interval in asked} <= {1.0, 0.5}
    assert not any(1.7 < interval.sigma <= 2.0 for interval in asked)  # the step at 0
    assert torch.equal(run_of(name, [0.7] * 5, grid=short), run_of(name, 0.7, grid=short))
    assert not torch.equal(mixed, run_of(name, 1.0, grid=short))


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in [*METHODS, *OF_ALL_ETAS]
        if not n.endswith(("2m", "3m", "sa-solver", "sde-2", "sde-3"))
    ],
)
def test_a_sampler_without_memory_runs_its_steps_one_by_one(name: str) -> None:
    solver, x = Solver(name), start()
    whole = solver(curved, x, GRID[:-1], SeededNoise([1, 2, 3]), eta=ALONG[:-1])
    for pair, eta in zip(itertools.pairwise(GRID[:-1]), ALONG, strict=False):
        x = solver(curved, x, pair, SeededNoise([1, 2, 3]), eta=eta)
    torch.testing.assert_close(whole, x, rtol=1e-12, atol=1e-12)


def test_samplers_of_one_eta_say_so() -> None:
    with pytest.raises(ParameterError, match="'restart' has one eta for all steps"):
        run_of("restart", ALONG)
    with pytest.raises(ParameterError, match="'euler' has eta = 0 only"):
        run_of("euler", ALONG)
    with pytest.raises(ParameterError, match="'ddpm' has eta = 1 only"):
        run_of("ddpm", ALONG)
    assert torch.equal(run_of("euler", [0] * 5), run_of("euler", 0))


def test_a_grid_goes_up_only_where_all_is_the_ode() -> None:
    assert make_plan("seeds-2", [1.0, 2.0, 3.0], eta=[0, 0]).normals == 0
    with pytest.raises(SeedsError, match="descend strictly"):
        make_plan("seeds-2", [1.0, 2.0, 1.0], eta=[0, 1])


def test_sample_and_k_diffusion_take_it() -> None:
    options: dict[str, Any] = {
        "shape": (2,),
        "seeds": [1, 2],
        "sigmas": GRID,
        "dtype": torch.float64,
    }
    listed = sample(curved, "seeds-2", eta=[0, 0, 1, 1, 0], **options)
    assert torch.equal(sample(curved, "seeds-2", eta="1:0.3-5", **options), listed)
    x = SeededNoise([1, 2]).initial((2,), torch.float64) * 80
    sampler = as_k_diffusion("seeds-2")

    def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return curved(x, float(sigma[0]))

    grid = [80.0, 80.0, *GRID[1:]]  # a level that comes again
    found = sampler(model, x, grid, extra_args={"seed": [1, 2]}, disable=True, eta="1:0.3-5")
    torch.testing.assert_close(found, listed)
    each = [1, 0, 0, 1, 1, 0]
    found = sampler(model, x, grid, extra_args={"seed": [1, 2]}, disable=True, eta=each)
    torch.testing.assert_close(found, listed)


def test_windows_of_a_flow_are_of_its_times() -> None:
    times = [1.0, 0.75, 0.5, 0.25, 0.0]
    x = SeededNoise([1, 2]).initial((2,), torch.float64)
    asked: list[float] = []

    def noise_sampler(sigma: torch.Tensor, sigma_next: torch.Tensor) -> torch.Tensor:
        asked.append(float(sigma))
        return torch.zeros_like(x)

    def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return curved(x, float(sigma[0]))

    sampler = as_k_diffusion("seeds-1")
    for eta in ("1:0.5-1", [1, 1, 0, 0], lambda t: float(t > 0.5)):
        asked.clear()
        sampler(model, x, times, disable=True, eta=eta, noise_sampler=noise_sampler, flow=True)
        assert asked == pytest.approx([1.0, 0.75])


# ------------------------------------------------------------------------------------------- path


def test_a_path_is_the_same_brownian_motion_at_every_eta() -> None:
    """Covariances of all that is asked, against the integral of the two kernels over what they share."""
    coarse, fine = [8.0, 2.0, 0.5], [8.0, 4.0, 2.0, 1.0, 0.5]
    plans = [
        make_plan("seeds-2", coarse, eta=lambda s: 1 / (1 + s)),
        make_plan("seeds-2s", fine, eta=lambda s: 1 / (1 + s)),
        make_plan("seeds-2", fine, eta=[1, 0, 0, 2], prediction="noise"),
    ]
    intervals = [interval for plan in plans for interval in plan.intervals]
    like = torch.zeros(600, dtype=torch.float64)

    def basis(asked: Any, like: torch.Tensor) -> torch.Tensor:
        return torch.eye(len(asked), len(like), dtype=like.dtype)

    rows = BrownianPath.serving(intervals, like, basis)(intervals, like)
    points, weights = np.polynomial.legendre.leggauss(40)
    for (i, a), (j, b) in itertools.combinations_with_replacement(enumerate(intervals), 2):
        first = max(-math.log(a.sigma), -math.log(b.sigma))
        last = min(-math.log(a.sigma_next), -math.log(b.sigma_next))
        half = max(0.0, last - first) / 2
        at = first + half * (1 + points)
        expected = half * float(weights @ (a.kernel(at) * b.kernel(at)))
        assert float(rows[i] @ rows[j]) == pytest.approx(expected, abs=1e-9), (a, b)


def test_a_path_with_an_eta_for_each_interval() -> None:
    plan = make_plan("seeds-1", GRID[:-1], eta=ALONG[:-1])
    path = BrownianPath(GRID[:-1], ALONG[:-1], start(), SeededNoise([1, 2, 3]))
    served = BrownianPath.serving(plan.intervals, start(), SeededNoise([1, 2, 3]))
    assert torch.equal(*(follow(curved, start(), plan, noise) for noise in (path, served)))
    with pytest.raises(NoiseError, match=r"for eta = 1 at sigma = 80; asked for 0.5.*serving"):
        path([Interval(80.0, 20.0, DATA, 0.5)], start())
    with pytest.raises(NoiseError, match="for eta = 0 at sigma = 5"):
        path([Interval(20.0, 1.0, DATA, 1.0)], start())
    with pytest.raises(NoiseError, match="from an infinite level a path serves one eta"):
        BrownianPath.serving([Interval(math.inf, 1.0, DATA, at) for at in (1.0, 0.5)], start())
    with pytest.raises(NoiseError, match="asked by intervals"):
        path.noise(NOISE, 80.0, 20.0)


# ----------------------------------------------------------------------------------------- orders


def smooth(sigma: float) -> float:
    return 1 / (1 + sigma)


WINDOW = EtaWindows(((1.0, 3 * 10**-0.75, 3 * 10**-0.25),))  # on the grids' own levels


@pytest.mark.parametrize("eta", [smooth, WINDOW], ids=["smooth", "window"])
@pytest.mark.parametrize(
    ("name", "order", "steps"),
    [
        *(("seeds-1", 1, 128), ("seeds-2", 2, 128), ("seeds-2b", 2, 128), ("seeds-3", 2, 128)),
        *(("seeds-3b", 2, 128), ("seeds-2s", 2, 128), ("seeds-3s", 3, 128), ("seeds-4s", 3, 128)),
        ("sde-dpm-solver++-2m", 2, 512),
    ],
)
def test_the_weak_order_is_kept_along_the_way(name: str, order: int, steps: int, eta: Any) -> None:
    """On Gaussian data, from the exact response: seeds-3s has order 3 there, and keeps it."""
    gaussian = Gaussian(torch.tensor([0.3]).double(), torch.tensor([2.0]).double())
    errors = []
    for count in (steps, 2 * steps):
        sigmas = uniform_log_snr(3.0, 0.3, count)
        solver = Solver(name, {"eta": eta})

        def sampler(denoiser: Any, x: torch.Tensor, noise: Any) -> torch.Tensor:
            return solver(denoiser, x, sigmas, noise)  # noqa: B023

        response: Response = probe(sampler, gaussian)
        errors.append(float(weak_errors(response, gaussian, 3.0, 0.3).norm()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.05)


def test_injected_rows_are_those_of_the_steps_with_noise() -> None:
    plan = make_plan("seeds-2", GRID, eta=ALONG)
    assert plan.normals == 2 * 3
    rows = torch.zeros(plan.normals, *start().shape, dtype=torch.float64)
    assert follow(curved, start(), plan, InjectedNoise(rows)).isfinite().all()

"""SEEDS-2M: orders on any grid, what its node decides, its memory, and the run's contract."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from seeds_theory.baselines.run import Baseline, Declared
from seeds_theory.baselines.seeds_multistep import SEEDS_2M, best_node, seeds_2m
from seeds_theory.errors import ParameterError
from seeds_theory.grids import rho_grid, uniform_log_snr
from seeds_theory.loop import StepInfo, follow
from seeds_theory.plan import Interval, make_plan
from seeds_theory.solver import Solver
from seeds_theory.sources import InjectedNoise, SeededNoise, silent
from toy_models.convergence import fit_exact
from toy_models.curvature import mean_error
from toy_models.gaussian import Gaussian
from toy_models.mixture import CURVED
from toy_models.paths import CoupledPaths, mixture_study
from toy_models.response import probe, strong_errors, weak_errors

GRID = [20.0, 9.0, 5.0, 2.1, 1.2, 0.5, 0.3]
Grid = Callable[[float, float, int], np.ndarray]


def curved(x: Tensor, sigma: float) -> Tensor:
    return torch.tanh(x / (1 + sigma**2))


def start(batch: int = 4, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return (20 * torch.randn(batch, 2, dtype=torch.float64, generator=generator)).to(dtype)


def rows(count: int, like: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(count, *like.shape, dtype=torch.float64, generator=generator)


def of_lengths(*pattern: float) -> Grid:
    """Steps in log-SNR whose lengths repeat a pattern."""

    def grid(sigma_max: float, sigma_min: float, steps: int) -> np.ndarray:
        u = np.append(0.0, np.cumsum(np.resize(pattern, steps)))
        return sigma_max * (sigma_min / sigma_max) ** (u / u[-1])

    return grid


every_grid = pytest.mark.parametrize(
    "grid",
    [uniform_log_snr, rho_grid, of_lengths(1, 2), of_lengths(1, 4, 2, 0.5)],
    ids=["uniform", "rho", "alternating", "changing"],
)

# ------------------------------------------------------------------------------------------- orders

# On wider data its leading weak errors nearly cancel, and the order is not seen at such steps.
NARROW = Gaussian(torch.tensor([-1.0, 1.0, 2.0]), torch.tensor([0.03, 0.1, 0.3]))
ENDS = (5.0, 1.0)
STEPS = (64, 128, 256)


@every_grid
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_orders_on_gaussian_data(eta: float, grid: Grid) -> None:
    strong, weak = [], []
    for n in STEPS:
        levels = grid(*ENDS, n)
        response = probe(lambda D, x, z, levels=levels: SEEDS_2M(D, x, levels, z, eta=eta), NARROW)
        weak.append(float(weak_errors(response, NARROW, *ENDS).norm()))
        strong.append(float(strong_errors(response, NARROW, *ENDS, eta).norm()))
    assert SEEDS_2M.declared.gaussian == Declared(2, 2, 2)
    assert fit_exact(STEPS, strong).order == pytest.approx(2, abs=0.05)
    assert fit_exact(STEPS, weak).order == pytest.approx(2, abs=0.05)


def order_of_mean(grid: Grid, eta: float, **options: float) -> float | None:
    def error(levels: np.ndarray) -> float:
        return abs(
            mean_error(lambda D, x, z: SEEDS_2M(D, x, levels, z, eta=eta, **options), *ENDS, eta)
        )

    return fit_exact(STEPS, [error(grid(*ENDS, n)) for n in STEPS]).order


@every_grid
@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_the_mean_on_curved_data_has_order_2(eta: float, grid: Grid) -> None:
    order = order_of_mean(grid, eta)
    assert order is not None
    assert order >= 1.95


@pytest.mark.parametrize("node", [0.5, 0.6, 0.8, 0.9])
def test_at_another_node_it_has_order_1(node: float) -> None:
    assert order_of_mean(uniform_log_snr, 1.0, node=node) == pytest.approx(1, abs=0.05)


def test_the_node_of_equal_steps_is_not_enough_on_unequal_ones() -> None:
    stationary = 1 - 0.5 / math.sqrt(3)
    assert order_of_mean(uniform_log_snr, 1.0, node=stationary) == pytest.approx(2, abs=0.05)
    assert order_of_mean(of_lengths(1, 2), 1.0, node=stationary) == pytest.approx(1, abs=0.1)


@pytest.mark.slow
def test_strong_order_on_curved_data_and_at_a_wrong_node() -> None:
    def slope(baseline: Baseline) -> float:
        paths = CoupledPaths(batches=4, size=256)
        study = mixture_study(baseline, CURVED, (32, 64), sigma_max=4.0, sigma_min=0.5, paths=paths)
        return math.log2(study.strong[0] / study.strong[1])

    assert slope(SEEDS_2M) >= 1.8  # on its way from 2 to 1.5
    wrong = replace(SEEDS_2M, algorithm=partial(seeds_2m, node=0.5))
    assert slope(wrong) <= 1.4  # from 2 to 1


# ------------------------------------------------------------------------------------------- a step


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_the_first_step_is_one_of_seeds_2s(eta: float) -> None:
    grid, x = [20.0, 9.0], start()
    noise = InjectedNoise(rows(2, x))
    expected = follow(curved, x, make_plan("seeds-2s", grid, eta=eta), noise)
    found = SEEDS_2M(curved, x, grid, InjectedNoise(rows(2, x)), eta=eta)
    assert torch.allclose(found, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_line_is_integrated_exactly_after_the_first_steps(eta: float) -> None:
    def line(x: Tensor, sigma: float) -> Tensor:
        return torch.full_like(x, 1 - 0.3 * math.log(sigma))

    states: list[StepInfo] = []
    SEEDS_2M(line, start(), GRID, silent, eta=eta, callback=states.append)
    kappa = 1 + eta
    for before, after in itertools.pairwise(states):
        s, t = after.sigma, after.sigma_next
        slow = kappa * 0.3 * (math.log(s / t) + math.expm1(-kappa * math.log(s / t)) / kappa)
        D_s = line(before.x, s)
        decay = (t / s) ** kappa
        exact = decay * before.x + (1 - decay) * D_s + slow / kappa
        assert torch.allclose(after.x, exact, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_constant_estimate_is_a_fixed_point(eta: float) -> None:
    x = start()
    end = SEEDS_2M(lambda y, sigma: x, x, [*GRID, 0.0], silent, eta=eta)
    assert torch.allclose(end, x, rtol=1e-14, atol=0)


def test_nodes_follow_the_distance_to_the_last_stage() -> None:
    assert best_node(0.0) == 0.75
    levels: list[float] = []

    def denoiser(x: Tensor, sigma: float) -> Tensor:
        levels.append(sigma)
        return curved(x, sigma)

    SEEDS_2M(denoiser, start(), GRID, SeededNoise(range(4)))
    for last, m, (s, t) in zip(levels[:-1], levels[1:], itertools.pairwise(GRID), strict=True):
        h = math.log(s / t)
        c, d = math.log(s / m) / h, math.log(last / s) / h
        assert c == pytest.approx((3 + 8 * d) / (4 + 12 * d), rel=1e-12)
        assert 2 / 3 < c <= 3 / 4 + 1e-12


# ----------------------------------------------------------------------------------- the run's contract


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("grid", [GRID, [*GRID, 0.0], GRID[:2], [9.0, 2.0, 0.0]])
def test_a_step_costs_one_call_and_the_first_one_more(eta: float, grid: list[float]) -> None:
    calls: list[int] = []
    seen: list[StepInfo] = []
    estimates: list[Tensor] = []

    def denoiser(x: Tensor, sigma: float) -> Tensor:
        calls.append(len(seen))
        estimates.append(curved(x, sigma))
        return estimates[-1]

    end = SEEDS_2M(denoiser, start(), grid, SeededNoise(range(4)), eta=eta, callback=seen.append)
    assert calls == [0, *range(len(grid) - 1)]
    assert SEEDS_2M.nfe(grid, eta=eta) == len(grid)
    assert [(info.sigma, info.sigma_next) for info in seen] == list(itertools.pairwise(grid))
    firsts = [estimates[0], *estimates[2:]]
    assert all(info.denoised is first for info, first in zip(seen, firsts, strict=True))
    assert torch.equal(seen[-1].x, end)


def test_a_single_step_to_zero_is_the_estimate() -> None:
    x = start()
    assert torch.equal(SEEDS_2M(curved, x, [2.0, 0.0]), curved(x, 2.0))
    assert SEEDS_2M.nfe([2.0, 0.0]) == 1


def test_it_draws_the_noise_and_the_average_of_each_step() -> None:
    asked: list[Interval] = []

    def source(intervals: Sequence[Interval], like: Tensor) -> Tensor:
        asked.extend(intervals)
        return silent(intervals, like)

    SEEDS_2M(curved, start(), [*GRID, 0.0], source, eta=0.5)
    stretches = [(*pair, degree) for pair in itertools.pairwise(GRID) for degree in (0, 1)]
    assert [(i.sigma, i.sigma_next, i.degree) for i in asked] == stretches
    asked.clear()
    SEEDS_2M(curved, start(), GRID, source, eta=0.0)
    assert asked == []


def test_values_of_the_path_do_not_do() -> None:
    solver = Solver("seeds-2m")
    assert not solver.follows_values
    assert solver.declared == Declared(None, 2, 2)
    assert Solver("seeds-2m", {"node": 0.7}).declared is None


def test_a_sample_does_not_depend_on_its_batch() -> None:
    x = start()
    whole = SEEDS_2M(curved, x, [*GRID, 0.0], SeededNoise([3, 1, 4, 5]))
    one = SEEDS_2M(curved, x[2:3], [*GRID, 0.0], SeededNoise([4]))
    assert torch.equal(whole[2:3], one)


def test_nothing_that_is_given_is_changed_and_float32_stays() -> None:
    x = start()
    given = x.clone()
    kept: list[tuple[Tensor, Tensor]] = []

    def remembered(state: Tensor, sigma: float) -> Tensor:
        estimate = curved(state, sigma)
        kept.extend([(state, state.clone()), (estimate, estimate.clone())])
        return estimate

    z = rows(2 * len(GRID), x)
    double = SEEDS_2M(remembered, x, GRID, InjectedNoise(z))
    assert torch.equal(x, given)
    assert all(torch.equal(now, then) for now, then in kept)
    single = SEEDS_2M(curved, x.float(), GRID, InjectedNoise(z))
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), double, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("node", [0.0, -0.5, 1.5, "best"])
def test_a_node_is_within_the_step(node: object) -> None:
    with pytest.raises(ParameterError, match="node is a number"):
        SEEDS_2M(curved, start(), GRID, node=node)

"""Adaptive steps: the refined path has the law of a path, and a run on it is the run on that path."""

import math

import numpy as np
import pytest
import torch

from seeds_theory import follow, make_plan, uniform_log_snr
from seeds_theory.sources import InjectedNoise
from toy_models.adaptive import PAIRS, Controller, adaptive, clock
from toy_models.bridge import RefinedPath
from toy_models.mixture import CURVED
from toy_models.paths import CoupledPaths
from toy_models.work_precision import (
    CLOUDS,
    RANGE,
    controlled_levels,
    thinned,
    with_grid,
    work_precision,
)

START = torch.tensor([0.5], dtype=torch.float64)


def path(count, grid=START, seed=0, **options):
    return RefinedPath(grid, (count, 1), torch.Generator().manual_seed(seed), **options)


def at(time, count):
    return torch.full((count,), time, dtype=torch.float64)


# ------------------------------------------------------------------------------------ the path


@pytest.mark.parametrize("order", [(1.0, 2.0, 3.5), (3.5, 1.0, 2.0), (2.0, 3.5, 1.0)])
@pytest.mark.parametrize("grid", [START, torch.tensor([0.5, 1.7, 4.0])], ids=["one", "three"])
def test_increments_are_independent_whatever_the_order_of_asking(order, grid):
    count = 40000
    refined = path(count, grid)
    values = {time: refined(at(time, count))[:, 0] for time in order}
    ends = torch.stack([values[time] for time in sorted(values)]).diff(
        dim=0, prepend=torch.zeros(1, count)
    )
    spread = torch.tensor([0.5, 1.0, 1.5]).sqrt()
    found = torch.cov(ends / spread[:, None])
    assert (found - torch.eye(3)).abs().max() < 4 * math.sqrt(2 / count)


def test_a_clock_chosen_by_the_values_drawn_so_far_leaves_the_law_as_it_is():
    """Cut in the middle, or near the end, by the sign of what was drawn: the increments do not show it."""
    count = 40000
    refined = path(count)
    whole = refined(at(2.5, count))[:, 0]
    cut = torch.where(whole > 0, 1.5, 2.3).to(torch.float64)
    first = refined(cut)[:, 0]
    early, late = first / (cut - 0.5).sqrt(), (whole - first) / (2.5 - cut).sqrt()
    found = torch.cov(torch.stack([early, late]))
    assert abs(float(found[0, 1])) < 4 / math.sqrt(count)
    again = early**2 + late**2  # chi-squared with two degrees of freedom: mean 2, variance 4
    assert abs(float(again.mean()) - 2) < 4 * 2 / math.sqrt(count)


def test_a_path_that_forgets_loses_variance():
    """New noise unless |z| <= 1: the part 2 n(1) = 0.484 of the variance is gone."""
    count = 40000
    forgetful = path(count, remembers=False)
    whole = forgetful(at(1.5, count))[:, 0]
    middle = forgetful(at(1.0, count))[:, 0]
    anew = forgetful(at(1.5, count))[:, 0]
    assert abs(float((middle**2).mean()) - 0.5) < 4 * 0.5 * math.sqrt(2 / count)
    kept = torch.where(whole.abs() <= 1, whole, anew)
    assert float(kept.var()) == pytest.approx(
        1 - 2 * math.exp(-0.5) / math.sqrt(2 * math.pi), abs=0.03
    )


def test_a_known_clock_gives_the_value_it_had():
    refined = path(5, torch.tensor([0.5, 2.0]))
    first = refined(at(1.2, 5))
    refined(at(0.9, 5))
    assert torch.equal(refined(at(1.2, 5)), first)
    assert torch.equal(refined.copy()(at(1.2, 5)), first)
    refined.forget_before(at(1.2, 5))
    assert torch.equal(refined(at(1.2, 5)), first)


# ------------------------------------------------------------------------------------ the runs


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("eta", [pytest.param(1.0, marks=pytest.mark.slow), 0.4])
def test_a_refined_run_is_the_sampler_on_the_grid_and_the_noise_that_came_out(name, eta):
    """Every sample by itself: the plan of its accepted levels, with the normals of its own path."""
    count, ends = 6, (20.0, 0.05)
    generator = torch.Generator().manual_seed(1)
    start = 20 * torch.randn(count, 1, generator=generator, dtype=torch.float64)
    fine = torch.linspace(-math.log(ends[0]), -math.log(ends[1]), 401, dtype=torch.float64)
    drawn = path(count, clock(fine, eta), seed=2)
    never_pruned = drawn.copy()
    never_pruned.forget_before = lambda clock: None
    run = adaptive(name, CURVED.at_levels, start, ends, never_pruned, Controller(0.15), eta)
    assert (run.rejected > 0).any()
    for i in range(count):
        log_snrs = run.log_snrs[:, i].unique().numpy()
        assert len(log_snrs) == run.accepted[i] + 1
        plan = make_plan(name.partition("(")[0], np.exp(-log_snrs), eta=eta)
        rows = []
        for interval in (i for step in plan.steps for i in step.intervals):
            levels = torch.tensor([interval.sigma, interval.sigma_next], dtype=torch.float64)
            times = levels ** (-2 * eta)
            before, after = (never_pruned(at(float(t), count))[i] for t in times)
            rows.append((after - before) / (times[1] - times[0]).sqrt())
        end = follow(CURVED, start[i : i + 1], plan, InjectedNoise(torch.stack(rows)[:, None]))
        torch.testing.assert_close(end, run.y[i : i + 1], rtol=0, atol=1e-6)


def test_calls_count_rejected_steps_without_their_first_call():
    start = CURVED.marginal(80.0).sample(50, torch.Generator().manual_seed(0))
    log_snr = torch.tensor([-math.log(80.0)], dtype=torch.float64)
    run = adaptive(
        "seeds-3(2)",
        CURVED.at_levels,
        start,
        RANGE,
        path(50, clock(log_snr, 1.0)),
        Controller(0.2),
    )
    assert torch.equal(run.calls, 3 * run.accepted + 2 * run.rejected)
    assert torch.equal(run.log_snrs[-1], at(-math.log(RANGE[1]), 50))


def test_a_batch_has_one_length_and_a_controller_that_keeps_all_rejects_none():
    start = CURVED.marginal(80.0).sample(50, torch.Generator().manual_seed(0))
    grid = clock(torch.tensor([-math.log(80.0)], dtype=torch.float64), 1.0)
    settings = Controller(0.1, together=True), Controller(0.1, rejects=False)
    batch, keeping = (
        adaptive("seeds-2(1)", CURVED.at_levels, start, RANGE, path(50, grid), c) for c in settings
    )
    assert float((batch.log_snrs - batch.log_snrs[:, :1]).abs().max()) < 1e-9
    assert keeping.rejected.sum() == 0
    assert len(keeping.accepted.unique()) > 1


@pytest.mark.parametrize("mixture", [CURVED, CLOUDS], ids=["line", "clouds"])
def test_levels_of_their_own(mixture):
    x = 3 * torch.randn(7, mixture.dimension, dtype=torch.float64)
    levels = torch.tensor([50.0, 8.0, 2.0, 1.0, 0.4, 0.1, 0.02], dtype=torch.float64)
    one_by_one = torch.cat([mixture(x[i : i + 1], float(s)) for i, s in enumerate(levels)])
    torch.testing.assert_close(mixture.at_levels(x, levels), one_by_one, rtol=0, atol=1e-10)


def test_a_thinned_grid_is_as_dense_as_the_levels():
    levels = np.array([8.0, 4.0, 2.0, 1.0, 0.9, 0.8, 0.7])
    np.testing.assert_allclose(thinned(levels, 6), levels)
    np.testing.assert_allclose(thinned(levels, 3), levels[::2])
    assert thinned(levels, 12)[1] == pytest.approx(math.sqrt(32))


@pytest.mark.slow
def test_the_reference_agrees_with_many_steps_and_errors_fall():
    attempts = {str(n): with_grid("seeds-2(1)", uniform_log_snr(*RANGE, n)) for n in (8, 16, 96)}
    found = work_precision(CURVED, attempts, CoupledPaths(batches=3, size=256))
    assert found["8"].error > 2 * found["16"].error
    assert found["96"].error < 0.01
    assert found["16"].calls == 32


def test_the_controller_begins_and_ends_at_the_range():
    levels = controlled_levels("seeds-2(1)", CURVED, tolerance=0.2, size=64)
    np.testing.assert_allclose(levels[[0, -1]], RANGE)
    assert (np.diff(levels) < 0).all()

"""What a policy comes to: the price of a change, the scatter of its gradient, densities of other steps."""

import itertools
import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from seeds_theory import log_prob, make_plan
from seeds_theory.policies import policy
from toy_models import policy_study
from toy_models.mixture import GaussianMixture
from toy_models.policy_gradient import LearntMixture, at_once, held, jackknife, runs, tilted
from toy_models.policy_laws import BROAD, flow_grid, member, published, windowed
from toy_models.policy_training import (
    belonging,
    bound,
    forgotten_factor,
    of_another_step,
    outcome,
    price,
    scatter,
    scores,
    tilt_divergence,
)

GRID = flow_grid(6)
RECORD = Path(__file__).parents[2] / "book" / "policy.json"


def test_the_divergence_of_a_tilted_gaussian_is_that_of_a_shift():
    law = GaussianMixture.scalar((1.0,), (0.4,), (0.5,))
    assert tilt_divergence(law, 2.0) == pytest.approx(0.25 / 4 / 2)


@pytest.mark.parametrize(("eta", "factor"), [(1.0, 1.0), (0.245, 1.245**2 / 0.98)])
def test_the_price_of_fine_steps_is_that_of_eta(eta, factor):
    levels = [60 * (0.02 / 60) ** (n / 60) for n in range(61)]
    found = price(BROAD, make_plan("seeds-2", levels, eta=eta), count=2000)
    assert abs(found.price - factor) < 4 * found.error + 0.05  # steps of finite length


def test_a_score_is_the_gradient_of_the_log_density():
    plan = make_plan("seeds-2", GRID, eta=1.0)
    model = LearntMixture(BROAD)
    record = runs(model, plan, 5, torch.Generator().manual_seed(0))
    log_prob(model, record)[2].sum().backward()
    whole = torch.cat([parameter.grad[0] for parameter in model.parameters()])
    torch.testing.assert_close(scores(BROAD, record)[2], whole)


def test_the_scatter_is_that_of_gradients_of_batches():
    plan, batch, batches, groups = make_plan("seeds-1", GRID, eta=1.0), 100, 600, 20
    found = scatter(BROAD, plan, count=2000, groups=10)
    record = runs(BROAD, plan, batch * batches, torch.Generator().manual_seed(1))
    rewards = record.x.unflatten(0, (batches, batch))
    slopes = scores(BROAD, record).unflatten(0, (batches, batch))
    each = ((rewards - rewards.mean(1, keepdim=True)) * slopes).mean(1)

    def direct(gradients):
        return batch * float(gradients.var(0).sum() / gradients.mean(0).square().sum())

    parts = each.chunk(groups)
    left_out = [direct(torch.cat(parts[:n] + parts[n + 1 :])) for n in range(groups)]
    error = math.hypot(jackknife(left_out), found.error)
    assert error < 0.08 * found.noise  # or it would not tell a wrong figure
    assert abs(direct(each) - found.noise) < 4 * error
    assert 0 < found.explained < 1


def test_the_forgotten_factor_is_the_square_of_the_distance():
    sampler = policy("cps", GRID)
    record = runs(BROAD, sampler.on(GRID), 7, torch.Generator().manual_seed(0))
    model = LearntMixture(tilted(BROAD, 1.0))
    wrong, right = (
        density(model, record) - density(LearntMixture(BROAD), record)
        for density in (forgotten_factor(0.8, GRID), at_once)
    )
    # By hand: the first step in the flow's own frame.
    s, t = GRID[:2]
    time, then = s / (1 + s), t / (1 + t)
    deviation = then * math.sin(0.4 * math.pi)
    x, end = (1 - time) * record.states[0], (1 - then) * record.states[2]

    def squares(denoiser):
        estimate = denoiser(record.states[0], s)
        noise = x + (1 - time) * (x - estimate) / time
        return (end - (1 - then) * estimate - math.sqrt(then**2 - deviation**2) * noise).square()

    with torch.no_grad():
        change = squares(LearntMixture(BROAD)) - squares(model)
    torch.testing.assert_close(wrong[:, 0], change[:, 0])
    torch.testing.assert_close(right[:, 0], change[:, 0] / (2 * deviation**2))


def test_a_density_of_the_same_step_is_its_own():
    plan = policy("flow-sde", GRID).on(GRID)
    record = runs(BROAD, plan, 4, torch.Generator().manual_seed(0))
    model = LearntMixture(tilted(BROAD, 1.0))
    torch.testing.assert_close(of_another_step(plan)(model, record), at_once(model, record))


def test_only_the_right_density_belongs_to_the_step():
    plan = make_plan("seeds-2", GRID, eta=1.0)
    other = policy("flow-sde", GRID, math.sqrt(2)).on(GRID)
    right = belonging(BROAD, plan, at_once, count=1000)
    wrong = belonging(BROAD, plan, of_another_step(other), count=1000)
    assert abs(right.ratio - 1) < 4 * right.ratio_error
    assert right.angle < 1e-3
    assert abs(wrong.ratio - 1) > 4 * wrong.ratio_error
    assert wrong.angle > 4 * wrong.angle_error


def test_an_untrained_model_has_no_divergence():
    found = outcome(LearntMixture(BROAD, 2), BROAD, make_plan("seeds-1", GRID, eta=1.0), count=500)
    assert found.divergence.abs().max() < 1e-12
    torch.testing.assert_close(found.value(), found.reward)
    torch.testing.assert_close(found.held_value(), found.reward)


@pytest.mark.parametrize(
    "sampler",
    [
        member("seeds-3", 1.0),
        windowed("seeds-2m", 1.0, math.inf),
        windowed("seeds-2m", 0.3, 3.0),
        published("dance-sde"),
    ],
    ids=lambda contender: contender.label,
)
def test_steps_without_noise_are_held_at_the_first_model(sampler):
    """Of the first model's runs nothing changes; of another's, the end is that of the states alone."""
    solver, grid = sampler.within(10)
    plan, first = solver.on(grid), LearntMixture(BROAD)
    record = runs(first, plan, 20, torch.Generator().manual_seed(0))
    torch.testing.assert_close(held(first, record, plan), record.x, rtol=0, atol=1e-12)
    moved = runs(LearntMixture(tilted(BROAD, 1.0)), plan, 20, torch.Generator().manual_seed(0))
    assert (held(first, moved, plan) - moved.x).abs().max() > 0.01


def test_the_held_end_of_one_estimate_is_the_first_models():
    plan, first = make_plan("seeds-1", GRID, eta=1.0), LearntMixture(BROAD)
    moved = runs(LearntMixture(tilted(BROAD, 1.0)), plan, 20, torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(
            held(first, moved, plan), first(moved.states[-2], float(GRID[-2]))
        )


def test_the_bound_is_the_samplers_own():
    """Of ends N(m, v) it is m + v / (2 beta): of one Gaussian, whose ends under seeds-1 are known."""
    law, eta = GaussianMixture.scalar((1.0,), (0.4,), (0.5,)), 1.0
    mean, variance = 0.0, float(GRID[0]) ** 2
    for s, t in itertools.pairwise(GRID):
        kept, weight = (t / s) ** (1 + eta), 0.25 / (0.25 + s**2)
        mean = kept * mean + (1 - kept) * (weight * mean + (1 - weight) * 0.4)
        gain = kept + (1 - kept) * weight
        variance = gain**2 * variance + t**2 * (1 - (t / s) ** (2 * eta))
    found = bound(law, make_plan("seeds-1", GRID, eta=eta), beta=2.0, count=20_000)
    assert abs(found.value - (mean + variance / 4)) < 4 * found.error
    assert abs(found.value - (0.4 + 0.25 / 4)) > 4 * found.error  # that of the data


def test_nothing_that_pays_for_all_it_does_exceeds_its_bound():
    """In the record; and what is not held does."""
    rows = json.loads(RECORD.read_text())["training"]
    for row in rows:
        for kind in ("trained", "small batches", "own weight"):
            value, error = row[kind]["held value"]
            assert value < row["bound"]["value"] + 4 * math.hypot(error, row["bound"]["error"])
    assert any(row["trained"]["value"][0] > row["bound"]["value"] for row in rows)


def test_small_batches_of_the_record_are_where_noise_exceeds_the_signal():
    rows = json.loads(RECORD.read_text())["training"]
    assert min(row["scatter"]["noise"] for row in rows) > policy_study.SMALL_BATCH


@pytest.mark.slow
def test_the_record_of_the_chapter_is_made_as_it_says():
    record = json.loads(RECORD.read_text())
    names = [contender.label for contender in policy_study.TRAINED]
    assert [row["sampler"] for row in record["training"]] == names
    assert record["floors"] == policy_study.rounded(policy_study.floors())
    assert len(record["laws"]) == len(policy_study.CONTENDERS) * 8
    solver, grid = member("seeds-3", 1.0).within(policy_study.TRAINED_CALLS)
    (row,) = [row for row in record["training"] if row["sampler"] == member("seeds-3", 1.0).label]
    again = policy_study.rounded(asdict(price(BROAD, solver.on(grid))))
    assert row["price"] == pytest.approx(again, rel=1e-3)

"""Policy gradients on a mixture: the optimum is what it is said to be, and gradients lead there."""

import math
import statistics

import pytest
import torch

from seeds_theory import GeneratorNoise, log_prob, make_plan, rollout
from seeds_theory.policies import policy
from toy_models.mixture import GaussianMixture
from toy_models.policy_gradient import LearntMixture, jackknife, runs, tilted, train, wasserstein

LAW = GaussianMixture.scalar((0.6, 0.4), (-1.0, 0.8), (0.4, 0.3))
SIGMAS = [9.0, 3.0, 1.0, 0.4, 0.0]


def test_the_tilted_law_is_the_law_weighed_by_the_reward():
    x = torch.linspace(-3, 3, 50, dtype=torch.float64)[:, None]
    change = tilted(LAW, 0.7).log_density(x) - LAW.log_density(x) - x[:, 0] / 0.7
    torch.testing.assert_close(change, change[:1].expand(50), rtol=0, atol=1e-12)


def test_the_learnt_mixture_begins_as_the_law():
    x = torch.linspace(-4, 4, 9, dtype=torch.float64)[:, None]
    for sigma in (0.1, 1.0, 20.0):
        torch.testing.assert_close(LearntMixture(LAW)(x, sigma), LAW(x, sigma))


def test_the_gradient_is_that_of_the_expected_reward():
    """The score function's estimates against differences of the ends on common noise, by groups."""
    plan, size = policy("flow-sde", SIGMAS).on(SIGMAS), 2000

    def ends(change, seed):
        moved = LearntMixture(LAW)
        with torch.no_grad():
            moved.means[0, 0] += change
        return runs(moved, plan, size, torch.Generator().manual_seed(seed)).x.mean()

    model, gaps = LearntMixture(LAW), []
    for seed in range(20):
        record = runs(model, plan, size, torch.Generator().manual_seed(seed))
        advantage = record.x[:, 0] - record.x.mean()
        path = (advantage * log_prob(model, record).sum(1)).sum() / (size - 1)
        # The last estimate is no noisy step and changes with the model too: its part is explicit.
        last = model(record.states[-2], SIGMAS[-2]).mean()
        (gradient,) = torch.autograd.grad(path + last, model.means)
        difference = (ends(1e-3, seed) - ends(-1e-3, seed)) / 2e-3
        gaps.append(float(gradient[0, 0] - difference))
    assert abs(statistics.mean(gaps)) < 4 * statistics.stdev(gaps) / math.sqrt(len(gaps))


def test_copies_are_models_of_their_own_parts_of_the_batch():
    x = torch.linspace(-3, 3, 6, dtype=torch.float64)[:, None]
    both, second = LearntMixture(LAW, 2), LearntMixture(LAW)
    both.means.data[1] += 0.3
    second.means.data += 0.3
    parts = [LearntMixture(LAW)(x[:3], 0.7), second(x[3:], 0.7)]
    torch.testing.assert_close(both(x, 0.7), torch.cat(parts))


def test_a_jackknife_of_a_mean_is_its_standard_error():
    values = torch.tensor([1.0, 4.0, 2.0, 7.0], dtype=torch.float64)
    left_out = [float(torch.cat([values[:n], values[n + 1 :]]).mean()) for n in range(4)]
    assert jackknife(left_out) == pytest.approx(float(values.std()) / 2)


@pytest.mark.slow
def test_training_comes_nearer_to_the_tilted_law():
    goal, plan = tilted(LAW, 1.0), make_plan("seeds-2", SIGMAS, eta=1.0)
    trained = train(LAW, plan, updates=60, batch=256)
    before, after = (
        wasserstein(runs(model, plan, 5000, torch.Generator().manual_seed(1)).x, goal)
        for model in (LearntMixture(LAW), trained)
    )
    assert after < 0.6 * before


def test_the_distance_of_quantiles_is_zero_and_of_a_shift_the_shift():
    shares = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    at = LAW.quantile(shares)
    assert wasserstein(at, LAW) < 1e-12
    assert wasserstein(at[:, None] + 0.25, LAW) == pytest.approx(0.25, abs=1e-12)


def test_runs_are_recorded_from_noise():
    plan = make_plan("seeds-1", SIGMAS, eta=1.0)
    record = runs(LAW, plan, 8, torch.Generator().manual_seed(2))
    generator = torch.Generator().manual_seed(2)
    start = 9 * torch.randn(8, 1, generator=generator, dtype=torch.float64)
    assert torch.equal(record.x, rollout(LAW, start, plan, GeneratorNoise(generator)).x)

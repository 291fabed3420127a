"""Standard errors and paired differences against a truth that is known: a Gaussian network."""

import itertools
import math

import numpy as np
import pytest
import torch

from gpu_runs.benchmarks import estimates
from gpu_runs.benchmarks.estimates import (
    Estimate,
    frechet_values,
    leaders,
    mean_values,
    paired_frechet_values,
    paired_kernel_values,
)
from gpu_runs.generation.shared_path import SharedPath, levels_of
from gpu_runs.scores.jackknife import pseudo_values
from gpu_runs.scores.statistics import FrechetReference, ScoreError, frechet_distance
from seeds_theory.grids import rho_grid
from seeds_theory.solver import Solver
from seeds_theory.sources import SeededNoise
from toy_models.gaussian import Gaussian
from toy_models.response import probe

DATA = Gaussian(torch.tensor([0.5, -1.0, 0.0]), torch.tensor([0.25, 1.0, 4.0]))
HIGH, LOW, IMAGES, TRIALS = 40.0, 0.02, 400, 40


def grid(steps):
    return rho_grid(HIGH, LOW, steps, rho=7, to_zero=True)


FINE = Solver("seeds-3", {"eta": 1.0})
FINE_GRID = grid(30)
LEVELS = levels_of(FINE, FINE_GRID)


def images(solver, levels, seeds):
    """Samples of the Gaussian network (n, 3), on the path that all share."""
    noise = SeededNoise(seeds)
    x = HIGH * noise.initial((3,), torch.float64)
    path = SharedPath.of(LEVELS, solver, levels)
    assert path is not None
    return solver(DATA, x, levels, path.source(noise, x)).numpy()


def law(solver, levels):
    """The exact mean and covariance of what a solver makes of unit noise on this network."""
    response = probe(lambda D, start, noise: solver(D, start, levels, noise), DATA)
    return response.offset.numpy(), np.diag(response.variance(HIGH**2).numpy())


@pytest.fixture(scope="module")
def trials():
    """For many blocks of seeds: the fine solution and two samplers, and the exact laws of all three."""
    coarse = Solver("seeds-1", {"eta": 1.0}), grid(8)
    other = Solver("sde-dpm-solver++-2m", {"eta": 1.0}), grid(8)
    cases = [(FINE, FINE_GRID), coarse, other]
    blocks = [range(n * IMAGES, (n + 1) * IMAGES) for n in range(TRIALS)]
    samples = [[images(*case, seeds) for case in cases] for seeds in blocks]
    return samples, [law(*case) for case in cases]


@pytest.mark.slow
def test_the_paired_distance_and_its_error_cover_the_truth(trials):
    samples, laws = trials
    for which in (1, 2):
        truth = frechet_distance(*laws[which], *laws[0])
        found = [Estimate({0: paired_frechet_values(block[which], block[0])}) for block in samples]
        covers([(e.value - truth) / e.error for e in found])
        # Far below what the two samples would give if their seeds were not the same.
        apart = [
            Estimate({0: paired_frechet_values(a[which], b[0])})
            for a, b in itertools.pairwise(samples)
        ]
        assert np.mean([e.error for e in found]) < 0.7 * np.mean([e.error for e in apart])


@pytest.mark.slow
def test_the_difference_of_two_samplers_has_an_error_of_its_own(trials):
    samples, laws = trials
    truth = frechet_distance(*laws[1], *laws[0]) - frechet_distance(*laws[2], *laws[0])
    ratios, alone = [], []
    for block in samples:
        one, two = (Estimate({0: paired_frechet_values(block[n], block[0])}) for n in (1, 2))
        difference = one.minus(two)
        ratios.append((difference.value - truth) / difference.error)
        alone.append(math.hypot(one.error, two.error) / difference.error)
    covers(ratios)
    # On these data the two err to opposite sides: as if independent, the error would be too small.
    assert np.mean(alone) < 0.95


@pytest.mark.slow
def test_the_distance_to_a_fixed_law_loses_its_bias(trials):
    samples, laws = trials
    truth = frechet_distance(*laws[1], *laws[0])
    found = [
        Estimate({0: frechet_values(block[1], FrechetReference(*laws[0]))}) for block in samples
    ]
    covers([(e.value - truth) / e.error for e in found])


@pytest.mark.slow
def test_the_kernel_distance_is_unbiased_for_coupled_seeds(trials):
    samples, laws = trials
    points, weights = np.polynomial.hermite_e.hermegauss(4)
    nodes = np.stack(np.meshgrid(points, points, points, indexing="ij"), -1).reshape(-1, 3)
    weight = np.prod(
        np.stack(np.meshgrid(weights, weights, weights, indexing="ij"), -1).reshape(-1, 3), 1
    )
    weight /= weight.sum()
    x, y = (mean + nodes * np.sqrt(np.diag(cov)) for mean, cov in (laws[1], laws[0]))

    def mean_of(a, b):  # exact: the kernel has degree 3 in each coordinate
        return weight @ (a @ b.T / 3 + 1) ** 3 @ weight

    truth = mean_of(x, x) + mean_of(y, y) - 2 * mean_of(x, y)
    found = [Estimate({0: paired_kernel_values(block[1], block[0])}) for block in samples]
    covers([(e.value - truth) / e.error for e in found])
    # The unpaired sums of one block, by the definition.
    a, b = samples[0][1][:30], samples[0][0][:30]
    pairs = [
        (a[i] @ a[j] / 3 + 1) ** 3 + (b[i] @ b[j] / 3 + 1) ** 3
        - (a[i] @ b[j] / 3 + 1) ** 3 - (a[j] @ b[i] / 3 + 1) ** 3
        for i in range(30) for j in range(30) if i != j
    ]  # fmt: skip
    values = paired_kernel_values(a, b)
    whole = np.mean(pairs)
    member = estimates.groups_of(30)
    keep, share = member != 3, 30 / np.sum(member == 3)
    assert len(values) == 20
    inner = [
        pair for (i, j), pair in zip(
            ((i, j) for i in range(30) for j in range(30) if i != j), pairs, strict=True
        ) if keep[i] and keep[j]
    ]  # fmt: skip
    assert values[3] == pytest.approx(share * whole - (share - 1) * np.mean(inner))


def covers(ratios):
    """Errors over their standard errors have mean 0 and mean square 1, within four standard errors."""
    ratios = np.array(ratios)
    assert abs(ratios.mean()) < 4 * ratios.std() / math.sqrt(len(ratios))
    squares = ratios**2
    assert abs(squares.mean() - 1) < 4 * squares.std() / math.sqrt(len(ratios))


def test_pseudo_values_of_a_mean_are_those_of_its_groups():
    values = np.arange(40.0) ** 2
    found = mean_values(values)
    member = estimates.groups_of(40)
    groups = [values[member == g].mean() for g in range(20)]
    assert sorted(np.bincount(member)) == [2] * 20
    np.testing.assert_allclose(found, groups)
    estimate = Estimate({0: found, 1: found})
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.error == pytest.approx(np.std(groups * 2, ddof=1) / math.sqrt(40))
    # A quadratic statistic loses its bias: the squared mean of n values has that of their variance / n.
    draws = np.random.default_rng(0).normal(size=10)
    without = [np.delete(draws, g).mean() ** 2 for g in range(10)]
    corrected = np.mean(pseudo_values(draws.mean() ** 2, without, [1] * 10))
    assert corrected == pytest.approx(draws.mean() ** 2 - draws.var(ddof=1) / 10)


def test_a_bias_in_one_over_n_is_gone_from_each_pseudo_value_whatever_the_sizes():
    sizes = [1, 4, 2, 7]
    biased = [3 + 5 / (14 - size) for size in sizes]
    assert pseudo_values(3 + 5 / 14, biased, sizes) == pytest.approx([3] * 4)


@pytest.mark.parametrize("classes", [3, 10, 20])
def test_classes_in_turn_do_not_follow_the_groups(classes):
    """Images whose class is their seed's number, as of the labels "cycle"."""
    values = np.arange(2000) % classes + np.random.default_rng(0).standard_normal(2000)
    found = Estimate({0: mean_values(values)})
    # The scatter is that of independent images: by a chi-square with 19 degrees of freedom.
    expected = values.std() / math.sqrt(2000)
    assert abs(found.error**2 / expected**2 - 1) < 4 * math.sqrt(2 / 19)


def test_only_common_blocks_are_compared():
    first = Estimate({0: (1.0, 2.0), 1: (5.0, 7.0)})
    second = Estimate({1: (1.0, 1.0), 2: (9.0, 9.0)})
    assert first.minus(second).values == {1: (4.0, 6.0)}
    assert first.minus(Estimate({2: (1.0, 1.0)})) is None
    assert leaders({}) == set()
    assert leaders({"a": first, "b": Estimate({0: (0.0, 9.0)})}) == {"a", "b"}
    assert leaders({"a": first, "b": Estimate({0: (4.0, 5.0)})}) == {"a"}


def test_too_few_seeds_are_refused():
    with pytest.raises(ScoreError, match="needs two seeds or more; got 1"):
        mean_values(np.ones(1))
    with pytest.raises(ScoreError, match="needs four seeds or more; got 3"):
        paired_kernel_values(np.ones((3, 2)), np.ones((3, 2)))
    assert sorted(estimates.groups_of(5)) == [0, 1, 2, 3, 4]

import math
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
import torch

from gpu_runs.scores.statistics import (
    ClassScore,
    FeatureStatistics,
    FrechetReference,
    ScoreError,
    frechet_distance,
    frechet_floor,
    half_distance,
    kernel_distance,
    precision_recall,
)

ORACLE = Path(__file__).parents[1] / "data" / "edm" / "fid_arith.npz"


@pytest.fixture(scope="module")
def oracle():
    with np.load(ORACLE) as arrays:
        return dict(arrays)


def distance(first, second):
    return frechet_distance(first.mean, first.covariance, second.mean, second.covariance)


@pytest.mark.parametrize("case", ["d8_n200", "d64_n1000", "d64_n40"])
def test_statistics_are_those_of_edm(oracle, case):
    for which in "12":
        statistics = FeatureStatistics.of(oracle[f"{case}_feat{which}"])
        np.testing.assert_allclose(statistics.mean, oracle[f"{case}_mu{which}"], rtol=0, atol=1e-13)
        sigma = oracle[f"{case}_sigma{which}"]
        np.testing.assert_allclose(
            statistics.covariance, sigma, rtol=0, atol=1e-13 * np.abs(sigma).max()
        )


@pytest.mark.parametrize(
    # 40 features in 64 dimensions: the square root of a singular product, which scipy takes, loses
    # half of the digits.
    ("case", "tolerance"),
    [("d8_n200", 1e-12), ("d64_n1000", 1e-12), ("d64_n40", 5e-8)],
)
def test_frechet_distance_agrees_with_edm(oracle, case, tolerance):
    parts = [oracle[f"{case}_{part}"] for part in ("mu1", "sigma1", "mu2", "sigma2")]
    assert frechet_distance(*parts) == pytest.approx(float(oracle[f"{case}_fid"]), rel=tolerance)


@pytest.mark.parametrize("case", ["d8_n200", "d64_n1000", "d64_n40"])
def test_frechet_distance_is_exact_also_where_covariances_are_singular(oracle, case):
    first, second = (oracle[f"{case}_feat{which}"] for which in "12")
    x, y = ((f - f.mean(axis=0)) / math.sqrt(len(f) - 1) for f in (first, second))
    # With C = X'X the trace of (C_x C_y)^(1/2) is the nuclear norm of X Y'.
    exact = np.square(first.mean(axis=0) - second.mean(axis=0)).sum()
    exact += np.square(x).sum() + np.square(y).sum() - 2 * np.linalg.norm(x @ y.T, "nuc")
    value = distance(FeatureStatistics.of(first), FeatureStatistics.of(second))
    assert value == pytest.approx(exact, rel=1e-12)


def test_frechet_distance_of_diagonal_covariances():
    variances = np.array([4.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0])
    means = np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 3.0])
    value = frechet_distance(means[0], np.diag(variances[0]), means[1], np.diag(variances[1]))
    assert value == pytest.approx(4 + (2 - 1) ** 2 + 1, rel=1e-14)
    assert (
        frechet_distance(means[0], np.diag(variances[0]), means[0], np.diag(variances[0])) < 1e-28
    )


@pytest.mark.parametrize(
    ("mean", "covariance", "match"),
    [
        (np.zeros(2), np.eye(2), "same features are compared"),
        (np.zeros(3), np.diag([1.0, 1.0, -0.1]), "no negative eigenvalues; got -0.1"),
        (np.zeros(3), np.full((3, 3), np.nan), "finite"),
        (np.full(3, np.inf), np.eye(3), "finite"),
    ],
)
def test_what_has_no_frechet_distance(mean, covariance, match):
    with pytest.raises(ScoreError, match=match):
        frechet_distance(np.zeros(3), np.eye(3), mean, covariance)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_statistics_do_not_depend_on_sharding(world, offset):
    generator = np.random.default_rng(world)
    features = offset + generator.standard_normal((500, 12)) @ generator.standard_normal((12, 12))
    shuffled = generator.permutation(features)
    # Uneven shards, each in batches of 30 and a rest.
    ends = np.sort(generator.choice(np.arange(1, 500), world - 1, replace=False))
    shards = [
        reduce(
            FeatureStatistics.merge,
            [FeatureStatistics.of(shard[i : i + 30]) for i in range(0, len(shard), 30)],
        )
        for shard in np.split(shuffled, ends)
    ]
    merged = reduce(FeatureStatistics.merge, shards)
    assert merged.count == 500
    np.testing.assert_allclose(merged.mean, features.mean(axis=0), rtol=1e-9)
    expected = np.cov(features - offset, rowvar=False)
    np.testing.assert_allclose(merged.covariance, expected, atol=1e-9 * np.abs(expected).max())


def test_statistics_refuse_what_are_no_features():
    with pytest.raises(ScoreError, match=r"shape \(n, d\)"):
        FeatureStatistics.of(np.zeros((0, 4)))
    with pytest.raises(ScoreError, match="finite; got nan"):
        FeatureStatistics.of(torch.tensor([[1.0, math.nan]]))
    with pytest.raises(ScoreError, match="of 3 and of 4 features"):
        FeatureStatistics.of(np.zeros((2, 3))).merge(FeatureStatistics.of(np.zeros((2, 4))))
    with pytest.raises(ScoreError, match="at least two images; got 1"):
        _ = FeatureStatistics.of(np.zeros((1, 4))).covariance


def test_floor_is_the_mean_distance_of_samples_of_one_gaussian():
    generator = np.random.default_rng(3)
    scales = np.array([3.0, 1.0, 1.0, 0.2, 0.0])
    n, m = 400, 900
    values = np.array(
        [
            distance(
                *(
                    FeatureStatistics.of(generator.standard_normal((size, 5)) * scales)
                    for size in (n, m)
                )
            )
            for _ in range(400)
        ]
    )
    error = values.std() / math.sqrt(len(values))
    floor = frechet_floor(np.diag(scales**2), n, m)
    assert abs(values.mean() - floor) < 4 * error
    assert error < 0.05 * floor


def test_halves_of_a_set_are_about_the_floor_apart():
    features = np.random.default_rng(0).standard_normal((4000, 20))
    value = half_distance(features)
    assert value == pytest.approx(frechet_floor(np.eye(20), 2000, 2000), rel=0.2)
    assert value == half_distance(features, seed=0) != half_distance(features, seed=1)


def laws(d):
    """Two Gaussians and their Frechet distance: covariances that do not commute, means apart."""
    generator = np.random.default_rng(7)
    roots = [generator.standard_normal((d, d)) / math.sqrt(d) + np.eye(d) for _ in range(2)]
    means = np.zeros(d), np.full(d, 0.1)
    truth = frechet_distance(means[0], roots[0] @ roots[0].T, means[1], roots[1] @ roots[1].T)
    return means, roots, truth


def groups_of(features, count=10):
    return [FeatureStatistics.of(part) for part in np.array_split(features, count)]


def test_statistics_without_a_part_are_those_of_the_rest():
    features = 1e3 + np.random.default_rng(0).standard_normal((300, 6)) * np.arange(1, 7)
    rest = FeatureStatistics.of(features).without(FeatureStatistics.of(features[:70]))
    expected = FeatureStatistics.of(features[70:])
    assert rest.count == 230
    np.testing.assert_allclose(rest.mean, expected.mean, rtol=1e-13)
    np.testing.assert_allclose(rest.scatter, expected.scatter, atol=1e-9)


@pytest.mark.parametrize("equal", [True, False])
def test_the_extrapolated_distance_has_no_bias_in_the_number_of_images(equal):
    d, n, runs = 20, 600, 60
    means, roots, truth = laws(d)
    if equal:
        means, roots, truth = (means[0], means[0]), (roots[0], roots[0]), 0.0
    reference = FrechetReference(means[0], roots[0] @ roots[0].T)
    generator = np.random.default_rng(1)
    plain, limits, errors = [], [], []
    for _ in range(runs):
        groups = groups_of(means[1] + generator.standard_normal((n, d)) @ roots[1].T)
        plain.append(reference.distance(reduce(FeatureStatistics.merge, groups)))
        value, error = reference.limit(groups)
        limits.append(value)
        errors.append(error)
    scatter = np.std(limits) / math.sqrt(runs)
    # What it leaves is of order 1/n^2: the bias of the plain distance, squared, or less.
    assert abs(np.mean(limits) - truth) < 4 * scatter
    assert np.mean(plain) - truth > 4 * np.std(plain) / math.sqrt(runs)
    single = sum(
        abs(value - truth) < 4 * error for value, error in zip(limits, errors, strict=True)
    )
    assert single >= runs - 2  # of Student's t with 9 degrees of freedom 0.3 % lie beyond
    # Where both laws agree the distance has no linear term: the jackknife's variance is twice the true one.
    expected = math.sqrt(0.5) if equal else 1.0
    ratio = np.std(limits) / np.sqrt(np.mean(np.square(errors)))
    assert abs(ratio / expected - 1) < 4 * math.sqrt((1 + 1 / 9) / (2 * runs))


def test_the_extrapolated_distance_of_uneven_groups_and_of_its_formula():
    d = 5
    means, roots, _ = laws(d)
    reference = FrechetReference(means[0], roots[0] @ roots[0].T)
    features = np.random.default_rng(2).standard_normal((400, d))
    parts = np.split(features, [150, 210, 300])
    value, error = reference.limit([FeatureStatistics.of(part) for part in parts])
    whole = reference.distance(FeatureStatistics.of(features))
    pseudo, shares = [], []
    for k, part in enumerate(parts):
        rest = np.concatenate(parts[:k] + parts[k + 1 :])
        share = 400 / len(part)
        shares.append(share)
        pseudo.append(share * whole - (share - 1) * reference.distance(FeatureStatistics.of(rest)))
    expected = np.average(pseudo, weights=[1 / share for share in shares])
    assert value == pytest.approx(expected, rel=1e-9)
    variance = np.mean([(p - value) ** 2 / (s - 1) for p, s in zip(pseudo, shares, strict=True)])
    assert error == pytest.approx(math.sqrt(variance), rel=1e-6)
    with pytest.raises(ScoreError, match="two or more groups; got 1"):
        reference.limit(groups_of(features, 1))


def test_kernel_distance_is_the_unbiased_estimate_over_all_pairs(monkeypatch):
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((7, 3)), generator.standard_normal((9, 3)) + 1

    def kernel(a, b):
        return (float(a @ b) / 3 + 1) ** 3

    terms = []
    for a, b, sign in ((x, x, 1), (y, y, 1), (x, y, -2)):
        pairs = [
            kernel(a[i], b[j]) for i in range(len(a)) for j in range(len(b)) if a is not b or i != j
        ]
        terms.append(sign * sum(pairs) / len(pairs))
    whole = kernel_distance(x, y)
    assert whole[0] == pytest.approx(sum(terms), rel=1e-12)
    assert kernel_distance(y, x) == pytest.approx(whole, rel=1e-12)
    monkeypatch.setattr("gpu_runs.scores.statistics._ROWS", 2)
    assert kernel_distance(x, y) == pytest.approx(whole, rel=1e-12)
    order = generator.permutation(7)
    assert kernel_distance(x[order], y) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize(
    ("shift", "sizes"), [(0.0, (150, 150)), (0.0, (80, 600)), (0.5, (80, 600))]
)
def test_kernel_distance_scatters_as_its_error_says(shift, sizes):
    generator = np.random.default_rng(1)
    values, errors = [], []
    for _ in range(200):
        first, second = (generator.standard_normal((size, 6)) for size in sizes)
        value, error = kernel_distance(first + shift, second)
        values.append(value)
        errors.append(error)
    truth = _kernel_of_normals(shift)
    assert abs(np.mean(values) - truth) < 4 * np.std(values) / math.sqrt(200)
    assert 0.75 < np.sqrt(np.mean(np.square(errors))) / np.std(values) < 1.35


def _kernel_of_normals(shift, d=6):
    """The squared MMD of N(shift, 1) and N(0, 1) in d dimensions, by moments of x.y / d + 1."""

    # Given x, x.y is normal with mean x.m' and variance |x|^2: E (a + b z)^3 = a^3 + 3 a b^2.
    def mean(m, other):
        # x = m + u: x.m' has mean m.m' and variance |m'|^2; |x|^2 and its product with x.m' by moments.
        dot, own, far = d * m * other, d * m * m, d * other * other
        first = 1 + dot / d
        spread = far / d**2
        cube = first**3 + 3 * first * spread
        norm = d + own
        cross = 2 * dot / d  # covariance of x.m' / d with |x|^2
        return cube + 3 / d**2 * (first * norm + cross)

    return mean(shift, shift) + mean(0, 0) - 2 * mean(shift, 0)


def test_all_pairs_scatter_less_than_blocks_of_them():
    generator = np.random.default_rng(3)
    whole, blocks = [], []
    for _ in range(40):
        first, second = generator.standard_normal((200, 8)), generator.standard_normal((1000, 8))
        whole.append(kernel_distance(first, second)[0])
        pairs = zip(first.reshape(10, 20, 8), second[:200].reshape(10, 20, 8), strict=True)
        blocks.append(np.mean([kernel_distance(x, y)[0] for x, y in pairs]))
    assert np.std(whole) < np.std(blocks) / 2


def test_kernel_distance_refuses_too_few_or_unlike_features():
    with pytest.raises(ScoreError, match=r"four or more features \(n, d\); got \(3, 2\)"):
        kernel_distance(np.zeros((20, 2)), np.zeros((3, 2)))
    with pytest.raises(ScoreError, match="got 2 and 3"):
        kernel_distance(np.zeros((20, 2)), np.zeros((20, 3)))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_features_that_are_not_finite_have_no_score(value):
    good = np.random.default_rng(0).standard_normal((20, 2))
    bad = good.copy()
    bad[3, 1] = value
    for score in (kernel_distance, precision_recall):
        for pair in ((good, bad), (bad, good)):
            with pytest.raises(ScoreError, match="features are finite; got nan or inf"):
                score(*pair)
    with pytest.raises(ScoreError, match="too large for a kernel"):
        kernel_distance(1e200 * good, good)


def test_class_score_of_certain_and_of_uninformed_classes():
    certain = np.eye(4)[np.arange(400) // 100]  # sorted by class, as a folder may be
    assert ClassScore.of(certain, np.arange(400)).result() == pytest.approx((4, 0))
    uninformed = np.full((400, 4), 0.25)
    assert ClassScore.of(uninformed, np.arange(400)).result() == pytest.approx((1, 0), abs=1e-12)


def test_class_score_is_the_mean_over_splits_and_merges():
    p = np.random.default_rng(0).dirichlet(np.ones(5), 60)
    scores = []
    for split in range(3):
        part = p[split::3]
        scores.append(math.exp(np.mean(np.sum(part * np.log(part / part.mean(axis=0)), axis=1))))
    parts = [ClassScore.of(p[i], i, splits=3) for i in np.array_split(np.arange(60), 4)]
    expected = np.mean(scores), np.std(scores)
    assert reduce(ClassScore.merge, parts).result() == pytest.approx(expected, rel=1e-12)


def test_class_score_needs_an_image_in_every_split():
    with pytest.raises(ScoreError, match="each of 10 splits; got 9 images"):
        ClassScore.of(np.full((9, 2), 0.5), np.arange(9)).result()


def test_precision_and_recall_of_half_of_the_data():
    generator = np.random.default_rng(0)
    near, far = generator.standard_normal((2, 200, 5))
    real = np.concatenate([near[:100], far[:100] + 100])
    fake = near[100:]
    precision, recall = precision_recall(real, fake)
    # The fake half covers its cluster about as well as the real half does, and nothing else.
    within_cluster = precision_recall(near[:100], fake)
    assert precision == pytest.approx(within_cluster[0], abs=0.05)
    assert precision > 0.5
    assert recall == within_cluster[1] / 2
    assert precision_recall(fake, fake) == (1, 1)


def test_precision_and_recall_by_the_definition():
    generator = np.random.default_rng(0)
    real, fake = generator.standard_normal((30, 4)), 1.5 * generator.standard_normal((40, 4))

    def covered(points, others):
        reach = np.array([np.sort(np.linalg.norm(points - p, axis=1))[3] for p in points])
        radii = np.minimum(reach, np.sort(reach)[(len(reach) - 1) // 2])
        hits = [
            any(np.linalg.norm(p - other) <= r for p, r in zip(points, radii, strict=True))
            for other in others
        ]
        return np.mean(hits)

    assert precision_recall(real, fake) == (covered(real, fake), covered(fake, real))


def test_an_outlier_does_not_cover_what_is_far_from_all():
    generator = np.random.default_rng(0)
    real = generator.standard_normal((300, 8))
    real[0] = (
        30.0  # its third neighbour is far, and a ball of that radius reaches the rest of space
    )
    noise = 12 + generator.standard_normal((300, 8))
    assert precision_recall(real, noise)[0] == 0


def test_precision_and_recall_refuse_too_few_or_unlike_features():
    with pytest.raises(ScoreError, match="more than 3 features"):
        precision_recall(np.zeros((3, 2)), np.zeros((10, 2)))
    with pytest.raises(ScoreError, match="got 2 and 3"):
        precision_recall(np.zeros((10, 2)), np.zeros((10, 3)))

"""How far apart two sets of features are: Frechet and kernel distance, precision and recall.

Everything here is arithmetic on features (n, d), in float64 and without images or networks. Sums
are exact under merging: what several processes saw adds up to what one would have seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seeds_theory.errors import SeedsError
from toy_models.gaussian import Gaussian
from toy_models.gaussian import frechet_distance as w2_distance


class ScoreError(SeedsError):
    """Features or statistics from which the score that was asked for cannot be had."""


@dataclass
class FeatureStatistics:
    """Count, mean (d,) and scatter (d, d) of features; the scatter is about the mean.

    Merges follow Chan, Golub & LeVeque (1979): no large sums are subtracted, so that the result
    depends on order and sharding by rounding only, wherever the mean lies.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, features: Tensor | np.ndarray) -> FeatureStatistics:
        """Of features (n, d), n >= 1. Raises ScoreError for other shapes or values not finite."""
        values = np.asarray(features, dtype=np.float64)
        if values.ndim != 2 or not len(values):
            raise ScoreError(f"features have the shape (n, d), n >= 1; got {values.shape}")
        if not np.isfinite(values).all():
            raise ScoreError("features are finite; got nan or inf: look at the images")
        mean = values.mean(axis=0)
        centred = values - mean
        return cls(len(values), mean, centred.T @ centred)

    def merge(self, other: FeatureStatistics) -> FeatureStatistics:
        """Of the features of both. Raises ScoreError if they differ in size."""
        if self.mean.shape != other.mean.shape:
            raise ScoreError(
                f"statistics of {len(self.mean)} and of {len(other.mean)} features do not merge"
            )
        count = self.count + other.count
        shift = other.mean - self.mean
        return FeatureStatistics(
            count,
            self.mean + shift * (other.count / count),
            self.scatter
            + other.scatter
            + np.outer(shift, shift) * (self.count * other.count / count),
        )

    @property
    def covariance(self) -> np.ndarray:
        """(d, d), divided by count - 1. Raises ScoreError for fewer than two features."""
        if self.count < 2:
            raise ScoreError(f"a covariance needs at least two images; got {self.count}")
        return self.scatter / (self.count - 1)


def frechet_distance(
    mean1: np.ndarray, covariance1: np.ndarray, mean2: np.ndarray, covariance2: np.ndarray
) -> float:
    """The squared W2 distance of two Gaussians, which Heusel et al. (2017) call FID.

    Means (d,), covariances (d, d), which may be singular: no square root of a product is taken.
    Raises ScoreError for sizes that differ and for what is not a covariance.
    """
    sizes = [np.shape(part) for part in (mean1, covariance1, mean2, covariance2)]
    d = len(mean1)
    if sizes != [(d,), (d, d), (d,), (d, d)]:
        raise ScoreError(
            "two means (d,) and covariances (d, d) of the same features are compared; "
            f"got shapes {', '.join(map(str, sizes))}"
        )
    return w2_distance(_gaussian(mean1, covariance1), _gaussian(mean2, covariance2)) ** 2


def _gaussian(mean: np.ndarray, covariance: np.ndarray) -> Gaussian:
    """With eigenvalues that are negative by rounding, also by that of float32, taken as zero."""
    symmetric = torch.as_tensor((covariance + covariance.T) / 2, dtype=torch.float64)
    if not (symmetric.isfinite().all() and np.isfinite(mean).all()):
        raise ScoreError("means and covariances are finite; got nan or inf")
    variances, basis = torch.linalg.eigh(symmetric)
    if variances[0] < -1e-6 * variances[-1].abs():
        raise ScoreError(f"a covariance has no negative eigenvalues; got {variances[0]:.3g}")
    return Gaussian(torch.as_tensor(mean), variances.clamp(min=0), basis)


def frechet_floor(covariance: np.ndarray, count: int, reference_count: int) -> float:
    r"""The Frechet distance to expect between samples of one and the same Gaussian.

    The distance is biased: even real images do not score 0. To first order in 1/count it is

    .. math:: (1/n + 1/m) \Bigl(\mathrm{tr}\,C
        + \tfrac12 \sum_{ij} (1 + \delta_{ij}) \lambda_i \lambda_j / (\lambda_i + \lambda_j)\Bigr)

    with eigenvalues lambda of C: the error of the means, and half the squared error of the
    covariances weighted by 1 / (lambda_i + lambda_j), the curvature of the squared distance.
    Features are not Gaussian, so this says how large the floor is, not more.
    """
    values = np.linalg.eigvalsh(covariance).clip(min=0)
    values = values[values > 1e-12 * values.max(initial=1e-300)]
    pairs = np.outer(values, values) / np.add.outer(values, values)
    spread = values.sum() + (pairs.sum() + np.trace(pairs)) / 2
    return float((1 / count + 1 / reference_count) * spread)


def half_distance(features: Tensor | np.ndarray, seed: int = 0) -> float:
    """The Frechet distance between two random halves of features (n, d): what equal laws score."""
    values = np.asarray(features)
    order = np.random.default_rng(seed).permutation(len(values))
    halves = [FeatureStatistics.of(values[part]) for part in np.array_split(order, 2)]
    return frechet_distance(
        halves[0].mean, halves[0].covariance, halves[1].mean, halves[1].covariance
    )


def kernel_distance(
    first: Tensor | np.ndarray, second: Tensor | np.ndarray, *, blocks: int = 10, seed: int = 0
) -> tuple[float, float]:
    """The kernel distance of features (n, d) and (m, d), and its standard error.

    In Inception's features it is the KID of Binkowski et al. (2018): the
    unbiased estimate of the squared MMD with the kernel (x.y / d + 1)^3, averaged over
    disjoint random blocks of both sets. Blocks that share no feature are independent, so their
    scatter gives the standard error; the average is unbiased for any number of blocks.
    """
    generator = np.random.default_rng(seed)
    parts = []
    for features in (first, second):
        values = np.asarray(features, dtype=np.float64)
        size = len(values) // blocks
        if size < 2 or blocks < 2:
            raise ScoreError(
                "a kernel distance takes 2 or more blocks of at least 2 features; got "
                f"{len(values)} features and {blocks} blocks"
            )
        order = generator.permutation(len(values))[: size * blocks]
        parts.append(values[order].reshape(blocks, size, -1))
    if parts[0].shape[2] != parts[1].shape[2]:
        raise ScoreError(
            f"features of one network are compared; got {parts[0].shape[2]} and {parts[1].shape[2]}"
        )
    estimates = np.array([_squared_mmd(x, y) for x, y in zip(*parts, strict=True)])
    return float(estimates.mean()), float(estimates.std(ddof=1) / np.sqrt(blocks))


def _squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def mean_of_pairs(a: np.ndarray) -> float:
        values = kernel(a, a)
        return (values.sum() - np.trace(values)) / (len(a) * (len(a) - 1))

    return float(mean_of_pairs(x) + mean_of_pairs(y) - 2 * kernel(x, y).mean())


@dataclass
class ClassScore:
    """Sums over class probabilities, streaming: with Inception's classes, the Inception Score.

    Image i counts in split i mod splits, so that a folder sorted by class is no different from a
    shuffled one. entropies : (splits,), sums of p log p. probabilities : (splits, classes), sums of
    p. counts : (splits,).
    """

    counts: np.ndarray
    entropies: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def of(
        cls, probabilities: Tensor | np.ndarray, indices: np.ndarray, splits: int = 10
    ) -> ClassScore:
        """Of probabilities (n, classes) of the images with these indices (n,)."""
        p = np.asarray(probabilities, dtype=np.float64)
        member = (np.arange(splits)[:, None] == np.asarray(indices) % splits).astype(np.float64)
        logs = np.log(p, out=np.zeros_like(p), where=p > 0)
        return cls(member.sum(axis=1), member @ (p * logs).sum(axis=1), member @ p)

    def merge(self, other: ClassScore) -> ClassScore:
        """Of the images of both."""
        return ClassScore(
            self.counts + other.counts,
            self.entropies + other.entropies,
            self.probabilities + other.probabilities,
        )

    def result(self) -> tuple[float, float]:
        """Mean and standard deviation over the splits of exp(mean KL(p(class | image) | p(class))).

        Raises ScoreError if a split has no image.
        """
        if not self.counts.all():
            raise ScoreError(
                f"a class score needs an image in each of {len(self.counts)} splits; "
                f"got {int(self.counts.sum())} images"
            )
        marginal = self.probabilities / self.counts[:, None]
        logs = np.log(marginal, out=np.zeros_like(marginal), where=marginal > 0)
        scores = np.exp(self.entropies / self.counts - (marginal * logs).sum(axis=1))
        return float(scores.mean()), float(scores.std())


def precision_recall(
    real: Tensor | np.ndarray, fake: Tensor | np.ndarray, *, neighbours: int = 3
) -> tuple[float, float]:
    """Precision and recall of features (n, d) and (m, d), after Kynkaanniemi et al. (2019).

    A set covers the balls around its points that reach to their k-th nearest neighbours, but no farther than the
    median of these distances. Precision is the share of the fake features that the real set covers, recall the
    converse. Both depend on the sizes of the sets: compare at equal sizes only.

    In the paper the radii have no such bound, and the few outliers of a set cover much of the space that
    is far from all the others: noise scores a precision of one half. The bound is that of the paper's
    realism score, which leaves out the larger half of the balls.
    """
    sets = [torch.as_tensor(features).double() for features in (real, fake)]
    for values in sets:
        if values.ndim != 2 or len(values) <= neighbours:
            raise ScoreError(
                f"{neighbours} neighbours need more than {neighbours} features (n, d); "
                f"got {tuple(values.shape)}"
            )
    if sets[0].shape[1] != sets[1].shape[1]:
        raise ScoreError(
            f"features of one network are compared; got {sets[0].shape[1]} and {sets[1].shape[1]}"
        )
    return _covered(sets[0], sets[1], neighbours), _covered(sets[1], sets[0], neighbours)


_ROWS = 1024  # of a matrix of distances at a time


def _covered(points: Tensor, others: Tensor, neighbours: int) -> float:
    """The share of `others` inside a ball around one of the points, of at most the median radius."""
    # The point itself is the nearest of all: the k-th neighbour is the (k+1)-th smallest distance.
    radii = torch.cat(
        [torch.cdist(rows, points).kthvalue(neighbours + 1).values for rows in points.split(_ROWS)]
    )
    radii = radii.clamp(max=radii.median())
    inside = [(torch.cdist(rows, points) <= radii).any(dim=1) for rows in others.split(_ROWS)]
    return float(torch.cat(inside).double().mean())

"""How far apart two sets of features are: Frechet and kernel distance, precision and recall.

Everything here is arithmetic on features (n, d), in float64 and without images or networks. Sums
are exact under merging: what several processes saw adds up to what one would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from gpu_runs.scores.jackknife import pseudo_values
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
        """Of features (n, d), n >= 1, summed on their device if it has float64.

        Raises ScoreError for other shapes or values not finite.
        """
        values = torch.as_tensor(features)
        values = values.double() if values.device.type != "mps" else values.cpu().double()
        if values.ndim != 2 or not len(values):
            raise ScoreError(f"features have the shape (n, d), n >= 1; got {tuple(values.shape)}")
        mean = values.mean(dim=0)
        centred = values - mean
        scatter = centred.T @ centred
        if not (scatter.isfinite().all() and mean.isfinite().all()):
            raise ScoreError("features are finite; got nan or inf: look at the images")
        return cls(len(values), mean.cpu().numpy(), scatter.cpu().numpy())

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

    def without(self, part: FeatureStatistics) -> FeatureStatistics:
        """Of all features but those of a part, which are fewer: the converse of `merge`."""
        count = self.count - part.count
        shift = (self.mean - part.mean) * (self.count / count)  # of the rest from the part
        return FeatureStatistics(
            count,
            part.mean + shift,
            self.scatter
            - part.scatter
            - np.outer(shift, shift) * (count * part.count / self.count),
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
    symmetric = torch.as_tensor(covariance / 2 + covariance.T / 2, dtype=torch.float64)
    if not (symmetric.isfinite().all() and np.isfinite(mean).all()):
        raise ScoreError("means and covariances are finite; got nan or inf")
    variances, basis = torch.linalg.eigh(symmetric)
    if variances[0] < -1e-6 * variances[-1].abs():
        raise ScoreError(f"a covariance has no negative eigenvalues; got {variances[0]:.3g}")
    return Gaussian(torch.as_tensor(mean), variances.clamp(min=0), basis)


class FrechetReference:
    """A Gaussian that many others are compared with: its covariance is decomposed once.

    mean (d,), covariance (d, d), which may be singular. Raises ScoreError for what is not a covariance.
    """

    def __init__(self, mean: np.ndarray, covariance: np.ndarray) -> None:
        self.gaussian = _gaussian(mean, covariance)
        assert self.gaussian.basis is not None
        scaled = self.gaussian.basis * self.gaussian.variances.sqrt()
        self._root = scaled @ self.gaussian.basis.mT

    def distance(self, statistics: FeatureStatistics) -> float:
        """The Frechet distance of features of these statistics; equal to `frechet_distance`."""
        other = _gaussian(statistics.mean, statistics.covariance)
        return w2_distance(other, self.gaussian) ** 2

    def limit(self, groups: Sequence[FeatureStatistics]) -> tuple[float, float]:
        r"""The Frechet distance of infinitely many such images, and its standard error.

        The distance of n images is biased by a term in 1/n. As Chong and Forsyth (2020) do, it is
        extrapolated in 1/n to 0; but their smaller sets are random subsets, and these are all but one of
        disjoint groups, which is the jackknife: the mean of the pseudo-values, weighted by the groups' sizes.
        Their scatter gives the error (Busing, Meijer and van der Leeden 1999, for unequal groups); where both
        laws agree it is too large by a root of 2. What is left of the bias is of order 1/n^2. The reference
        stays as it is, with the error that it has itself.

        groups : of disjoint random parts of the images, two or more. Raises ScoreError for fewer.
        """
        sizes = np.array([group.count for group in groups])
        pseudo = np.array(self.pseudo_values(groups))
        value = float(np.average(pseudo, weights=sizes))
        return value, float(np.sqrt((np.square(pseudo - value) / (sizes.sum() / sizes - 1)).mean()))

    def pseudo_values(self, groups: Sequence[FeatureStatistics]) -> tuple[float, ...]:
        """The pseudo-values of the Frechet distance of all groups, as of `gpu_runs.scores.jackknife`.

        Raises ScoreError for fewer than two groups.
        """
        if len(groups) < 2:
            raise ScoreError(f"an extrapolation takes two or more groups; got {len(groups)}")
        whole = reduce(FeatureStatistics.merge, groups)
        without = [self._by_roots(whole.without(group)) for group in groups]
        return pseudo_values(self._by_roots(whole), without, [group.count for group in groups])

    def _by_roots(self, statistics: FeatureStatistics) -> float:
        """The distance by eigenvalues alone: faster, and worse only where covariances are singular."""
        shift = torch.as_tensor(statistics.mean) - self.gaussian.mean
        covariance = torch.as_tensor(statistics.covariance)
        product = self._root @ covariance @ self._root
        cross = torch.linalg.eigvalsh((product + product.mT) / 2).clamp(min=0).sqrt().sum()
        traces = covariance.trace() + self.gaussian.variances.sum()
        return float(shift.square().sum() + traces - 2 * cross)


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


_ROWS = 1024  # of a matrix of all pairs at a time


def kernel_distance(first: Tensor | np.ndarray, second: Tensor | np.ndarray) -> tuple[float, float]:
    r"""The kernel distance of features (n, d) and (m, d), and its standard error.

    It is the unbiased estimate of the squared MMD over all pairs, with the kernel
    :math:`k(x, y) = (x \cdot y / d + 1)^3`; in Inception's features that is the KID of Binkowski et al.
    (2018) without its blocks, which leave most pairs out. The error is that of a U-statistic (Hoeffding
    1948). With

    .. math:: g(x) = \overline{k(x, x')} - \overline{k(x, y)}, \quad
              g'(y) = \overline{k(y, y')} - \overline{k(x, y)},

    means over all others of each set, and A, B, C the mean squares of k(x, x'), k(y, y') and k(x, y) less the
    means of their rows and columns, the variance is

    .. math:: \frac4n \mathrm{var}\,g + \frac4m \mathrm{var}\,g'
              - \frac{2A}{n^2} - \frac{2B}{m^2} - \frac{4C}{nm} ,

    and never less than :math:`2A/n^2 + 2B/m^2 + 4C/nm`, which it is where both laws agree. Pairs
    are summed in blocks: memory grows with n + m.

    Raises
    ------
    ScoreError : fewer than four features, or features of two networks.
    """
    x, y = _features(first), _features(second)
    for values in (x, y):
        if values.ndim != 2 or len(values) < 4:
            raise ScoreError(
                f"a kernel distance takes four or more features (n, d); got {tuple(values.shape)}"
            )
    if x.shape[1] != y.shape[1]:
        raise ScoreError(f"features of one network are compared; got {x.shape[1]} and {y.shape[1]}")
    n, m = len(x), len(y)
    within_x, within_y, between = _Pairs.within(x), _Pairs.within(y), _Pairs.between(x, y)
    value = within_x.mean + within_y.mean - 2 * between.mean
    degenerate = (
        2 * within_x.interaction / n**2
        + 2 * within_y.interaction / m**2
        + 4 * between.interaction / (n * m)
    )
    linear = 4 / n * (within_x.rows - between.rows).var()
    linear = linear + 4 / m * (within_y.rows - between.columns).var()
    variance = max(float(linear) - degenerate, degenerate)
    if not math.isfinite(value) or not math.isfinite(variance):
        raise ScoreError("features are too large for a kernel of their third power")
    return value, math.sqrt(max(variance, 0.0))


def _features(values: Tensor | np.ndarray) -> Tensor:
    """In float64. Raises ScoreError if they are not finite."""
    features = torch.as_tensor(values).double()
    if not features.isfinite().all():
        raise ScoreError("features are finite; got nan or inf: look at the images")
    return features


@dataclass
class _Pairs:
    """The kernel of all pairs: means of rows (n,) and of columns (m,), and the mean square."""

    rows: Tensor
    columns: Tensor
    square: float

    @classmethod
    def between(cls, x: Tensor, y: Tensor) -> _Pairs:
        rows, columns, square = [], torch.zeros(len(y), dtype=torch.float64), 0.0
        for _, kernel in _kernel_rows(x, y):
            rows.append(kernel.mean(dim=1))
            columns += kernel.sum(dim=0) / len(x)
            square += float(kernel.square().sum()) / (len(x) * len(y))
        return cls(torch.cat(rows), columns, square)

    @classmethod
    def within(cls, x: Tensor) -> _Pairs:
        """Of pairs of two different ones."""
        rows, square, others = [], 0.0, len(x) - 1
        for start, kernel in _kernel_rows(x, x):
            kernel.diagonal(start).zero_()
            rows.append(kernel.sum(dim=1) / others)
            square += float(kernel.square().sum()) / (len(x) * others)
        means = torch.cat(rows)
        return cls(means, means, square)

    @property
    def mean(self) -> float:
        return float(self.rows.mean())

    @property
    def interaction(self) -> float:
        effects = self.rows.var(unbiased=False) + self.columns.var(unbiased=False)
        return max(self.square - self.mean**2 - float(effects), 0.0)


def _kernel_rows(x: Tensor, y: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Blocks of rows of the kernel of x and y, each with the number of its first row."""
    for start in range(0, len(x), _ROWS):
        yield start, (x[start : start + _ROWS] @ y.T / x.shape[1] + 1) ** 3


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

    A set covers the balls around its points that reach to their k-th nearest neighbours, but no farther than
    the median of these distances. Precision is the share of the fake features that the real set covers,
    recall the converse. Both depend on the sizes of the sets: compare at equal sizes only.

    In the paper the radii have no such bound, and the few outliers of a set cover much of the space that
    is far from all the others: noise scores a precision of one half. The bound is that of the paper's
    realism score, which leaves out the larger half of the balls.
    """
    sets = [_features(real), _features(fake)]
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


def _covered(points: Tensor, others: Tensor, neighbours: int) -> float:
    """The share of `others` inside a ball around one of the points, of at most the median radius."""
    # The point itself is the nearest of all: the k-th neighbour is the (k+1)-th smallest distance.
    radii = torch.cat(
        [torch.cdist(rows, points).kthvalue(neighbours + 1).values for rows in points.split(_ROWS)]
    )
    radii = radii.clamp(max=radii.median())
    inside = [(torch.cdist(rows, points) <= radii).any(dim=1) for rows in others.split(_ROWS)]
    return float(torch.cat(inside).double().mean())

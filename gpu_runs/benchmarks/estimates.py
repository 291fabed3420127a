r"""Statistics of images with their standard errors, and differences of two, by the jackknife over seeds.

The seeds of a block are dealt into G groups, at random but always alike. The mean of the pseudo-values
:math:`P_g` of a statistic (`gpu_runs.scores.jackknife`) estimates it without its bias of order 1/n, and the
root of :math:`\sum_g (P_g - \bar P)^2 / (G (G - 1))` is its standard error (Tukey 1958; Miller 1974).
Blocks have other seeds: their pseudo-values are pooled. **Two samplers on the same seeds are compared by
the differences of their pseudo-values**, group by group: what the seeds do to both alike drops out, and what
they do to them contrarily counts twice.

The statistics have to be smooth in the law of the images. A squared distance between laws that are equal is
not, to first order: there its scatter is that of a quadratic form, of which the jackknife finds twice the
variance. So errors are on the safe side where there is nothing to be told apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np

from gpu_runs.scores.jackknife import pseudo_values, random_groups
from gpu_runs.scores.statistics import (
    FeatureStatistics,
    FrechetReference,
    ScoreError,
    frechet_distance,
)

GROUPS = 20
"""Groups of seeds to a block: a standard error from one block is good to a sixth, from three to a tenth."""

BEYOND = 2.0
"""Standard errors beyond which two samplers are told apart."""


def groups_of(count: int) -> np.ndarray:
    """The group of each of `count` seeds, (count,); `GROUPS` or as many as there are seeds.

    Raises
    ------
    ScoreError : fewer than two seeds.
    """
    if count < 2:
        raise ScoreError(f"a standard error needs two seeds or more; got {count}")
    return random_groups(count, GROUPS)


def frechet_values(features: np.ndarray, law: FrechetReference) -> tuple[float, ...]:
    """The pseudo-values of the Frechet distance of features (n, d) to a fixed law.

    The error of the fixed law, which is common to all that are compared with it, is not in them. The bias
    is removed as far as n is well above d. Raises ScoreError for features that are not finite.
    """
    return law.pseudo_values(_groups(features))


def paired_frechet_values(features: np.ndarray, others: np.ndarray) -> tuple[float, ...]:
    r"""The pseudo-values of the Frechet distance of two sets of features (n, d) of the same n seeds.

    The distance is a function of the two marginal laws, so coupled seeds estimate the same number as
    independent ones. But the samples are pairs, and the jackknife leaves out pairs. With
    :math:`\delta = \hat\mu_x - \hat\mu_y`, for instance,

    .. math::  E\,|\delta|^2 = |\mu_x - \mu_y|^2 + \tfrac1n \mathrm{tr}\,\mathrm{Cov}(X_i - Y_i) :

    both the bias and the scatter are those of the differences of a pair, and vanish as X approaches Y. Of
    independent samples they would be the sum of both. Raises ScoreError, as of `frechet_distance`.
    """
    first, second = _groups(features), _groups(others)
    wholes = [reduce(FeatureStatistics.merge, groups) for groups in (first, second)]

    def distance(x: FeatureStatistics, y: FeatureStatistics) -> float:
        return frechet_distance(x.mean, x.covariance, y.mean, y.covariance)

    without = [
        distance(wholes[0].without(one), wholes[1].without(other))
        for one, other in zip(first, second, strict=True)
    ]
    return pseudo_values(distance(*wholes), without, [group.count for group in first])


def _groups(features: np.ndarray) -> list[FeatureStatistics]:
    """The statistics of each group of features (n, d)."""
    member = groups_of(len(features))
    return [FeatureStatistics.of(features[member == g]) for g in range(member.max() + 1)]


KERNEL_SEEDS = 4000
"""The kernel distance is of at most so many seeds of a block: it looks at all pairs."""


def paired_kernel_values(features: np.ndarray, others: np.ndarray) -> tuple[float, ...]:
    r"""The pseudo-values of the kernel distance of two sets of features (n, d) of the same n seeds.

    With the kernel :math:`k(x, y) = (x \cdot y / d + 1)^3` of the KID, over all pairs of different seeds,

    .. math::  U = \frac{1}{n(n-1)} \sum_{i \neq j} k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i) ,

    unbiased for any coupling of x and y within a seed: seeds i and j are independent, and no term has one
    seed twice. Raises ScoreError for fewer than four seeds.
    """
    x, y = (np.asarray(values[:KERNEL_SEEDS], np.float64) for values in (features, others))
    member = groups_of(len(x))
    groups = member.max() + 1
    if len(x) < 4:
        raise ScoreError(f"a kernel distance with an error needs four seeds or more; got {len(x)}")
    d = x.shape[1]

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / d + 1) ** 3

    cross = kernel(x, y)
    pairs = kernel(x, x) + kernel(y, y) - cross - cross.T
    np.fill_diagonal(pairs, 0.0)
    indicator = (member == np.arange(groups)[:, None]).astype(np.float64)
    sums, sizes = indicator @ pairs @ indicator.T, indicator.sum(1)
    total, count = sums.sum(), len(x)

    def mean(total: float, count: float) -> float:
        return float(total / (count * (count - 1)))

    kept = total - 2 * sums.sum(1) + sums.diagonal()
    without = [mean(t, count - size) for t, size in zip(kept, sizes, strict=True)]
    return pseudo_values(mean(total, count), without, sizes)


def mean_values(values: np.ndarray) -> tuple[float, ...]:
    """The pseudo-values of the mean of values (n,), one for each seed: the means of the groups."""
    member = groups_of(len(values))
    return tuple(float(values[member == group].mean()) for group in range(member.max() + 1))


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error; values are its pseudo-values by block of seeds."""

    values: Mapping[int, tuple[float, ...]]

    @property
    def value(self) -> float:
        """The estimate."""
        return float(np.mean(self._pooled))

    @property
    def error(self) -> float:
        """Its standard error."""
        pooled = self._pooled
        return float(np.std(pooled, ddof=1) / math.sqrt(len(pooled)))

    @property
    def _pooled(self) -> np.ndarray:
        return np.concatenate([np.array(self.values[block]) for block in sorted(self.values)])

    def minus(self, other: Estimate) -> Estimate | None:
        """The difference, with its own standard error, on the blocks of both; None if there is none."""
        blocks = [b for b in self.values if len(other.values.get(b, ())) == len(self.values[b])]
        if not blocks:
            return None
        pairs = {b: zip(self.values[b], other.values[b], strict=True) for b in blocks}
        return Estimate({b: tuple(x - y for x, y in pair) for b, pair in pairs.items()})

    @property
    def is_positive(self) -> bool:
        """Whether it is above 0 by more than `BEYOND` standard errors."""
        return self.value > BEYOND * self.error


def leaders(estimates: Mapping[str, Estimate]) -> set[str]:
    """The names of the least estimate, and of all that are not told apart from it."""
    if not estimates:
        return set()
    best = min(estimates.values(), key=lambda estimate: estimate.value)
    behind = {name: estimate.minus(best) for name, estimate in estimates.items()}
    return {name for name, much in behind.items() if much is None or not much.is_positive}

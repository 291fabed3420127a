r"""Settings on mixtures by two distances of laws, with random numbers that all of them share.

The Frechet distance sees mean and covariance only. Beside it stands a distance that sees the whole law: the
sliced one,

.. math::  S^2 = \frac dK \sum_{k=1}^K W_2^2(\langle v_k, X\rangle, \langle v_k, X_0\rangle),

over fixed directions :math:`v_k` in :math:`R^d`. On the line :math:`W_2` of samples to a law is the distance
of sorted samples to quantiles, and the quantiles of a mixture are known. For laws that differ by a shift the
two agree. Both are given over the width of the data.

All settings have the same quasi-random normals, scrambled Sobol points (Owen 1995, recalled): the
differences between settings are then much surer than each distance, and a search does not follow noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seeds_theory.plan import Interval
from seeds_theory.settings import Setting
from toy_models.few_steps import TRAINING, law_errors
from toy_models.gaussian import Gaussian, frechet_distance
from toy_models.mixture import GaussianMixture

DIRECTIONS = 24
"""Of the sliced distance."""


def width(mixture: GaussianMixture) -> float:
    """The standard deviation of the data along their first principal axis."""
    return float(torch.linalg.eigvalsh(mixture.covariance).max().sqrt())


@dataclass(frozen=True)
class Distances:
    """Of samples to the law of the data, over its width."""

    frechet: float
    sliced: float

    @property
    def both(self) -> float:
        """The root of the mean of their squares."""
        return math.hypot(self.frechet, self.sliced) / math.sqrt(2)


class Ruler:
    """Measures samples of a mixture, `count` at a time.

    Attributes
    ----------
    directions : of the sliced distance, unit vectors (DIRECTIONS, d).
    """

    def __init__(self, mixture: GaussianMixture, count: int) -> None:
        self.count, self.width, self.dimension = count, width(mixture), mixture.dimension
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randn(DIRECTIONS, mixture.dimension, generator=generator, dtype=torch.float64)
        self.directions = drawn / drawn.norm(dim=1, keepdim=True)
        p = (torch.arange(count, dtype=torch.float64) + 0.5) / count
        self._quantiles = torch.stack([mixture.along(v).quantile(p) for v in self.directions])
        self._exact = Gaussian.from_covariance(mixture.mean, mixture.covariance)

    def frechet(self, mean: Tensor, covariance: Tensor) -> float:
        """The Frechet distance of samples of that mean (d,) and covariance (d, d), over the width."""
        return (
            frechet_distance(Gaussian.from_covariance(mean, covariance), self._exact) / self.width
        )

    def sliced(self, samples: Tensor) -> float:
        """The sliced distance of samples (count, d), over the width."""
        along = (self.directions @ samples.mT).sort(dim=1).values
        square = (along - self._quantiles).square().mean() * self.dimension
        return float(square.sqrt()) / self.width

    def __call__(self, samples: Tensor) -> Distances:
        """Both distances of samples (count, d)."""
        centred = samples - samples.mean(0)
        covariance = centred.mT @ centred / len(samples)
        return Distances(self.frechet(samples.mean(0), covariance), self.sliced(samples))


class Design:
    """A mixture with the numbers that every setting is run on.

    ruler : of as many samples as it is to have, a power of 2. seed : of the scrambling. calls : the most
    model calls of a setting.
    """

    def __init__(self, mixture: GaussianMixture, ruler: Ruler, seed: int, calls: int) -> None:
        self.mixture, self._ruler = mixture, ruler
        d, draws = (
            mixture.dimension,
            1 + 2 * calls,
        )  # the latents, and at most two normals for a call
        points = torch.quasirandom.SobolEngine(d * draws, scramble=True, seed=seed)
        uniform = points.draw(ruler.count, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
        normals = torch.special.ndtri(uniform).reshape(ruler.count, draws, d)
        self._normals = normals.transpose(0, 1).contiguous()

    def __call__(self, setting: Setting) -> Distances:
        """The distances of the samples that a setting makes of them."""
        used = 1

        def noise(intervals: Sequence[Interval], like: Tensor) -> Tensor:
            nonlocal used
            first, used = used, used + len(intervals)
            return self._normals[first:used]

        samples = setting(self.mixture, self._normals[0], self._ruler.width, noise)
        return self._ruler(samples)


def objective(setting: Setting, designs: Sequence[Design]) -> float:
    """What a search minimises: the mean logarithm of the distance, over the designs and the spectra.

    The spectra are `toy_models.few_steps.TRAINING`, on which it is the exact W2; all count as one design.
    """
    logs = [math.log(design(setting).both) for design in designs]
    spectra = law_errors(setting.sampler, setting.sigmas(), TRAINING)
    return float(np.mean([*logs, np.log(spectra).mean() / 2]))

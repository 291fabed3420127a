r"""Samplers of reinforcement learning and members of the family: their laws at equal model calls.

Grids are those of flow models: equal steps in the time :math:`\tau` of a rectified flow, where
:math:`\sigma = \tau/(1-\tau)`, or shifted ones, whose noise levels are `shift` times as high.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from seeds_theory.eta_schedule import EtaWindows
from seeds_theory.policies import policy
from seeds_theory.schedule import RectifiedFlow
from seeds_theory.solver import Solver
from seeds_theory.sources import GeneratorNoise
from toy_models.few_steps import Spectrum, spectrum_of
from toy_models.gaussian import Gaussian
from toy_models.images import fashion_mnist
from toy_models.mixture import GaussianMixture
from toy_models.policy_gradient import jackknife, wasserstein
from toy_models.response import probe, weak_errors

FIRST_TIME = 0.97
"""Where runs start: published codes leave tau = 1 each in its own way."""

BROAD = GaussianMixture.scalar((0.6, 0.4), (-1.0, 0.8), (0.4, 0.3))
"""Two components that overlap, of about the width of the noise."""

NARROW = GaussianMixture.scalar((0.3, 0.5, 0.2), (-1.2, 0.1, 1.5), (0.05, 0.1, 0.05))
"""Three components that are narrow and apart: how many runs come to each is most of a distance to it."""


def flow_grid(steps: int, shift: float = 1.0) -> np.ndarray:
    """Noise levels of equal steps in the flow's time from `FIRST_TIME` to 0, times the shift."""
    return shift * RectifiedFlow().noise_level(np.linspace(FIRST_TIME, 0.0, steps + 1))


@dataclass(frozen=True)
class Contender:
    """A sampler by its label; solver : of a grid."""

    label: str
    solver: Callable[[np.ndarray], Solver]

    def within(self, calls: int, shift: float = 1.0) -> tuple[Solver, np.ndarray]:
        """The sampler on the flow grid of the most steps that take no more model calls."""
        for steps in range(calls, 0, -1):
            grid = flow_grid(steps, shift)
            solver = self.solver(grid)
            if solver.nfe(grid) <= calls:
                return solver, grid
        raise AssertionError("a step takes as many calls as it has stages")


def published(name: str, level: float | None = None) -> Contender:
    """A published sampler at a level of noise, by default its own."""
    label = f"`{name}`" if level is None else f"`{name}`, $a = {level:.3g}$"
    return Contender(label, lambda grid: policy(name, grid, level))


def member(name: str, eta: float) -> Contender:
    """A sampler of the library at one eta."""
    solver = Solver(name, {"eta": eta})
    return Contender(rf"`{name}`, $\eta = {eta:g}$", lambda grid: solver)


def windowed(name: str, low: float, high: float) -> Contender:
    """A sampler with noise between two noise levels only, eta = 1 there."""
    solver = Solver(name, {"eta": EtaWindows(((1.0, low, high),))})
    ends = rf"\sigma > {low:g}" if math.isinf(high) else rf"{low:g} < \sigma < {high:g}"
    return Contender(rf"`{name}`, $\eta = 1$ for ${ends}$", lambda grid: solver)


MEMBERS = ("flow-sde", "seeds-1", "seeds-2", "seeds-2b", "seeds-2s", "seeds-3", "seeds-2m")
"""Flow-GRPO's step and members of the family."""

CONTENDERS: tuple[Contender, ...] = (
    *(published(name) for name in ("dance-sde", "precise", "cps")),
    *(member(name, eta) for eta in (0.245, 1.0) for name in MEMBERS),
    *(
        windowed(name, *ends)
        for ends in ((1.0, math.inf), (0.3, 3.0))
        for name in ("seeds-2", "seeds-2m")
    ),
)
"""What is compared; ``flow-sde`` at eta = 0.245 is Flow-GRPO's own level."""


@dataclass(frozen=True)
class Distance:
    """W2 to the data, and its standard error: 0 where it is exact."""

    value: float
    error: float = 0.0


def on_the_line(
    solver: Solver, grid: np.ndarray, law: GaussianMixture, count: int = 6000, groups: int = 5
) -> Distance:
    """W2 of a sampler's ends to a mixture on the line; from groups of runs that start with its exact law.

    count : of runs in a group, whose starts and noise are its own.
    """
    generator = torch.Generator().manual_seed(0)
    law_there = law.marginal(float(grid[0]))
    ends = []
    for _ in range(groups):
        start = law_there.sample(count, generator)
        ends.append(solver(law, start, grid, GeneratorNoise(generator)))
    # Of few samples W2 is too large, by about as much in a group of all but one as in all of them.
    left_out = [wasserstein(torch.cat(ends[:n] + ends[n + 1 :]), law) for n in range(groups)]
    return Distance(wasserstein(torch.cat(ends), law), jackknife(left_out))


@dataclass(frozen=True)
class Floor:
    """W2 of a number of exact samples to their law: what a sampler without bias would be found to have.

    mean : over repetitions. high : what 19 of 20 stay below; figures below it tell of no bias.
    """

    mean: float
    high: float


def floor(law: GaussianMixture, number: int, repetitions: int = 200) -> Floor:
    """The floor of distances that are measured with so many samples."""
    generator = torch.Generator().manual_seed(0)
    found = [wasserstein(law.sample(number, generator), law) for _ in range(repetitions)]
    values = torch.tensor(found, dtype=torch.float64)
    return Floor(float(values.mean()), float(values.quantile(0.95)))


@cache
def image_spectrum() -> Spectrum:
    """The eigenvalues of Fashion-MNIST's covariance, of pixels with variance 1, in groups."""
    variances: Tensor = fashion_mnist().variances
    pixels = variances * len(variances) / variances.sum()
    groups = spectrum_of(pixels)
    return Spectrum(groups.variances * pixels.max(), groups.counts)


def on_images(solver: Solver, grid: np.ndarray) -> Distance:
    """W2 to a Gaussian with the spectrum of images, over the root of its trace: exact, as is the start."""
    spectrum = image_spectrum()
    variances = spectrum.variances
    data = Gaussian(torch.zeros_like(variances), variances)
    response = probe(lambda model, x, noise: solver(model, x, grid, noise), data)
    squares = weak_errors(response, data, float(grid[0]), 0.0).square()
    total = (spectrum.counts * squares).sum() / (spectrum.counts * variances).sum()
    return Distance(math.sqrt(float(total)))

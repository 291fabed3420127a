"""Few-step settings on mixtures: how they are chosen, and how they compare with samplers as published.

A mixture shows what a Gaussian cannot: the errors of a curved denoiser. Settings are chosen by their worst
Frechet distance on `SELECTION`; `HELD_OUT` is for judging them, and nothing was tuned on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seeds_theory.grids import rho_grid
from seeds_theory.settings import Setting, few_steps
from seeds_theory.solver import Solver
from seeds_theory.sources import GeneratorNoise, seeded_generator
from toy_models.few_steps import at_eta, objective, steps_within, tune
from toy_models.gaussian import Gaussian, frechet_distance
from toy_models.mixture import GaussianMixture

CALLS = (10, 20, 40, 80)
"""The numbers of model calls that settings are tuned for."""


@dataclass(frozen=True)
class Problem:
    """A random mixture: normal means, eigenvalues log-uniform between two values, random axes."""

    name: str
    seed: int
    dimension: int = 4
    components: int = 6
    spread: float = 1.0
    least: float = 0.02
    largest: float = 0.3

    @property
    def mixture(self) -> GaussianMixture:
        """The mixture of this seed."""
        generator = seeded_generator(self.seed, 0)

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator, dtype=torch.float64)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64)

        parts = []
        for _ in range(self.components):
            mean = self.spread * normal(self.dimension)
            variances = self.least * (self.largest / self.least) ** uniform(self.dimension)
            basis = torch.linalg.qr(normal(self.dimension, self.dimension))[0]
            parts.append(Gaussian(mean, variances, basis))
        return GaussianMixture((0.3 + uniform(self.components)).tolist(), parts)


SELECTION = (
    *(Problem(f"selection {seed}", seed) for seed in range(3)),
    Problem("selection 3", 3, dimension=2, components=4, spread=2.0, least=0.005, largest=0.1),
)
"""Mixtures on which samplers are chosen."""

HELD_OUT = (
    Problem("4-d, 6 components", 100),
    Problem("2-d, 5 narrow components", 101, 2, 5, 1.5, 0.002, 0.05),
    Problem("8-d, 10 components", 102, 8, 10, 0.7, 0.01, 0.2),
)
"""Mixtures that nothing was tuned or chosen on."""


def width(mixture: GaussianMixture) -> float:
    """The standard deviation of the data along their first principal axis."""
    return float(torch.linalg.eigvalsh(mixture.covariance).max().sqrt())


Sampler = Callable[[GaussianMixture, Tensor, GeneratorNoise], Tensor]
"""From (mixture, standard normals, noise) to samples."""


def distance(
    sampler: Sampler, mixture: GaussianMixture, count: int, blocks: int = 10, seed: int = 0
) -> tuple[float, float]:
    """Frechet distance of `count` samples to the data, and its standard error by leaving out blocks."""
    exact = Gaussian.from_covariance(mixture.mean, mixture.covariance)
    means, squares = [], []
    for block in range(blocks):
        latents = torch.randn(
            (count // blocks, mixture.dimension),
            generator=seeded_generator(seed, 2 * block),
            dtype=torch.float64,
        )
        noise = GeneratorNoise(seeded_generator(seed, 2 * block + 1))
        samples = torch.cat([sampler(mixture, part, noise) for part in latents.split(_PART)])
        means.append(samples.mean(0))
        squares.append(samples.mT @ samples / len(samples))
    mean, square = torch.stack(means), torch.stack(squares)

    def of(kept: Tensor) -> float:
        centre = mean[kept].mean(0)
        covariance = square[kept].mean(0) - torch.outer(centre, centre)
        return frechet_distance(Gaussian.from_covariance(centre, covariance), exact)

    everything = torch.ones(blocks, dtype=torch.bool)
    without = np.array([of(everything & (torch.arange(blocks) != b)) for b in range(blocks)])
    return of(everything), float(np.sqrt((blocks - 1) * without.var()))


_PART = 20_000  # samples to a call: they stay in the cache


def tuned(setting: Setting, scale: float) -> Sampler:
    """A setting as a sampler of data of that width."""
    return lambda mixture, latents, noise: setting(mixture, latents, scale, noise)


def published(solver: Solver, nfe: int) -> Sampler:
    """A solver as samplers of images are run: EDM's grid from 80 to 0.002, and to 0."""
    sigmas = rho_grid(80.0, 0.002, steps_within(solver, nfe), to_zero=True)
    return lambda mixture, latents, noise: solver(mixture, latents * sigmas[0], sigmas, noise)


def perfect(seed: int) -> Sampler:
    """Samples of the data itself: the distance that is due to their number."""
    generator = seeded_generator(seed, 0)
    return lambda mixture, latents, noise: mixture.sample(len(latents), generator)


CANDIDATES: dict[float, tuple[tuple[str, dict[str, Any]], ...]] = {
    1.0: (
        ("seeds-2m", {}),
        ("seeds-2b", {}),
        ("seeds-3", {}),
        ("seeds-3b", {}),
        ("seeds-2s", {}),
        ("seeds-3s", {}),
        ("seeds-4s", {}),
        ("sde-dpm-solver++-2m", {}),
        ("sde-dpm-solver++-3m", {}),
        ("er-sde-3", {}),
        ("sa-solver", {"predictor_steps": 2, "corrector_steps": 2}),
        ("sa-solver", {"predictor_steps": 3, "corrector_steps": 3}),
        ("sa-solver", {"predictor_steps": 4, "corrector_steps": 4}),
    ),
    0.0: (
        ("seeds-2b", {}),
        ("seeds-3b", {}),
        ("dpm-solver++-2m", {}),
        ("dpm-solver++-3m", {}),
        ("unipc-3", {}),
        ("er-sde-3", {}),
        ("sa-solver", {"predictor_steps": 4, "corrector_steps": 4}),  # with 3 it is unipc-3
    ),
}
"""What is tuned, by eta: names and options."""


@dataclass(frozen=True)
class Trial:
    """A tuned candidate: the objective it was tuned to, and what it does on `SELECTION`.

    distances, errors : Frechet distances over the width, and their standard errors.
    """

    nfe: int
    setting: Setting
    objective: float
    distances: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def worst(self) -> tuple[float, float]:
        """The largest distance and its standard error."""
        return max(zip(self.distances, self.errors, strict=True))


def trial(name: str, options: dict[str, Any], nfe: int, eta: float, count: int = 100_000) -> Trial:
    """Tune one candidate and run it on the mixtures of `SELECTION`."""
    setting = tune(name, nfe, at_eta(name, options, eta))
    found, spread = [], []
    for problem in SELECTION:
        mixture = problem.mixture
        scale = width(mixture)
        value, error = distance(tuned(setting, scale), mixture, count)
        found.append(value / scale)
        spread.append(error / scale)
    return Trial(nfe, setting, objective(setting), tuple(found), tuple(spread))


def choose(trials: Sequence[Trial]) -> Trial:
    """The one with the least worst distance; the objective decides among those that noise cannot tell apart.

    Those are within two standard errors of the difference. From 40 calls on they are most of the candidates.
    """
    least, error = min(trial.worst for trial in trials)
    close = [
        trial for trial in trials if trial.worst[0] - least <= 2 * math.hypot(trial.worst[1], error)
    ]
    return min(close, key=lambda trial: trial.objective)


STOCHASTIC_PEERS = (
    "sde-dpm-solver++-1",
    "sde-dpm-solver++-2s",
    "sde-dpm-solver++-2m",
    "sde-dpm-solver++-3m",
    "er-sde-3",
    "sa-solver",
    "seeds-2",
    "seeds-3",
)
"""Samplers with noise that libraries have, and SEEDS as published."""
DETERMINISTIC_PEERS = (
    "ddim",
    "edm-heun",
    "dpm-solver++-2m",
    "dpm-solver++-3m",
    "unipc-3",
    "deis-tab3",
)


@dataclass(frozen=True)
class Comparison:
    """Frechet distances of a sampler on one problem, at one number of model calls."""

    problem: str
    sampler: str
    kind: str
    nfe: int
    count: int
    distance: float
    standard_error: float


def compare(problem: Problem, name: str, kind: str, nfe: int, count: int) -> Comparison:
    """Run a sampler of one of the kinds "tuned", "stochastic", "deterministic" and "exact"."""
    mixture = problem.mixture
    if kind == "tuned":
        sampler = tuned(few_steps(nfe, eta=float(name[-1])), width(mixture))
    elif kind == "exact":
        sampler = perfect(seed=problem.seed)
    else:
        sampler = published(Solver(name), nfe)
    found, error = distance(sampler, mixture, count)
    return Comparison(problem.name, name, kind, nfe, count, found, error)

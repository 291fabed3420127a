"""Few-step settings on mixtures: the search for them, and how they compare with samplers as published.

A mixture shows what a Gaussian cannot: the errors of a curved denoiser. Settings are searched and chosen on
`DESIGN` and on spectra; `HELD_OUT` is for judging them, and nothing was tuned on it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seeds_theory.baselines import BASELINES
from seeds_theory.errors import ParameterError
from seeds_theory.extras import optional_imports
from seeds_theory.grids import rho_grid
from seeds_theory.settings import ETAS, KINDS, Setting, few_steps
from seeds_theory.solver import Solver
from seeds_theory.sources import GeneratorNoise, seeded_generator
from toy_models.design import Design, Ruler, objective, width
from toy_models.few_steps import HIGHEST, LOWEST, TRAINING, law_errors, steps_within
from toy_models.gaussian import Gaussian
from toy_models.mixture import GaussianMixture

with optional_imports():
    from scipy.optimize import minimize

CALLS = (5, 6, 8, 10, 15, 20, 40, 80)
"""The numbers of model calls that settings are searched for."""

COMPARED = CALLS[:-1]
"""Those at which samplers are compared."""


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


DESIGN = (
    Problem("design 0", 0),
    Problem("design 1", 3, dimension=2, components=4, spread=2.0, least=0.005, largest=0.1),
    Problem("design 2", 10, dimension=6, components=9, spread=0.9, least=0.01, largest=0.2),
    Problem("design 3", 11, dimension=6, components=9, spread=1.2, least=0.02, largest=0.3),
)
"""Mixtures on which settings are searched and chosen."""

HELD_OUT = (
    Problem("4-d, 6 components", 100),
    Problem("2-d, 5 narrow components", 101, 2, 5, 1.5, 0.002, 0.05),
    Problem("8-d, 10 components", 102, 8, 10, 0.7, 0.01, 0.2),
    Problem("6-d, 9 components", 103, 6, 9, 1.0, 0.01, 0.3),
)
"""Mixtures that nothing was tuned or chosen on."""


Sampler = Callable[[GaussianMixture, Tensor, GeneratorNoise], Tensor]
"""From (mixture, standard normals, noise) to samples."""


@cache
def _ruler(problem: Problem, size: int) -> Ruler:
    return Ruler(problem.mixture, size)


@dataclass(frozen=True)
class Measured:
    """Distances of independent samples to the data, over the width, with their standard errors."""

    frechet: float
    frechet_error: float
    sliced: float
    sliced_error: float


def distances(sampler: Sampler, problem: Problem, count: int, seed: int = 0) -> Measured:
    """Both distances of `toy_models.design`, of `count` samples in blocks.

    The Frechet distance is that of all samples, its error by leaving out blocks; the sliced one is the root
    mean square of the blocks', as its bias depends on their size.
    """
    size, mixture = count // BLOCKS, problem.mixture
    ruler = _ruler(problem, size)
    means, squares, sliced = [], [], []
    for block in range(BLOCKS):
        generator = seeded_generator(seed, 2 * block)
        latents = torch.randn((size, mixture.dimension), generator=generator, dtype=torch.float64)
        noise = GeneratorNoise(seeded_generator(seed, 2 * block + 1))
        samples = torch.cat([sampler(mixture, part, noise) for part in latents.split(_PART)])
        means.append(samples.mean(0))
        squares.append(samples.mT @ samples / len(samples))
        sliced.append(ruler.sliced(samples))
    mean, square = torch.stack(means), torch.stack(squares)

    def of(kept: Tensor) -> float:
        centre = mean[kept].mean(0)
        return ruler.frechet(centre, square[kept].mean(0) - torch.outer(centre, centre))

    everything = torch.ones(BLOCKS, dtype=torch.bool)
    without = np.array([of(everything & (torch.arange(BLOCKS) != b)) for b in range(BLOCKS)])
    whole = math.sqrt(np.square(sliced).mean())
    spread = float(np.square(sliced).std(ddof=1)) / math.sqrt(BLOCKS) / (2 * whole)
    return Measured(of(everything), float(np.sqrt((BLOCKS - 1) * without.var())), whole, spread)


BLOCKS = 10
"""Of independent samples, for standard errors."""

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


_SA = {"predictor_steps": 3, "corrector_steps": 3}
CANDIDATES: tuple[Setting, ...] = tuple(
    Setting(name, 2, 15.0, 0.05, options, noisy=noisy)
    for name, options, noisy in (
        ("seeds-2m", {"eta": 1.0}, None),
        ("seeds-3b", {"eta": 1.0}, None),
        ("sde-dpm-solver++-2m", {"eta": 1.0}, None),
        ("sa-solver", {**_SA, "eta": 1.0}, None),
        ("seeds-ab", {"eta": 1.0, "values": 3}, 1),
        ("seeds-2m", {"eta": 1.0}, 1),
        ("seeds-2m", {"eta": 1.0}, 2),
        ("seeds-3b", {"eta": 1.0}, 1),
        ("ipndm-3", {}, None),
        ("dpm-solver++-2m", {}, None),
        ("unipc-3", {}, None),
    )
)
"""What is searched, noise in all steps, the first ones or none; with where the search for a grid starts."""

SPACINGS = {None: 24, 4.0: 16}
"""The values of rho that are searched, with the most evaluations of the objective for each."""


def kinds_of(setting: Setting) -> tuple[str, ...]:
    """Of `KINDS`: those that a setting belongs to."""
    if setting.noisy is not None:
        return ("best",)
    return ("best", "sde" if setting.eta else "ode")


@dataclass(frozen=True)
class Trial:
    """A candidate with the grid that was found for it.

    searched : the least value of the objective, of `toy_models.design`.
    judged, error : the same setting's objective with other random numbers and more of them, its mean and
        standard error; `frechet`, `sliced` and `spectra` are the geometric means of its distances.
    """

    nfe: int
    setting: Setting
    searched: float
    judged: float
    error: float
    frechet: float
    sliced: float
    spectra: float


@lru_cache(maxsize=8)
def designs(count: int, seed: int, calls: int) -> tuple[Design, ...]:
    """Those of the mixtures of `DESIGN`."""
    return tuple(Design(problem.mixture, _ruler(problem, count), seed, calls) for problem in DESIGN)


def search(candidate: Setting, nfe: int, count: int = 1024) -> tuple[Setting, float]:
    """The grid of a candidate for a number of model calls, by Nelder and Mead's method on its two ends.

    Returns
    -------
    The setting with the least value of the objective over `SPACINGS`, and that value.

    Raises
    ------
    ParameterError : two steps take more calls.
    """
    found = candidate.within(nfe)
    mixtures = designs(count, 0, nfe)
    best = math.inf
    for spacing, evaluations in SPACINGS.items():
        start = replace(found, rho=spacing)
        first = np.log([start.sigma_max, start.sigma_min])

        def at(ends: np.ndarray, start: Setting = start) -> Setting:
            high, low = np.exp(ends)
            return replace(start, sigma_max=float(high), sigma_min=float(low))

        result = minimize(
            lambda ends, at=at: objective(at(ends), mixtures),
            first,
            method="Nelder-Mead",
            bounds=np.log([HIGHEST, LOWEST]),
            options={
                "xatol": 0.02,
                "fatol": 0.003,
                "maxfev": evaluations,
                "initial_simplex": first + np.array([[0.0, 0.0], [0.4, 0.0], [0.0, 0.4]]),
            },
        )
        if result.fun < best:
            best, found = float(result.fun), at(result.x)
    return found, best


def trials_of(candidate: Setting, calls: Sequence[int], count: int = 1024) -> list[Trial]:
    """Those of one candidate, where two steps are few enough calls; a search starts where the last ended."""
    found = []
    for nfe in calls:
        try:
            candidate.within(nfe)
        except ParameterError:
            continue
        found.append(trial(candidate, nfe, count))
        candidate = replace(found[-1].setting, rho=None)
    return found


def judged(
    setting: Setting, nfe: int, count: int = 4096, replicates: int = 2
) -> tuple[float, float]:
    """The objective with random numbers that no search had, its mean and standard error."""
    values = [objective(setting, designs(count, seed, nfe)) for seed in _seeds(replicates)]
    return float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(replicates)


def _seeds(replicates: int) -> range:
    return range(1, replicates + 1)  # a search has 0


def trial(candidate: Setting, nfe: int, count: int = 1024, replicates: int = 2) -> Trial:
    """Search the grid of one candidate, and judge it with other random numbers, four times as many."""
    setting, searched = search(candidate, nfe, count)
    value, error = judged(setting, nfe, 4 * count, replicates)
    parts = [
        design(setting) for seed in _seeds(replicates) for design in designs(4 * count, seed, nfe)
    ]

    def mean(numbers: Sequence[float]) -> float:
        return math.exp(np.log(numbers).mean())

    spectra = law_errors(setting.sampler, setting.sigmas(), TRAINING)
    return Trial(
        nfe,
        setting,
        searched,
        value,
        error,
        mean([part.frechet for part in parts]),
        mean([part.sliced for part in parts]),
        math.sqrt(mean(spectra)),
    )


@dataclass(frozen=True)
class Chosen:
    """The setting of one kind for a number of model calls, and the trial that it comes from."""

    nfe: int
    kind: str
    setting: Setting
    judged: float
    error: float


def choose(trials: Sequence[Trial]) -> list[Chosen]:
    """For each number of model calls the least objective of each kind."""
    chosen = []
    for nfe in sorted({trial.nfe for trial in trials}):
        for kind in KINDS:
            of_kind = [t for t in trials if t.nfe == nfe and kind in kinds_of(t.setting)]
            if of_kind:
                best = min(of_kind, key=lambda trial: trial.judged)
                chosen.append(Chosen(nfe, kind, best.setting, best.judged, best.error))
    return chosen


_UNSTABLE = ("euler-maruyama", "predictor-corrector", "stochastic-heun", "sra1", "shark")
"""Explicit in the linear part: they diverge, or nearly, on steps as long as those of few calls."""
_TWINS = ("ddpm", "gddim", "er-sde-1", "euler")
"""Others under these names: sde-dpm-solver++-1, and ddim."""
_REPEATS = ("restart",)


def peers(*, stochastic: bool) -> tuple[str, ...]:
    """Published samplers, all of the library and SEEDS: with noise, run at eta = 1; or without."""
    listed = [
        name
        for name, baseline in BASELINES.items()
        if baseline.reference != "this project" and name not in (*_UNSTABLE, *_TWINS, *_REPEATS)
    ]
    if not stochastic:
        return (*(name for name in listed if BASELINES[name].only_eta == 0), "ddim")
    with_noise = (name for name in listed if BASELINES[name].stochastic and name != "ddim")
    return (*with_noise, "seeds-2", "seeds-3")


@dataclass(frozen=True)
class Comparison:
    """Distances of a sampler on one problem, over the width, at one number of model calls."""

    problem: str
    sampler: str
    kind: str
    nfe: int
    count: int
    distances: Measured


def read_comparisons(path: str | Path) -> tuple[Comparison, ...]:
    """The comparisons that `seeds-tune compare` wrote."""
    entries = json.loads(Path(path).read_text())
    return tuple(
        Comparison(**{**entry, "distances": Measured(**entry["distances"])}) for entry in entries
    )


def overall(
    record: Sequence[Comparison],
    kind: str,
    sampler: str,
    nfe: int,
    measures: Sequence[str] = ("frechet", "sliced"),
) -> float:
    """The geometric mean of a sampler's distances over the problems; NaN if there is none."""
    asked = (kind, sampler, nfe)
    found = [c.distances for c in record if (c.kind, c.sampler, c.nfe) == asked]
    logs = [math.log(getattr(one, measure)) for one in found for measure in measures]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def compare(problem: Problem, name: str, kind: str, nfe: int, count: int) -> Comparison:
    """Run a sampler of one of the kinds "tuned", "stochastic", "deterministic" and "exact".

    name : of "tuned", one of `KINDS`.
    """
    if kind == "tuned":
        sampler = tuned(few_steps(nfe, eta=ETAS[name]), width(problem.mixture))
    elif kind == "exact":
        sampler = perfect(seed=problem.seed)
    else:
        eta = {"eta": 0.0} if name == "ddim" else {}
        sampler = published(Solver(name, eta), nfe)
    return Comparison(problem.name, name, kind, nfe, count, distances(sampler, problem, count))

"""Error against model calls: adaptive steps, and fixed grids, on mixtures and on coupled paths.

Every run shares its initial states with a fine reference, and its Brownian paths at the reference's points;
between these each run refines the path by itself. The error is the W2 distance of the laws of projections on
fixed directions, its square averaged over them ("sliced"); on the line it is the W2 distance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seeds_theory import uniform_log_snr
from toy_models.adaptive import PAIRS, Controller, adaptive, clock, on_levels
from toy_models.bridge import RefinedPath
from toy_models.gaussian import Gaussian
from toy_models.mixture import GaussianMixture
from toy_models.paths import CoupledPaths, squared_shift

RANGE = (80.0, 0.02)
"""First and last noise level of all runs, at eta = 1."""

_REFERENCE = ("seeds-3(2)", 96)


def _clouds() -> GaussianMixture:
    generator = torch.Generator().manual_seed(3)
    means = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    deviations = 0.1 + 0.4 * torch.rand(6, 4, generator=generator, dtype=torch.float64)
    clouds = [Gaussian(m, sd**2) for m, sd in zip(means, deviations, strict=True)]
    return GaussianMixture([0.25, 0.2, 0.2, 0.15, 0.1, 0.1], clouds)


CLOUDS = _clouds()
"""Six flat Gaussians in R^4, with deviations between 0.1 and 0.5."""


@dataclass(frozen=True)
class Outcome:
    """Mean model calls per sample, and the sliced W2 error with its standard error."""

    calls: float
    error: float
    spread: float


Attempt = Callable[[GaussianMixture, Tensor, RefinedPath], tuple[Tensor, float]]
"""From initial states and a path to final states and mean calls."""


def with_grid(name: str, sigmas: Sequence[float] | np.ndarray) -> Attempt:
    """A pair's method on a fixed grid."""
    calls = PAIRS[name].tableau.calls * (len(sigmas) - 1)

    def attempt(mixture: GaussianMixture, start: Tensor, path: RefinedPath) -> tuple[Tensor, float]:
        return on_levels(name, mixture.at_levels, start, sigmas, path), float(calls)

    return attempt


def with_controller(name: str, controller: Controller, *, remembers: bool = True) -> Attempt:
    """A pair with adaptive steps; the calls of rejected steps count.

    With `remembers` False noise is drawn anew after a rejected step: on paths of its own, not coupled.
    """
    own = torch.Generator().manual_seed(0)

    def attempt(mixture: GaussianMixture, start: Tensor, path: RefinedPath) -> tuple[Tensor, float]:
        if not remembers:
            shape = (len(start), mixture.dimension)
            path = RefinedPath(_clocks(RANGE[:1]), shape, own, remembers=False)
        run = adaptive(name, mixture.at_levels, start, RANGE, path, controller)
        return run.y, float(run.calls.mean())

    return attempt


def controlled_levels(
    name: str, mixture: GaussianMixture, tolerance: float = 0.02, size: int = 2048, seed: int = 1
) -> np.ndarray:
    """The noise levels that the controller chose for one batch."""
    generator = torch.Generator().manual_seed(seed)
    start = mixture.marginal(RANGE[0]).sample(size, generator)
    path = RefinedPath(_clocks(RANGE[:1]), (size, mixture.dimension), generator)
    controller = Controller(tolerance, together=True)
    run = adaptive(name, mixture.at_levels, start, RANGE, path, controller)
    return np.exp(-run.log_snrs[:, 0].unique().numpy())


def thinned(levels: np.ndarray, steps: int) -> np.ndarray:
    """A grid of that many steps, as dense as these levels are: linear between them in log-SNR."""
    index = np.linspace(0, len(levels) - 1, steps + 1)
    grid = np.exp(np.interp(index, np.arange(len(levels)), np.log(levels)))
    grid[[0, -1]] = levels[[0, -1]]
    return np.asarray(grid)


def work_precision(
    mixture: GaussianMixture, attempts: Mapping[str, Attempt], paths: CoupledPaths | None = None
) -> dict[str, Outcome]:
    """Calls and errors of all attempts on the same problem."""
    design = paths or CoupledPaths(batches=8, size=1024)
    name, steps = _REFERENCE
    grid = uniform_log_snr(*RANGE, steps)
    points = uniform_log_snr(*RANGE, steps * PAIRS[name].tableau.calls)  # with its nodes
    directions = _directions(mixture.dimension)
    shifts: dict[str, list[np.ndarray]] = {label: [] for label in attempts}
    calls: dict[str, list[float]] = {label: [] for label in attempts}
    for batch in range(design.batches):
        generator = design.generator(batch)
        start = mixture.marginal(RANGE[0]).sample(design.size, generator)
        path = RefinedPath(_clocks(points), (design.size, mixture.dimension), generator)
        exact = on_levels(name, mixture.at_levels, start, grid, path.copy()) @ directions
        for label, attempt in attempts.items():
            end, cost = attempt(mixture, start, path.copy())
            shift = (end @ directions).sort(0).values - exact.sort(0).values
            shifts[label].append(shift.flatten().numpy())
            calls[label].append(cost)
    outcomes = {}
    for label, batches in shifts.items():
        distance = squared_shift(np.stack(batches)[:, None])
        outcomes[label] = Outcome(
            float(np.mean(calls[label])), distance.errors[0], distance.standard_errors[0]
        )
    return outcomes


def _clocks(sigmas: Sequence[float] | np.ndarray) -> Tensor:
    return clock(torch.tensor([-math.log(sigma) for sigma in sigmas], dtype=torch.float64), 1.0)


def _directions(dimension: int) -> Tensor:
    """Unit vectors in the columns, (d, k): the axes, and as many more of a random rotation."""
    axes = torch.eye(dimension, dtype=torch.float64)
    if dimension == 1:
        return axes
    generator = torch.Generator().manual_seed(0)
    normals = torch.randn(dimension, dimension, generator=generator, dtype=torch.float64)
    return torch.cat([axes, torch.linalg.qr(normals).Q], dim=1)

r"""Coupled paths: errors on curved problems, by Monte Carlo with standard errors.

All step sizes of a method, and a fine reference, follow the same Brownian paths from the same initial
states. The mean-square distance to the reference measures the strong error. The weak error (data on
the line) is the W2 distance between the laws, from differences of sorted samples,

.. math::  W_2^2 = \int_0^1 \delta(q)^2\,dq, \qquad \delta = F_{num}^{-1} - F_{ref}^{-1},

where the square is a product of *independent* batches' differences, so that sampling noise adds no bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from seeds_theory import BrownianPath, uniform_log_snr
from seeds_theory.baselines import Baseline
from seeds_theory.errors import ParameterError
from seeds_theory.extras import optional_imports
from seeds_theory.plan import Interval
from seeds_theory.progress import with_bar
from seeds_theory.sources import GeneratorNoise, seeded_generator, silent
from toy_models.convergence import Fit, Study, on_grid, order_model, require_steps
from toy_models.mixture import GaussianMixture
from toy_models.response import Sampler, asked_intervals

if TYPE_CHECKING:
    from seeds_theory.tableau import Tableau

with optional_imports():
    from scipy import stats

REFINEMENT = 8
"""The reference takes this many times the steps of the finest grid. It has strong order 1.5, so that its
own error is at most 1/22 of the finest one's, 1/500 in the squares that add up; order 3 at eta = 0."""


@dataclass(frozen=True)
class CoupledPaths:
    """How many paths: batches of equal size, from one seed. The batches give the standard errors."""

    batches: int = 16
    size: int = 4096
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batches < 3 or self.size < 2 or self.seed < 0:
            raise ParameterError(
                "coupled paths need 3 or more batches of 2 or more paths, and a seed >= 0; got "
                f"batches = {self.batches}, size = {self.size}, seed = {self.seed}"
            )

    def generator(self, batch: int) -> torch.Generator:
        """The random numbers of one batch, independent of the others and of their number."""
        return seeded_generator(self.seed, batch)


def mixture_study(
    method: str | Tableau | Baseline,
    mixture: GaussianMixture,
    steps: Sequence[int],
    *,
    sigma_max: float,
    sigma_min: float,
    eta: float = 1.0,
    prediction: str = "data",
    paths: CoupledPaths | None = None,
    progress: bool = False,
) -> Study:
    """Strong and (d = 1) weak errors of a method or baseline on a mixture, uniform steps in log-SNR."""
    require_steps(steps)
    design = paths or CoupledPaths()

    def uniform(count: int) -> np.ndarray:
        return uniform_log_snr(sigma_max, sigma_min, count)

    samplers = [on_grid(method, uniform(n), eta=eta, prediction=prediction) for n in steps]
    reference = on_grid("seeds-3s", uniform(REFINEMENT * steps[-1]), eta=eta)
    name = samplers[0].name
    runs = [sampler.run for sampler in (*samplers, reference)]
    asked = [interval for run in runs for interval in asked_intervals(run)]
    on_line = mixture.dimension == 1
    squares = np.empty((design.batches, len(steps)))
    shifts = np.empty((design.batches, len(steps), design.size if on_line else 0))
    for b in with_bar(range(design.batches), show=progress, desc=f"{name} on paths"):
        generator = design.generator(b)
        start = mixture.marginal(sigma_max).sample(design.size, generator)
        *ends, exact = coupled_ends(mixture, start, runs, asked, generator)
        for i, end in enumerate(ends):
            squares[b, i] = (end - exact).square().sum(-1).mean()
            if on_line:
                shifts[b, i] = (end[:, 0].sort().values - exact[:, 0].sort().values).numpy()
    strong = Jackknife(squares.mean(0), (squares.sum(0) - squares) / (design.batches - 1))
    weak = squared_shift(shifts) if on_line else None
    return Study(
        method=name,
        declared=samplers[0].declared,
        prediction=prediction,
        eta=eta,
        target="mixture",
        steps=tuple(steps),
        nfe=tuple(sampler.nfe for sampler in samplers),
        strong=strong.errors,
        strong_se=strong.standard_errors,
        weak=weak.errors if weak else (),
        weak_se=weak.standard_errors if weak else (),
        strong_fit=strong.fit(steps),
        weak_fit=weak.fit(steps) if weak else Fit(None, None, ()),
        exact=False,
    )


def coupled_ends(
    mixture: GaussianMixture,
    start: Tensor,
    samplers: Sequence[Sampler],
    asked: Sequence[Interval],
    generator: torch.Generator,
) -> list[Tensor]:
    """Where each sampler takes the initial states (batch, d) on one common set of Brownian paths.

    asked : what they all ask of their noise source; nothing at eta = 0.
    """
    source = BrownianPath.serving(asked, start, GeneratorNoise(generator)) if asked else silent
    return [sampler(mixture, start, source) for sampler in samplers]


@dataclass(frozen=True)
class Jackknife:
    """Squared errors, per grid, and their values with each batch left out: (batches, grids)."""

    squares: np.ndarray
    replicates: np.ndarray

    def _deviation(self, replicates: np.ndarray) -> np.ndarray:
        count = len(replicates)
        return np.sqrt((count - 1) * replicates.var(axis=0))

    @property
    def errors(self) -> tuple[float, ...]:
        """The errors, per grid."""
        return tuple(np.sqrt(self.squares.clip(min=0)).tolist())

    @property
    def standard_errors(self) -> tuple[float, ...]:
        """Their standard errors."""
        # d sqrt(s) = ds / (2 sqrt(s)); where s is lost in noise, the noise itself.
        spread = self._deviation(self.replicates)
        return tuple((spread / np.sqrt(4 * np.maximum(self.squares, spread / 4))).tolist())

    def fit(self, steps: Sequence[int]) -> Fit:
        """Weighted least squares on the last four grids whose error stands clear of its noise.

        With four of them the first correction is fitted too, as on exact errors.
        """
        spread = self._deviation(self.replicates)
        clear = (self.squares > 4 * spread) & (self.replicates > 0).all(axis=0)
        used = np.flatnonzero(clear)[-4:]
        if len(used) < 2:
            return Fit(None, None, ())
        columns = order_model([steps[i] for i in used])[:, : 3 if len(used) > 3 else 2]
        weighted = columns.T * (self.squares[used] / spread[used]) ** 2
        # The row of the least-squares solution that picks the order; errors are roots of squares.
        row = 0.5 * np.linalg.solve(weighted @ columns, weighted)[1]
        orders = np.log(self.replicates[:, used]) @ row
        half_width = stats.t.ppf(0.975, len(orders) - 1) * self._deviation(orders)
        order = float(np.log(self.squares[used]) @ row)
        return Fit(order, float(half_width), tuple(steps[i] for i in used))


def squared_shift(shifts: np.ndarray) -> Jackknife:
    """W2 squared from the sorted differences (batches, grids, size), by products of distinct batches."""
    count = len(shifts)
    total, squares = shifts.sum(0), np.square(shifts)

    def unbiased(sums: np.ndarray, own: np.ndarray, number: int) -> np.ndarray:
        return (np.square(sums) - own).mean(-1) / (number * (number - 1))

    left_out = [
        unbiased(total - shifts[b], squares.sum(0) - squares[b], count - 1) for b in range(count)
    ]
    return Jackknife(unbiased(total, squares.sum(0), count), np.stack(left_out))

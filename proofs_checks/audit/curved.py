"""The order on curved data: a mixture on the line, coupled paths, a confidence interval.

All grids see the same Brownian paths from the same initial states; each is compared with the next finer
one. One run carries all paths; groups of them give the standard errors.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from proofs_checks.audit.affine import Levels, Recorder
from proofs_checks.audit.draws import require_answerable
from proofs_checks.audit.protocol import NotAffine, Target, call
from seeds_theory.grids import uniform_log_snr
from seeds_theory.sources import seeded_generator
from toy_models.convergence import Fit
from toy_models.mixture import CURVED, GaussianMixture
from toy_models.paths import Jackknife, squared_shift

GROUPS, SIZE, COSTLY_SIZE = 16, 1024, 32
STEPS = (32, 64, 128, 256, 512)
SIGMA_MAX, SIGMA_MIN = 10.0, 0.05


@dataclass(frozen=True)
class CurvedStudy:
    """Orders on the mixture, with 95 % confidence half-widths."""

    strong: Fit
    weak: Fit

    def to_json(self) -> dict[str, Any]:
        """The record in a report."""
        return {
            "strong_order": self.strong.order,
            "strong_order_uncertainty": self.strong.uncertainty,
            "weak_order": self.weak.order,
            "weak_order_uncertainty": self.weak.uncertainty,
        }


@dataclass(frozen=True)
class _Model:
    mixture: GaussianMixture

    def __call__(self, x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        level = float(torch.as_tensor(sigma).reshape(-1)[0])
        return self.mixture(x[..., 0, 0], level)[..., None, None]


class _Paths:
    """Brownian paths in the clock sigma, for a sampler that asks for stretches or draws once a step."""

    injects = True

    def __init__(self, levels: Iterable[float], paths: int, generator: torch.Generator) -> None:
        self._levels = Levels(levels)
        lengths = torch.from_numpy(-np.diff(self._levels.values))[:, None]
        self._states = torch.Size((paths, 1, 1, 1))
        shape = len(lengths), paths
        increments = torch.randn(shape, generator=generator, dtype=torch.float64) * lengths.sqrt()
        start = torch.zeros(1, paths, dtype=torch.float64)
        self._values = torch.cat([start, increments.cumsum(0)])
        self.grid: list[float] = []

    def stretch(self, sigma: float, sigma_next: float, like: Tensor) -> Tensor:
        start, stop = self._levels.index(sigma), self._levels.index(sigma_next)
        if start is None or stop is None:
            raise NotAffine("asks for noise at other levels when the states differ")
        change = self._values[stop] - self._values[start]
        return (change / abs(sigma - sigma_next) ** 0.5).reshape(like.shape).to(like)

    def draw(self, number: int, like: Tensor) -> Tensor:
        require_answerable(number, like, self._states)
        if number + 1 >= len(self.grid):
            raise NotAffine("draws more noise when the states differ")
        return self.stretch(self.grid[number], self.grid[number + 1], like)


def curved_study(target: Target, seed: int = 0) -> CurvedStudy | None:
    """Measure both orders; None if the sampler's draws cannot be put on a path (more than one a step)."""
    grids = [uniform_log_snr(SIGMA_MAX, SIGMA_MIN, n).tolist() for n in STEPS]
    model, levels = _Model(CURVED), {level for grid in grids for level in grid}
    for grid in grids:
        recorder, zero = Recorder(), torch.zeros(2, 1, 1, 1, dtype=torch.float64)
        call(target, model, zero, torch.tensor(grid, dtype=torch.float64), recorder)
        levels |= {level for pair in recorder.stretches for level in pair}
        if recorder.draws not in (0, len(grid) - 1) or (recorder.draws and recorder.stretches):
            return None
    size = COSTLY_SIZE if target.costly else SIZE
    paths = _Paths(levels, GROUPS * size, seeded_generator(seed, 0))
    start = CURVED.marginal(SIGMA_MAX).sample(GROUPS * size, seeded_generator(seed, 1))
    ends = []
    for grid in grids:
        paths.grid = grid
        sigmas = torch.tensor(grid, dtype=torch.float64)
        end = call(target, model, start[..., None, None].clone(), sigmas, paths)
        ends.append(end.double().reshape(GROUPS, size))
    pairs = list(itertools.pairwise(ends))
    squares = torch.stack([(a - b).square().mean(1) for a, b in pairs], dim=1).numpy()
    shifts = [a.sort(dim=1).values - b.sort(dim=1).values for a, b in pairs]
    left_out = (squares.sum(0) - squares) / (GROUPS - 1)
    return CurvedStudy(
        strong=Jackknife(squares.mean(0), left_out).fit(STEPS[:-1]),
        weak=squared_shift(torch.stack(shifts, dim=1).numpy()).fit(STEPS[:-1]),
    )

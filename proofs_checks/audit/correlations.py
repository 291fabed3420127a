r"""Correlations of a sampler's noise over pixels, channels, samples and steps, where there must be none.

With a model that answers 0, the states at the grid's levels are a chain :math:`x_{i+1} = a_i x_i + n_i`
for every sampler that keeps estimates of the data, and the :math:`n_i` of a sound one are independent normal
numbers. So they are, of one that keeps estimates of the noise, with a model that answers its input. A run
from a unit state without noise tells the :math:`a_i`; runs on images with random normals then show the
:math:`n_i` themselves. Memory of estimates that are not constant looks like noise that comes again in a later
step: what both models show is the noise.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from proofs_checks.audit.affine import Recorder, Source
from proofs_checks.audit.draws import SeededNormals
from proofs_checks.audit.grids import even
from proofs_checks.audit.protocol import Noise, SamplerFailure, Target, call, level_of

SHAPE = (4, 3, 8, 8)
RUNS, COSTLY_RUNS = 96, 12
_STEPS = 4
_SIGMA_MAX, _SIGMA_MIN = 4.0, 0.25
_STREAM = 3  # of seeds

_DEVIATIONS = 6.5
"""A correlation this many standard errors from 0 is one: among a million pairs chance does not get there."""

_AXES = {"steps": 1, "samples": 2, "channels": 3, "pixels": 4}
_ANY = "numbers of one run"


@dataclass(frozen=True)
class Correlation:
    """A correlation: between what, how large, its standard error."""

    among: str
    value: float
    error: float

    @property
    def clear(self) -> bool:
        """Whether it stands clear of chance, as the largest of a million would."""
        return abs(self.value) > _DEVIATIONS * self.error

    def __str__(self) -> str:
        return f"{self.value:+.2f} ± {self.error:.2g} between {self.among}"


Answer = Callable[[Tensor], Tensor]
"""A model's estimate for a state, at any level."""

_ANSWERS: tuple[Answer, ...] = (torch.zeros_like, torch.clone)


def innovations(target: Target, answer: Answer, *, injects: bool, runs: range) -> np.ndarray:
    """The noise that each step adds, to unit variance over all: (runs, steps, batch, channels, pixels).

    runs : the numbers of the runs, which seed them. Steps that add none are left out.
    """
    silent = functools.partial(Recorder, Source.BROWNIAN if injects else Source.OWN)
    gains = np.stack([x.reshape(-1)[0].numpy() for x in _chain(target, answer, silent, 1.0)])
    ratios = torch.from_numpy(
        np.divide(gains[1:], gains[:-1], out=0 * gains[1:], where=gains[:-1] != 0)
    )
    found = []
    for run in runs:
        noise = functools.partial(SeededNormals, injects, run, _STREAM)
        states = torch.stack(_chain(target, answer, noise, 0.0, seed=run + 1))
        added = states[1:] - ratios.reshape(-1, 1, 1, 1, 1) * states[:-1]
        found.append(added.flatten(3).numpy())
    all_runs = np.stack(found)
    deviations = np.sqrt(np.square(all_runs).mean(axis=(0, 2, 3, 4)))
    present = deviations > 1e-6 * gains[0]
    return all_runs[:, present] / deviations[present][:, None, None, None]


def _chain(
    target: Target, answer: Answer, noise: Callable[[], Noise], start: float, seed: int = 1
) -> list[Tensor]:
    """The states at the grid's levels, the first and the last included; these alone if it goes up again."""
    levels = even(_SIGMA_MAX, _SIGMA_MIN, _STEPS)
    x = torch.full(SHAPE, start, dtype=torch.float64)
    seen: list[tuple[float, Tensor]] = []

    def model(x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        seen.append((level_of(sigma), x.double().clone()))
        return answer(x)

    def end(steps: int) -> Tensor:
        grid = torch.tensor(levels[: steps + 1], dtype=torch.float64)
        return call(target, model, x.clone(), grid, noise(), seed=seed).double()

    last = end(_STEPS)
    at = [
        [i for i, (sigma, _) in enumerate(seen) if abs(sigma / level - 1) < 1e-3]
        for level in levels[1:-1]
    ]
    if all(at):  # the last call of each level: a stage of the step before may lie there too
        order = [calls[-1] for calls in at]
        if order != sorted(order):  # it goes up again: what lies between is no chain
            return [x, last]
        return [x, *(seen[i][1] for i in order), last]
    # It calls the model elsewhere: the same noise on the first part of the grid.
    return [x, *(end(steps) for steps in range(1, _STEPS)), last]


@dataclass(frozen=True)
class Pair:
    """What may be correlated: two numbers along an axis, or all of them with each other."""

    among: str
    columns: tuple[int, int] | None

    def measured(self, noise: np.ndarray) -> Correlation:
        """Its correlation in the noise of runs, (runs, steps, batch, channels, pixels)."""
        rows = _rows(self.among, noise)
        count, columns = rows.shape
        if self.columns is not None:
            first, second = (rows[:, column] for column in self.columns)
            return Correlation(self.among, float(first @ second) / count, count**-0.5)
        total = float(np.square(rows.sum(1)).mean()) - columns
        pairs = columns * (columns - 1)
        return Correlation(self.among, total / pairs, (2 / count) ** 0.5 / (columns - 1))


def _rows(among: str, noise: np.ndarray) -> np.ndarray:
    """Independent rows of the numbers along an axis, of unit variance: (count, columns)."""
    if among == _ANY:
        rows = noise.reshape(len(noise), -1).astype(np.float32)
    else:
        axis = _AXES[among]
        rows = np.moveaxis(noise, axis, -1).reshape(-1, noise.shape[axis])
    return rows / np.sqrt(np.square(rows).mean(0))


def correlated(noise: np.ndarray) -> list[Pair]:
    """All that stand clear of chance, over an axis and between any two numbers of a run."""
    found: list[Pair] = []
    for among in (*_AXES, _ANY) if noise.size else ():
        rows = _rows(among, noise)
        if rows.shape[1] < 2:
            continue
        matrix = rows.T @ rows / len(rows)
        np.fill_diagonal(matrix, 0.0)
        first, second = np.unravel_index(np.abs(matrix).argmax(), matrix.shape)
        pairs = (Pair(among, (int(first), int(second))), Pair(among, None))
        found += [pair for pair in pairs if pair.measured(noise).clear]
    return found


def largest_correlation(target: Target, *, injects: bool) -> Correlation | None:
    """The largest one of a sampler's noise, of what every answer shows; None if there is none, or no noise.

    One over an axis tells more than one between any two numbers, and goes before it. The largest of many is
    large by chance too: its value is that in runs of its own.

    Parameters
    ----------
    injects : whether the noise is given to it, or its own.

    Raises
    ------
    SamplerFailure : from `call`: it does not run on images.
    """
    runs = COSTLY_RUNS if target.costly else RUNS

    def noise(answer: Answer, first: int) -> np.ndarray:
        return innovations(target, answer, injects=injects, runs=range(first, first + runs))

    shown: list[Pair] = []
    for i, answer in enumerate(_ANSWERS):
        try:
            found = correlated(noise(answer, 0))
        except SamplerFailure:
            if not i:
                raise
            return None  # as steps divided by an estimate of the noise, which is 0: nothing confirms it
        among = {pair.among for pair in found}
        shown = [pair for pair in (shown if i else found) if pair.among in among]
        if not shown:
            return None
    fresh = noise(_ANSWERS[0], runs)
    known = [(pair.among != _ANY, pair.measured(fresh)) for pair in shown]
    return max(known, key=lambda found: (found[0], abs(found[1].value)))[1]

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from proofs_checks.audit.affine import Recorder, Source
from proofs_checks.audit.draws import SeededNormals
from proofs_checks.audit.grids import even
from proofs_checks.audit.protocol import Noise, Target, call, level_of

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
    """The largest correlation found: between what, how large, its standard error."""

    among: str
    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:+.2f} ± {self.error:.2g} between {self.among}"


Answer = Callable[[Tensor], Tensor]
"""A model's estimate for a state, at any level."""

_ANSWERS: tuple[Answer, ...] = (torch.zeros_like, torch.clone)


def innovations(target: Target, answer: Answer, *, injects: bool, runs: int) -> np.ndarray:
    """The noise that each step adds, to unit variance over all: (runs, steps, batch, channels, pixels).

    Steps that add none are left out.
    """
    silent = functools.partial(Recorder, Source.BROWNIAN if injects else Source.OWN)
    gains = np.stack([x.reshape(-1)[0].numpy() for x in _chain(target, answer, silent, 1.0)])
    ratios = torch.from_numpy(
        np.divide(gains[1:], gains[:-1], out=0 * gains[1:], where=gains[:-1] != 0)
    )
    found = []
    for run in range(runs):
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


def correlations(noise: np.ndarray) -> list[Correlation]:
    """All that stand clear of chance, over an axis and between any two numbers of a run."""
    if not noise.size:
        return []
    found: list[Correlation] = []
    for among, axis in _AXES.items():
        found += _clear(among, np.moveaxis(noise, axis, -1).reshape(-1, noise.shape[axis]))
    numbers = noise.reshape(len(noise), -1).astype(np.float32)
    return [*found, *_clear(_ANY, numbers)]


def _clear(among: str, rows: np.ndarray) -> Iterator[Correlation]:
    """The largest correlation of columns, and that which all of them share, if clear of chance."""
    count, columns = rows.shape
    if columns < 2:
        return
    rows = rows / np.sqrt(np.square(rows).mean(0))
    matrix = rows.T @ rows / count
    np.fill_diagonal(matrix, 0.0)
    largest = np.unravel_index(np.abs(matrix).argmax(), matrix.shape)
    pairs = [
        (float(matrix[largest]), count**-0.5),
        (float(matrix.sum()) / (columns * (columns - 1)), (2 / count) ** 0.5 / (columns - 1)),
    ]
    for value, error in pairs:
        if abs(value) > _DEVIATIONS * error:
            yield Correlation(among, value, error)


def largest_correlation(target: Target, *, injects: bool) -> Correlation | None:
    """The largest one of a sampler's noise, of what every answer shows; None if there is none, or no noise.

    One over an axis tells more than one between any two numbers, and goes before it.

    Parameters
    ----------
    injects : whether the noise is given to it, or its own.

    Raises
    ------
    SamplerFailure : from `call`: it does not run on images.
    """
    runs = COSTLY_RUNS if target.costly else RUNS
    shown: list[Correlation] = []
    for i, answer in enumerate(_ANSWERS):
        found = correlations(innovations(target, answer, injects=injects, runs=runs))
        among = {correlation.among for correlation in found}
        shown = [c for c in (shown if i else found) if c.among in among]
        if not shown:
            return None
    return max(shown, key=lambda c: (c.among != _ANY, abs(c.value)))

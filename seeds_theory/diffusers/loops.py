"""Published samplers one model call at a time.

A baseline is a loop that calls its denoiser; a pipeline calls its network itself, and hands over one output
after another. The loop's sums (`seeds_theory.affine`) are found once, and a run then adds up, as it does for
a method. What there is of it between two calls is tensors, no more of them than are still to be added.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from seeds_theory.affine import Move, Sketch, moves_of
from seeds_theory.denoiser import Denoiser
from seeds_theory.diffusers.coordinates import Coordinates
from seeds_theory.loop import Callback
from seeds_theory.solver import Solver
from seeds_theory.sources import NoiseSource, require_normals


@dataclass(frozen=True)
class Loop:
    """A run of a baseline from a finite noise level, as one step of many model calls.

    grid : noise levels, descending.
    """

    solver: Solver
    grid: tuple[float, ...]
    coordinates: Coordinates

    @property
    def sigma_next(self) -> float:
        """The noise level at the end."""
        return self.grid[-1]

    @cached_property
    def levels(self) -> tuple[float, ...]:
        """The noise level of each model call."""
        return self._sketch.levels

    @property
    def firsts(self) -> tuple[int, ...]:
        """The number of the first call of each step, and of all calls."""
        return tuple(self._sketch.firsts)

    @cached_property
    def moves(self) -> tuple[Move, ...]:
        """What is done before each call, and at the end.

        Raises
        ------
        ParameterError : the baseline is no sum of what it is given.
        """
        way_out = "a scheduler has other samplers, seeds_theory.sample runs this one"
        return moves_of(self._run, self._sketch, self.solver.name, way_out)

    @cached_property
    def last_uses(self) -> dict[int, int]:
        """The last move that adds what has this number."""
        return {i: number for number, move in enumerate(self.moves) for i, _ in move.weights}

    @property
    def moves_first(self) -> bool:
        """Whether noise is added to the initial states before the first call."""
        return self.moves[0].weights != ((0, 1.0),)

    def calls_at(self, levels: Sequence[float]) -> bool:
        """Whether its model calls are at just these levels."""
        return len(self.levels) == len(levels) and all(map(math.isclose, self.levels, levels))

    @cached_property
    def _sketch(self) -> Sketch:
        """The loop on random numbers: what it asks for, and results that its weights are held to."""
        return Sketch(self._run, self.sigma_next)

    def _run(
        self, denoiser: Denoiser, x: Tensor, noise: NoiseSource | None, callback: Callback
    ) -> Tensor:
        return self.solver(denoiser, x, self.grid, noise, callback=callback)


class LoopStages:
    """A loop between two of its model calls: as `seeds_theory.loop.Stages` of a step.

    Attributes
    ----------
    sigma : where the model is called next; after the last call, the end of the grid.
    """

    _y: Tensor
    _call: int
    _known: dict[int, Tensor]

    def __init__(self, loop: Loop, x: Tensor, source: NoiseSource) -> None:
        self._loop = loop
        self._reach(0, {0: x / self._scale(loop.grid[0])}, source)

    @property
    def sigma(self) -> float:  # noqa: D102
        return self._loop.moves[self._call].sigma

    @property
    def done(self) -> bool:
        """Whether all calls are made."""
        return self._call == len(self._loop.levels)

    @property
    def state(self) -> Tensor:
        """The sample alpha y there. One that is given takes its place in the loop, too."""
        return self._scale(self.sigma) * self._y

    @state.setter
    def state(self, x: Tensor) -> None:
        self._y = x / self._scale(self.sigma)

    def advance(self, estimate: Tensor, source: NoiseSource) -> None:
        """Go on to the next state, with the model's estimate at this one.

        Raises
        ------
        NoiseError : the source broke its protocol; then nothing is changed.
        """
        at = 1 + self._call
        known = {**self._known, at: self._y, at + len(self._loop.levels): estimate}
        self._reach(self._call + 1, known, source)

    def _reach(self, call: int, known: dict[int, Tensor], source: NoiseSource) -> None:
        move, last_uses = self._loop.moves[call], self._loop.last_uses
        like = next(iter(known.values()))
        drawn = itertools.count(move.drawn)
        for intervals in move.asks:
            normals = source(intervals, like)
            found = require_normals(normals, len(intervals), like, f"call {call}")
            known.update((number, z) for z, number in zip(found, drawn, strict=False))
        y = torch.zeros_like(like)
        for i, weight in move.weights:
            y.add_(known[i], alpha=weight)
        self._y, self._call = y, call
        self._known = {i: value for i, value in known.items() if last_uses.get(i, 0) > call}

    def _scale(self, sigma: float) -> float:
        return self._loop.coordinates.alpha(sigma)

"""Published samplers one model call at a time.

A baseline is a loop that calls its denoiser; a pipeline calls its network itself, and hands over one output
after another. But every state of such a loop is a sum of what it has been given, the states, the model's
estimates and normals, each times a number that depends on the grid alone. So the loop, as it stands, is run
once on a basis in place of these, which finds the numbers; a run then adds up, as it does for a method. What
there is of it between two calls is tensors, no more of them than are still to be added.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from seeds_theory.diffusers.coordinates import Coordinates
from seeds_theory.errors import ParameterError
from seeds_theory.loop import StepInfo
from seeds_theory.plan import Interval
from seeds_theory.solver import Solver
from seeds_theory.sources import NoiseSource, require_normals


@dataclass(frozen=True)
class Move:
    """What a loop does before a model call, or before its end.

    Attributes
    ----------
    sigma : where the model is called then, or the end of the grid.
    asks : the intervals of each time that it asks the source.
    drawn : the number of the first normal that is drawn then.
    weights : of what it adds up, by its number: 0 the start; of n calls, 1 + k the state at call k, 1 + n + k
        the estimate there; 1 + 2 n + j normal j of the run.
    """

    sigma: float
    asks: tuple[tuple[Interval, ...], ...]
    drawn: int
    weights: tuple[tuple[int, float], ...]


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
        return tuple(sigma for sigma, _, _ in self._sketch.reached[:-1])

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
        sketch = self._sketch
        calls, normals = len(self.levels), len(sketch.given) - 1 - 2 * len(self.levels)
        basis = torch.eye(1 + 2 * calls + normals, dtype=torch.float64)
        reached = _Recorded(self, list(basis)).reached
        given = torch.stack(sketch.given)
        for (_, _, weights), (sigma, _, value) in zip(reached, sketch.reached, strict=True):
            if not torch.allclose(weights @ given, value, rtol=1e-9, atol=1e-9):
                raise ParameterError(
                    f"{self.solver.name!r} is no sum of states, estimates and normals at sigma = {sigma:g}: "
                    "a scheduler has other samplers, seeds_theory.sample runs this one"
                )
        moves, drawn = [], 1 + 2 * calls
        for sigma, asks, weights in reached:
            used = weights.nonzero().flatten().tolist()
            moves.append(Move(sigma, asks, drawn, tuple((i, float(weights[i])) for i in used)))
            drawn += sum(map(len, asks))
        return tuple(moves)

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
    def _sketch(self) -> _Recorded:
        """The loop on random numbers: what it asks for, and results that its weights are held to."""
        return _Recorded(self, None)


class _Recorded:
    """A loop run in one dimension or on a basis.

    given : what took the place of start, states, estimates and normals, in the order of `Move`.
    reached : level, asks and value before each call and at the end.
    firsts : as of `Loop`.
    """

    def __init__(self, loop: Loop, basis: list[Tensor] | None) -> None:
        self.reached: list[tuple[float, tuple[tuple[Interval, ...], ...], Tensor]] = []
        self.firsts = [0]
        asks: list[tuple[Interval, ...]] = []
        random = torch.Generator().manual_seed(0)
        states: list[Tensor] = []
        estimates: list[Tensor] = []
        normals: list[Tensor] = []
        calls = 0 if basis is None else len(loop.levels)

        def one(row: int) -> Tensor:
            if basis is not None:
                return basis[row]
            return torch.randn(1, dtype=torch.float64, generator=random)

        def arrived(x: Tensor, sigma: float) -> None:
            self.reached.append((sigma, tuple(asks), x[0].clone()))
            asks.clear()

        def denoiser(x: Tensor, sigma: float) -> Tensor:
            arrived(x, sigma)
            call = len(states)
            states.append(one(1 + call))
            estimates.append(one(1 + calls + call))
            x.copy_(
                states[-1]
            )  # in place: so the loop goes on from the state that it is given here
            return estimates[-1].clone()[None]

        def source(intervals: Sequence[Interval], like: Tensor) -> Tensor:
            asks.append(tuple(intervals))
            drawn = [one(1 + 2 * calls + len(normals) + i) for i in range(len(intervals))]
            normals.extend(drawn)
            return torch.stack(drawn)[:, None]

        def count(step: StepInfo) -> None:
            self.firsts.append(len(states))

        start = one(0)
        end = loop.solver(denoiser, start.clone()[None], loop.grid, source, callback=count)
        arrived(end, loop.sigma_next)
        self.given = [start, *states, *estimates, *normals]


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

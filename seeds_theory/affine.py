"""A run as sums: what each of its states adds up, times numbers that depend on the grid alone.

A sampler calls its denoiser; between two calls it adds up what it has been given, the states, the model's
estimates and normals. So the sampler, as it stands, is run once on a basis in place of these, which finds the
numbers. Whoever has them can take the run apart: at its model calls (`seeds_theory.diffusers`), or for the
density of its steps (`seeds_theory.density`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import ParameterError
from seeds_theory.loop import Callback, StepInfo
from seeds_theory.plan import Interval
from seeds_theory.sources import NoiseSource

Runner = Callable[[Denoiser, Tensor, NoiseSource | None, Callback], Tensor]
"""A sampler on its grid: ``(denoiser, x, noise, callback)`` to the final states."""


@dataclass(frozen=True)
class Move:
    """What a run does before it has one of its states, or its end.

    Attributes
    ----------
    sigma : the noise level of that state: where the model is called then, or the end of the grid.
    asks : the intervals of each time that it asks the source.
    drawn : the number of the first normal that is drawn then.
    weights : of what it adds up, by its number: 0 the start; of n states, 1 + k state k; 1 + n + i the
        estimate of call i; after these normal j of the run.
    """

    sigma: float
    asks: tuple[tuple[Interval, ...], ...]
    drawn: int
    weights: tuple[tuple[int, float], ...]


class Sketch:
    """A run in one dimension or on a basis.

    Its states are those at model calls and, with `ends`, those at the ends of its steps.

    Parameters
    ----------
    run : the sampler. sigma_next : where its grid ends.
    basis : the same on random numbers, to run it on a basis in their place; None for random numbers.

    Attributes
    ----------
    given : what took the place of start, states, estimates and normals, in that order.
    reached : level, asks and value of each state and at the end.
    firsts : the number of the first call of each step, and of all calls.
    called : whether each state is that of a call, and not of the end of a step.
    """

    given: list[Tensor]

    def __init__(
        self,
        run: Runner,
        sigma_next: float,
        *,
        ends: bool = False,
        basis: Sketch | None = None,
    ) -> None:
        self.reached: list[tuple[float, tuple[tuple[Interval, ...], ...], Tensor]] = []
        self.firsts, self.called = [0], list[bool]()
        vectors = [] if basis is None else list(torch.eye(len(basis.given), dtype=torch.float64))
        before = 0 if basis is None else 1 + len(basis.called)
        calls = 0 if basis is None else sum(basis.called)
        asks: list[tuple[Interval, ...]] = []
        random = torch.Generator().manual_seed(0)
        states: list[Tensor] = []
        estimates: list[Tensor] = []
        normals: list[Tensor] = []

        def one(row: int) -> Tensor:
            if vectors:
                return vectors[row]
            return torch.randn(1, dtype=torch.float64, generator=random)

        def arrived(x: Tensor, sigma: float) -> None:
            self.reached.append((sigma, tuple(asks), x[0].clone()))
            asks.clear()

        def has(x: Tensor, sigma: float, *, called: bool) -> None:
            arrived(x, sigma)
            self.called.append(called)
            states.append(one(len(self.called)))
            # In place: so the run goes on from the state that it is given here.
            x.copy_(states[-1])

        def denoiser(x: Tensor, sigma: float) -> Tensor:
            has(x, sigma, called=True)
            estimates.append(one(before + len(estimates)))
            return estimates[-1].clone()[None]

        def source(intervals: Sequence[Interval], like: Tensor) -> Tensor:
            asks.append(tuple(intervals))
            drawn = [one(before + calls + len(normals) + i) for i in range(len(intervals))]
            normals.extend(drawn)
            return torch.stack(drawn)[:, None]

        def count(step: StepInfo) -> None:
            self.firsts.append(len(estimates))
            if ends:
                has(step.x, step.sigma_next, called=False)

        start = one(0)
        end = run(denoiser, start.clone()[None], source, count)
        arrived(end, sigma_next)
        self.given = [start, *states, *estimates, *normals]

    @property
    def levels(self) -> tuple[float, ...]:
        """The noise level of each model call."""
        reached = zip(self.reached, self.called, strict=False)
        return tuple(sigma for (sigma, _, _), called in reached if called)


def moves_of(run: Runner, sketch: Sketch, name: str, way_out: str) -> tuple[Move, ...]:
    """What a run does before each of its states, and at the end.

    Parameters
    ----------
    sketch : of that run, on random numbers. name, way_out : of the sampler, for the message.

    Raises
    ------
    ParameterError : it is no sum of what it is given.
    """
    ends = not all(sketch.called)
    reached = Sketch(run, sketch.reached[-1][0], ends=ends, basis=sketch).reached
    given = torch.stack(sketch.given)
    for (_, _, weights), (sigma, _, value) in zip(reached, sketch.reached, strict=True):
        if not torch.allclose(weights @ given, value, rtol=1e-9, atol=1e-9):
            raise ParameterError(
                f"{name!r} is no sum of states, estimates and normals at sigma = {sigma:g}: {way_out}"
            )
    moves, drawn = [], 1 + len(sketch.called) + len(sketch.levels)
    for sigma, asks, weights in reached:
        used = weights.nonzero().flatten()
        weighed = zip(used.tolist(), weights[used].tolist(), strict=True)
        moves.append(Move(sigma, asks, drawn, tuple(weighed)))
        drawn += sum(map(len, asks))
    return tuple(moves)

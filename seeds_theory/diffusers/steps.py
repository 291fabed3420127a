"""The steps of a run and their model calls: numbers alone, no tensor."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from seeds_theory.baselines import BASELINES
from seeds_theory.baselines.run import require_options
from seeds_theory.diffusers.coordinates import Coordinates, Flow
from seeds_theory.diffusers.loops import Loop
from seeds_theory.errors import ParameterError, UnknownNameError, unknown
from seeds_theory.eta_schedule import Eta, EtaWindows, on_grid, one_eta, require_eta
from seeds_theory.plan import Step, make_plan
from seeds_theory.policies import POLICIES, LevelAlong, policy_etas, require_level
from seeds_theory.row import Row
from seeds_theory.scheme import is_method
from seeds_theory.solver import SOLVERS, Solver

Piece = Step | Loop
"""A part of a run: a step, or all that a baseline does on a grid."""


def maker_of(
    method: str,
    eta: Eta | None,
    prediction: str,
    coordinates: Coordinates,
    options: Mapping[str, Any] | None,
) -> StepMaker:
    """What makes the steps of any sampler of the library.

    eta : None for the sampler's own, of a policy that of its level; windows are of the sigmas of these
        coordinates.

    Raises
    ------
    UnknownNameError, ParameterError, TableauError : the name or an option; each lists what is known.
    """
    if method in POLICIES and (
        method not in BASELINES or eta is None or "level" in (options or {})
    ):
        return PolicyMaker.of(method, eta, prediction, coordinates, options or {})
    if method not in BASELINES:
        if not is_method(method):
            raise unknown("sampler", method, (*SOLVERS, *(n for n in POLICIES if n not in SOLVERS)))
        require_options(method, options or {}, ())
        if prediction not in ("data", "noise"):
            raise UnknownNameError(
                f"methods of the scheduler integrate 'data' or 'noise' predictions; got {prediction!r}"
            )
        along = _in_levels(1.0 if eta is None else eta, coordinates)
        return StepMaker(method, along, prediction, coordinates)
    if prediction != "data":
        raise ParameterError(
            f"{method!r} has one formula; got algorithm = {prediction!r}: leave it at 'data'"
        )
    solver = Solver(method, dict(options or {}) | ({} if eta is None else {"eta": eta}))
    return LoopMaker(method, _in_levels(solver.eta, coordinates), prediction, coordinates, solver)


def _in_levels(eta: Any, coordinates: Coordinates) -> Any:
    """An eta whose windows are of noise levels."""
    along = require_eta(eta)
    flow = isinstance(coordinates, Flow) and isinstance(along, EtaWindows)
    return along.of_flow() if flow else along


@dataclass(frozen=True)
class StepMaker:
    """Makes the steps of a method for samples in a network's coordinates.

    method, eta, prediction : as in `seeds_theory.make_plan`.
    """

    method: str
    eta: Any
    prediction: str
    coordinates: Coordinates

    @cached_property
    def order(self) -> int:
        """Model calls of a step of finite length."""
        return len(make_plan(self.method, [2.0, 1.0], prediction=self.prediction).steps[0].rows)

    def along(self, grid: np.ndarray) -> StepMaker:
        """The maker for this grid and parts of it: of an eta for each step, one for each level."""
        return replace(self, eta=on_grid(self.eta, grid.tolist()))

    def on(self, grid: np.ndarray) -> tuple[Piece, ...]:
        """All steps, each of `order` calls but a last one to zero.

        A step from an infinite level has one call. Others are added within it, at equal parts of a flow's
        time, so that a pipeline finds step n at the call n times `order`.
        """
        if not math.isinf(grid[0]):
            return self._from_finite(grid)
        times = np.linspace(1.0, grid[1] / (1 + grid[1]), self.order + 1)[1:-1]
        within = times / (1 - times) if grid[1] > 0 else ()
        first = self._plan("seeds-1", [math.inf, *within, grid[1]])
        return first + (self._from_finite(grid[1:], after=True) if len(grid) > 2 else ())

    def rest(self, piece: Piece, call: int) -> tuple[Piece, ...]:
        """What is left of a piece for a run that begins at that call of it: steps of one call.

        Raises
        ------
        ParameterError : no run can begin there.
        """
        return (
            (piece,) if call == 0 else self.single_calls((*piece.levels, piece.sigma_next)[call:])
        )

    def single_calls(self, levels: Sequence[float]) -> tuple[Step, ...]:
        """Steps of one call for calls at these levels, from the first of them to the last.

        The stages of a step may share a level, or go up. A call that is not at the state's level, or from
        which no lower level follows, changes nothing.
        """
        steps: tuple[Step, ...] = ()
        reached = levels[0]
        for call, level in enumerate(levels[:-1], start=1):
            lower = next((later for later in levels[call:] if later < reached), None)
            if level != reached or lower is None:
                steps += (standing(reached),)
            else:
                steps += self._plan("seeds-1", [reached, lower])
                reached = lower
        return steps

    def _from_finite(self, grid: np.ndarray, *, after: bool = False) -> tuple[Piece, ...]:
        """The steps on a grid from a finite level; after : whether the run has a step before them."""
        return self._plan(self.method, grid)

    def _plan(self, name: str, levels: Sequence[float] | np.ndarray) -> tuple[Step, ...]:
        plan = make_plan(name, levels, eta=self.eta, prediction=self.prediction)
        return plan.scaled(self.coordinates.alpha).steps


@dataclass(frozen=True)
class LoopMaker(StepMaker):
    """Makes runs of a baseline, which is a loop: all of it from a finite level on is one piece.

    What a run has before its loop, or instead of a part of it, is steps of ``seeds-1``. A sampler that adds
    noise before its first model call, which a pipeline makes on its own sample, has a call before it that
    changes nothing.

    solver : the baseline with its options.
    """

    solver: Solver

    @cached_property
    def order(self) -> int:
        """Model calls of a step of finite length that has others before it."""
        one = replace(self, eta=one_eta(self.eta, 1.0))
        before, last = one._loop([16.0, 8.0, 4.0, 2.0, 1.0]).firsts[-2:]
        return last - before

    def rest(self, piece: Piece, call: int) -> tuple[Piece, ...]:  # noqa: D102
        if not isinstance(piece, Loop) or (call == 0 and not piece.moves_first):
            return super().rest(piece, call)
        firsts = piece.firsts
        step = bisect.bisect_left(firsts, call + piece.moves_first)
        if step == len(firsts) - 1:
            return self.single_calls((*piece.levels[call:], piece.sigma_next))
        left, head = self._loop(piece.grid[step:]), piece.levels[call : firsts[step]]
        if not left.calls_at(piece.levels[firsts[step] :]):
            raise ParameterError(
                f"{self.method!r} has other calls when it starts at {left.grid[0]:g}, within its timesteps: "
                "start it at the first, on a grid that begins there, or choose a method without a start-up"
            )
        return (self.single_calls((*head, left.grid[0])) if head else ()) + (left,)

    def _from_finite(self, grid: np.ndarray, *, after: bool = False) -> tuple[Piece, ...]:
        loop = self._loop(grid)
        waits = loop.moves_first and not after
        return (standing(loop.grid[0]), loop) if waits else (loop,)

    def _loop(self, grid: Sequence[float] | np.ndarray) -> Loop:
        solver = replace(self.solver, options={**self.solver.options, "eta": self.eta})
        return Loop(solver, tuple(map(float, grid)), self.coordinates)


@dataclass(frozen=True)
class PolicyMaker(StepMaker):
    """Makes the steps of a published sampler of reinforcement learning, whose eta depends on the grid.

    name : of the sampler. level : of its noise, along the way.
    """

    name: str
    level: LevelAlong

    @classmethod
    def of(
        cls,
        name: str,
        eta: Eta | None,
        prediction: str,
        coordinates: Coordinates,
        options: Mapping[str, Any],
    ) -> PolicyMaker:
        """Of its name and options, ``level`` alone.

        Raises
        ------
        ParameterError : another option, an eta, or no such level.
        """
        require_options(name, options, ("level",))
        if eta is not None or prediction != "data":
            raise ParameterError(
                f"{name!r} has a level of noise and one formula: leave eta and algorithm out; a window is "
                "one of its level, options={'level': '0.7:0.3-0.9'}"
            )
        level = _in_levels(require_level(name, options.get("level")), coordinates)
        return cls(POLICIES[name].method, 1.0, prediction, coordinates, name, level)

    @cached_property
    def order(self) -> int:
        """One model call a step, of all of them."""
        return 1

    def along(self, grid: np.ndarray) -> StepMaker:
        """The maker of its steps."""
        eta = policy_etas(self.name, grid.tolist(), self.level)
        return maker_of(self.method, eta, self.prediction, self.coordinates, None).along(grid)


def standing(level: float) -> Step:
    """A step of one call that leaves the state as it is."""
    stay = Row(sigma=level, state=1.0, drift=(0.0,), noise=())
    return Step(sigma=level, rows=(stay,), intervals=(), integrands=((0.0, 1.0),))


@dataclass(frozen=True)
class Calls:
    """The model calls of all steps of a run, counted from 0."""

    maker: StepMaker
    steps: tuple[Piece, ...] = ()

    @cached_property
    def _begin(self) -> tuple[int, ...]:
        """The number of each piece's first call, and of all calls."""
        return (0, *itertools.accumulate(len(piece.levels) for piece in self.steps))

    @cached_property
    def firsts(self) -> tuple[int, ...]:
        """The number of each step's first call, and of all calls."""
        within = [
            begin + first
            for begin, piece in zip(self._begin, self.steps, strict=False)
            for first in (piece.firsts[:-1] if isinstance(piece, Loop) else (0,))
        ]
        return (*within, self.count)

    @property
    def count(self) -> int:
        """How many there are."""
        return self._begin[-1]

    @cached_property
    def levels(self) -> tuple[float, ...]:
        """The noise level of each call, and of the result; none without steps."""
        called = [level for piece in self.steps for level in piece.levels]
        return (*called, *(piece.sigma_next for piece in self.steps[-1:]))

    def require_grid(self) -> None:
        """There are calls; raises ParameterError before `set_timesteps`."""
        if not self.steps:
            raise ParameterError("there is no grid yet: call set_timesteps first")

    def beginning(self, candidates: Sequence[int]) -> int:
        """Where a run begins that may begin at any of these calls: a stage may lie at its step's end."""
        return next((call for call in candidates if call in self.firsts), candidates[0])

    def ahead(self, call: int) -> tuple[Piece, ...]:
        """The steps of a run that begins at that call: what is left of a step is steps of one call.

        Raises
        ------
        ParameterError : there is no such call, or the method cannot begin there.
        """
        if not 0 <= call < self.count:
            raise ParameterError(
                f"a run begins at one of its {self.count} calls, from 0; got {call}"
            )
        number = bisect.bisect_right(self._begin, call) - 1
        rest = self.maker.rest(self.steps[number], call - self._begin[number])
        return rest + self.steps[number + 1 :]

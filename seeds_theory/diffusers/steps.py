"""The steps of a run and their model calls: numbers alone, no tensor."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seeds_theory.diffusers.coordinates import Coordinates
from seeds_theory.errors import ParameterError
from seeds_theory.plan import Step, make_plan
from seeds_theory.row import Row


@dataclass(frozen=True)
class StepMaker:
    """Makes the steps of a method for samples in a network's coordinates.

    method, eta, prediction : as in `seeds_theory.make_plan`.
    """

    method: str
    eta: float
    prediction: str
    coordinates: Coordinates

    @cached_property
    def order(self) -> int:
        """Model calls of a step of finite length."""
        return len(self._plan(self.method, [2.0, 1.0])[0].rows)

    def on(self, grid: np.ndarray) -> tuple[Step, ...]:
        """All steps, each of `order` calls but a last one to zero.

        A step from an infinite level has one call. Others are added within it, at equal parts of a flow's
        time, so that a pipeline finds step n at the call n times `order`.
        """
        first: tuple[Step, ...] = ()
        if math.isinf(grid[0]) and grid[1] > 0 and self.order > 1:
            times = np.linspace(1.0, grid[1] / (1 + grid[1]), self.order + 1)[1:-1]
            first = self._plan("seeds-1", [math.inf, *(times / (1 - times)), grid[1]])
            grid = grid[1:]
        return first + (self._plan(self.method, grid) if len(grid) > 1 else ())

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
                steps += (_standing(reached),)
            else:
                steps += self._plan("seeds-1", [reached, lower])
                reached = lower
        return steps

    def _plan(self, name: str, levels: Sequence[float] | np.ndarray) -> tuple[Step, ...]:
        plan = make_plan(name, levels, eta=self.eta, prediction=self.prediction)
        return plan.scaled(self.coordinates.alpha).steps


def _standing(level: float) -> Step:
    """A step of one call that leaves the state as it is."""
    stay = Row(sigma=level, state=1.0, drift=(0.0,), noise=())
    return Step(sigma=level, rows=(stay,), intervals=(), integrands=((0.0, 1.0),))


@dataclass(frozen=True)
class Calls:
    """The model calls of all steps of a run, counted from 0."""

    maker: StepMaker
    steps: tuple[Step, ...] = ()

    @cached_property
    def firsts(self) -> tuple[int, ...]:
        """The number of each step's first call, and of all calls."""
        return (0, *itertools.accumulate(len(step.rows) for step in self.steps))

    @property
    def count(self) -> int:
        """How many there are."""
        return self.firsts[-1]

    @cached_property
    def levels(self) -> tuple[float, ...]:
        """The noise level of each call, and of the result; none without steps."""
        called = [
            level
            for step in self.steps
            for level in (step.sigma, *(row.sigma for row in step.rows[:-1]))
        ]
        return (*called, *(step.sigma_next for step in self.steps[-1:]))

    def beginning(self, candidates: Sequence[int]) -> int:
        """Where a run begins that may begin at any of these calls: a stage may lie at its step's end."""
        return next((call for call in candidates if call in self.firsts), candidates[0])

    def ahead(self, call: int) -> tuple[Step, ...]:
        """The steps of a run that begins at that call: what is left of a step is steps of one call.

        Raises
        ------
        ParameterError : there is no such call.
        """
        if not 0 <= call < self.count:
            raise ParameterError(
                f"a run begins at one of its {self.count} calls, from 0; got {call}"
            )
        number = bisect.bisect_right(self.firsts, call) - 1
        if call == self.firsts[number]:
            return self.steps[number:]
        left = self.levels[call : self.firsts[number + 1] + 1]
        return self.maker.single_calls(left) + self.steps[number + 1 :]

r"""A run as a chain of states, each a mean of what was before it and a noise: for densities and inversions.

A step adds up states, estimates and normals. Its own states, those of its stages and its end, are

.. math::  u_j = \mu_j(\text{what is known before } u_j) + \sum_m L_{jm} z_m, \qquad z \sim N(0, I),

so where L has full rank r, the number of the step's states, they have a density given what was before the
step. With the triangular factor :math:`C C^T = L L^T` the *innovations* :math:`w = C^{-1} (u - \mu)` are
standard normals, and are solved for row by row. A step without noise has no density, and a step whose states
are more than its normals has none either: other networks do not lead there.
"""

from __future__ import annotations

import copy
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from seeds_theory.affine import Move, Runner, Sketch, moves_of
from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import DensityError, ParameterError, shown
from seeds_theory.loop import StepInfo, follow, require_estimate, require_frame
from seeds_theory.plan import Interval, Plan
from seeds_theory.solver import JoinedPlan, LoopPlan
from seeds_theory.sources import NoiseSource

AnyPlan = Plan | LoopPlan | JoinedPlan
"""A run on its grid: of a method, of a baseline, or of several one after another."""

_SINGULAR = 1e-6
"""The least singular value of a step's factor, its rows of length 1, that counts as one."""


@dataclass(frozen=True)
class Block:
    """One step in the numbers of `seeds_theory.affine.Move`, normals of its own apart.

    calls : of each of its model calls, the number of the state, and of the estimate.
    asks : the intervals that it asks its source for.
    targets : the numbers of its states, in time order: of its stages, and its end.
    means : of each, the weights of what is known before it.
    normals : the numbers of those that it draws.
    factor : C, lower triangular, by rows. inverse : of the normals in the innovations, if they are as many.
    refusal : why it has no density; empty if it has one.
    """

    calls: tuple[tuple[int, int], ...]
    asks: tuple[Interval, ...]
    targets: tuple[int, ...]
    means: tuple[tuple[tuple[int, float], ...], ...]
    normals: tuple[int, ...]
    factor: tuple[tuple[float, ...], ...]
    inverse: tuple[tuple[float, ...], ...]
    refusal: str

    @property
    def uses(self) -> set[int]:
        """The numbers of all that its states are made of."""
        return {number for row in self.means for number, _ in row}

    @property
    def gives(self) -> set[int]:
        """The numbers of the estimates that it asks for, and of its normals."""
        return {estimate for _, estimate in self.calls} | set(self.normals)

    @property
    def log_determinant(self) -> float:
        """The logarithm of det C."""
        return sum(math.log(row[-1]) for row in self.factor)

    def normal(self, index: int, innovations: Sequence[Tensor]) -> Tensor:
        """One of its normals, by its place in `normals`, from the innovations of all of its states."""
        row = self.inverse[index]
        total = row[0] * innovations[0]
        for weight, w in zip(row[1:], innovations[1:], strict=True):
            total = total.add(w, alpha=weight)
        return total


@dataclass(frozen=True)
class Chain:
    """The steps of a plan, as what its densities are computed from.

    name : of the sampler.
    levels : of each state, by its number; the first is the start's.
    same : of each state, the number of an earlier one that it is, or its own.
    ends : the numbers of the states between steps: of the start, and of the end of each step.
    first_normal : the number of the first normal; in the order in which they are drawn, the others follow.
    key : the same for the same numbers.
    """

    name: str
    levels: tuple[float, ...]
    same: tuple[int, ...]
    ends: tuple[int, ...]
    blocks: tuple[Block, ...]
    first_normal: int
    key: int

    @property
    def with_density(self) -> tuple[int, ...]:
        """The numbers of the steps that have one."""
        return tuple(n for n, block in enumerate(self.blocks) if not block.refusal)

    @cached_property
    def called(self) -> frozenset[int]:
        """The numbers of the states at model calls; the others are the start and the ends of steps."""
        return frozenset(state for block in self.blocks for state, _ in block.calls)

    @cached_property
    def giver(self) -> dict[int, int]:
        """The number of the step that gives each estimate and each normal."""
        return {given: n for n, block in enumerate(self.blocks) for given in block.gives}

    @property
    def calls_at_ends(self) -> bool:
        """Whether each step but the first begins with a call at the end of the one before it."""
        ends = [n for n in range(1, len(self.levels) - 1) if n not in self.called]
        return all(self.same[end + 1] == self.same[end] for end in ends)

    def needed(self, steps: Iterable[int]) -> list[int]:
        """The steps whose calls the densities of these need, in order: of a method with memory, more."""
        pending, found = list(steps), set[int]()
        while pending:
            number = pending.pop()
            if number in found:
                continue
            found.add(number)
            pending += {self.giver[used] for used in self.blocks[number].uses if used in self.giver}
        return sorted(found)


def chain_of(plan: AnyPlan) -> Chain:
    """The chain of a plan, kept for the next use.

    Raises
    ------
    ParameterError : no plan, or a loop that is no sum of what it is given.
    """
    if not isinstance(plan, AnyPlan):
        raise ParameterError(
            f"a plan comes from make_plan(method, sigmas) or Solver(name).on(sigmas); got {shown(plan)}"
        )
    return _made(plan)


def require_coordinates(denoiser: Denoiser, plan: AnyPlan) -> None:
    """A denoiser is of the states that a plan has: raises ParameterError."""
    if not (isinstance(plan, JoinedPlan) or (isinstance(plan, Plan) and plan.of_samples)):
        require_frame(denoiser)


def runner_of(plan: AnyPlan) -> Runner:
    """A plan as what is called to run it."""
    if isinstance(plan, Plan):
        return lambda denoiser, x, noise, callback: follow(
            denoiser, x, plan, noise, callback=callback
        )
    return lambda denoiser, x, noise, callback: plan(denoiser, x, noise, callback=callback)


def trace(
    denoiser: Denoiser,
    x: Tensor,
    plan: AnyPlan,
    noise: NoiseSource | None,
    arrived: Callable[[Tensor], object],
    estimated: Callable[[Tensor], None],
) -> None:
    """Run a plan and hand over each state of a `Record` but the start, and each estimate, in time order.

    arrived, estimated : called with them. What is written into a state there, the run goes on from.

    Raises
    ------
    DenoiserError, NoiseError : as from a run.
    """

    require_coordinates(denoiser, plan)

    def handed(x: Tensor, sigma: float) -> Tensor:
        arrived(x)
        estimate = denoiser(x, sigma)
        require_estimate(estimate, x, sigma)
        estimated(estimate)
        return estimate

    def ended(step: StepInfo) -> None:
        arrived(step.x)

    runner_of(plan)(handed, x, noise, ended)


def require_steps(chain: Chain, steps: Sequence[int] | None) -> tuple[int, ...]:
    """The numbers of steps with a density; by default all of them.

    Raises
    ------
    DensityError : a step that is not there, or has no density; or none has.
    """
    if steps is None:
        singular = [b.refusal for b in chain.blocks if b.normals and b.refusal]
        if singular:
            raise DensityError(singular[0])
        if not chain.with_density:
            raise DensityError(
                "no step of this plan has noise, so none has a density: choose an eta above 0, in steps "
                "that do not end at 0"
            )
        return chain.with_density
    last = len(chain.blocks) - 1
    try:
        chosen = tuple(map(operator.index, steps))
    except TypeError:
        chosen = ()
    if not chosen:
        raise DensityError(
            f"steps are one or more whole numbers, from 0 to {last}; got {shown(steps)}"
        )
    for number in chosen:
        if not 0 <= number <= last:
            raise DensityError(f"the steps of this record are 0 to {last}; got {number}")
        if chain.blocks[number].refusal:
            raise DensityError(chain.blocks[number].refusal)
    return chosen


Values = dict[int, Tensor]
"""Estimates, and normals that were solved for, by their number."""


class Known:
    """What is known of a run so far: its states, and `Values` as long as they are needed."""

    def __init__(self, chain: Chain, steps: Iterable[int], states: Sequence[Tensor]) -> None:
        self._chain, self._states, self.values = chain, states, Values()
        self._order = chain.needed(steps)
        self._last = {used: n for n in self._order for used in chain.blocks[n].uses}
        self._estimates = {state: e for block in chain.blocks for state, e in block.calls}
        self._done = 0

    def holding(self, values: Values, states: Sequence[Tensor]) -> Known:
        """A copy with values of its own, for these states."""
        one = copy.copy(self)
        one.values, one._states = dict(values), states
        return one

    def estimate(self, state: int, value: Tensor) -> None:
        """Take the estimate at the state of that number."""
        if self._estimates[state] in self._last:
            self.values[self._estimates[state]] = value

    def complete(self) -> list[int]:
        """The needed steps all of whose states are there, and were not before."""
        first = self._done
        while self._done < len(self._order):
            targets = self._chain.blocks[self._order[self._done]].targets
            if targets and targets[-1] >= len(self._states):
                break
            self._done += 1
        return self._order[first : self._done]

    def innovations(self, number: int) -> list[Tensor]:
        """The innovations of a step, float64, one for each of its states; none of a step without density."""
        block, found = self._chain.blocks[number], list[Tensor]()
        if not block.refusal:
            for target, mean, row in zip(block.targets, block.means, block.factor, strict=True):
                rest = self._states[target].to(torch.float64, copy=True)
                for used, weight in mean:
                    rest.sub_(self._value(used), alpha=weight)
                for weight, earlier in zip(row, found, strict=False):
                    rest.sub_(earlier, alpha=weight)
                found.append(rest.mul_(1 / row[-1]))
            self._solve(number, block, found)
        self._forget(number)
        return found

    def _solve(self, number: int, block: Block, found: list[Tensor]) -> None:
        for index, normal in enumerate(block.normals[: len(block.inverse)]):
            if self._last.get(normal, number) > number:
                self.values[normal] = block.normal(index, found)

    def _value(self, number: int) -> Tensor:
        states = len(self._chain.levels)
        return self._states[number] if number < states else self.values[number]

    def _forget(self, number: int) -> None:
        for used in [used for used in self.values if self._last.get(used, -1) <= number]:
            del self.values[used]


# ------------------------------------------------------------------------------------------- inside


@lru_cache(maxsize=32)
def _made(plan: AnyPlan) -> Chain:
    name = plan.method if isinstance(plan, Plan) else plan.name
    sketch, moves = _moves(plan, name)
    first_normal = 1 + len(sketch.called) + len(sketch.levels)
    same, ends, drawn = [0], [0], set[int]()
    estimates = itertools.count(1 + len(sketch.called))
    blocks, parts = list[Block](), _Parts()
    for number, (move, called) in enumerate(zip(moves, sketch.called, strict=True), start=1):
        is_earlier = (
            len(move.weights) == 1 and move.weights[0][1] == 1 and move.weights[0][0] < number
        )
        same.append(same[move.weights[0][0]] if is_earlier else number)
        if not is_earlier:
            parts.rows.append((number, move))
        parts.asks += itertools.chain(*move.asks)
        new = {used for used, _ in move.weights if used >= first_normal} - drawn
        parts.normals += new
        drawn |= new
        if called:
            parts.calls.append((number, next(estimates)))
        else:
            ends.append(number)
            blocks.append(_block(name, len(blocks), parts))
            parts = _Parts()
    key = hash(tuple((move.sigma, move.weights) for move in moves))  # of numbers: as in any process
    levels = (plan.sigmas[0], *(move.sigma for move in moves))
    return Chain(name, levels, tuple(same), tuple(ends), tuple(blocks), first_normal, key)


def _moves(plan: AnyPlan, name: str) -> tuple[Sketch, tuple[Move, ...]]:
    """What a plan does before each of its states."""
    if isinstance(plan, JoinedPlan):
        sketch, moves = _moves_of(runner_of(plan.frame), plan.sigmas[-1], name)
        return sketch, _scaled(moves, plan)
    return _moves_of(runner_of(plan), plan.sigmas[-1], name)


def _moves_of(run: Runner, sigma_next: float, name: str) -> tuple[Sketch, tuple[Move, ...]]:
    sketch = Sketch(run, sigma_next, ends=True)
    return sketch, moves_of(run, sketch, name, "its densities are not computed")[:-1]


def _scaled(moves: tuple[Move, ...], plan: JoinedPlan) -> tuple[Move, ...]:
    """The same of states alpha y."""
    scales = [plan.scale(sigma) for sigma in (plan.sigmas[0], *(move.sigma for move in moves))]

    def weight(number: int, used: int, value: float) -> float:
        before = scales[used] if used < len(scales) else 1.0
        return value * (scales[number] / before)

    return tuple(
        replace(move, weights=tuple((used, weight(number, used, w)) for used, w in move.weights))
        for number, move in enumerate(moves, start=1)
    )


@dataclass
class _Parts:
    """What a `Block` is made of: its calls, what it asks for, its states' moves, and its normals."""

    calls: list[tuple[int, int]] = field(default_factory=list)
    asks: list[Interval] = field(default_factory=list)
    rows: list[tuple[int, Move]] = field(default_factory=list)
    normals: list[int] = field(default_factory=list)


def _block(name: str, step: int, parts: _Parts) -> Block:
    normals = tuple(sorted(parts.normals))
    weights = [dict(move.weights) for _, move in parts.rows]
    matrix = np.array([[row.get(normal, 0.0) for normal in normals] for row in weights])
    means = tuple(
        tuple((used, weight) for used, weight in row.items() if used not in normals)
        for row in weights
    )
    refusal = _refusal(name, step, matrix)
    factor = inverse = np.empty((0, 0))
    if not refusal:
        q, r = np.linalg.qr(matrix.T)
        signs = np.sign(np.diag(r))
        factor, q = (signs[:, None] * r).T, q * signs
        inverse = q if len(q) == len(factor) else inverse
    return Block(
        tuple(parts.calls),
        tuple(parts.asks),
        tuple(number for number, _ in parts.rows),
        means,
        normals,
        tuple(tuple(row[: n + 1]) for n, row in enumerate(factor.tolist())),
        tuple(map(tuple, inverse.tolist())),
        refusal,
    )


def _refusal(name: str, step: int, matrix: np.ndarray) -> str:
    """Why a step has no density, and what to do; empty if it has one."""
    if not matrix.size:
        return (
            f"step {step} of {name!r} has no noise, so no density: ask for the steps that have one, as "
            "record.steps lists them"
        )
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    states, normals = matrix.shape
    least = 0.0
    if states <= normals and (lengths > 0).all():
        least = float(np.linalg.svd(matrix / lengths, compute_uv=False)[-1])
    if least < _SINGULAR:
        return (
            f"step {step} of {name!r} has {states} states and fewer independent noises, so no density: take "
            "a method whose stages have noise of their own, as seeds-2, seeds-3s or seeds-2m"
        )
    return ""

r"""The density of a run's steps under a denoiser: a sampler as a policy, for policy gradients.

A step adds up states, estimates and normals. Its own states, those of its stages and its end, are

.. math::  u_j = \mu_j(\text{what is known before } u_j) + \sum_m L_{jm} z_m, \qquad z \sim N(0, I),

so where L has full rank r, the number of the step's states, the path :math:`(u_1, \dots, u_r)` has a density
given what was before the step. With the triangular factor :math:`C C^T = L L^T` and the *innovations*
:math:`w = C^{-1} (u - \mu)`, which are solved for row by row,

.. math::  \log p = -\tfrac12 |w|^2 - d \log\det C - \tfrac{rd}{2} \log 2\pi

for d elements of a state. It needs the model calls of the run and no others, and is differentiable in the
model. A method of one stage has r = 1: a Gaussian around the mean of its step. A step without noise has no
density, and a step whose states are more than its normals has none either: other networks do not lead there.

Of two models, the Kullback-Leibler divergence of :math:`u_j` given what was before it is
:math:`\tfrac12 |w_j - w'_j|^2`, both from the same states. Claims: ``policy-*``.
"""

from __future__ import annotations

import copy
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from seeds_theory.affine import Move, Runner, Sketch, moves_of
from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import DenoiserError, DensityError, ParameterError
from seeds_theory.loop import StepInfo, follow, require_denoiser, require_estimate, require_state
from seeds_theory.plan import Interval, Plan
from seeds_theory.solver import JoinedPlan, LoopPlan
from seeds_theory.sources import NoiseSource

Reduction = Literal["sum", "mean"]
"""Over the elements of a state: the log-density itself, or that per element, as many trainers take it."""

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
            uses = self.blocks[number].uses
            pending += [n for n, block in enumerate(self.blocks[:number]) if block.gives & uses]
        return sorted(found)


@dataclass(frozen=True, eq=False)
class Record:
    """A run of a plan: its states, and the log-densities of its steps.

    Attributes
    ----------
    plan : of the run.
    states : the start, and then in time order the state at each model call and at the end of each step; each
        ``(batch, *event)``. Those that are the same state are one tensor.
    steps : the numbers of the steps that have a density: those with noise.
    log_prob : their log-densities under the denoiser of the run, float64 ``(batch, len(steps))``.
    reduction : of them, over the elements of a state.
    key : of the plan's numbers, the same in every process.

    Raises
    ------
    DensityError : the states are not those of a run of this plan.
    """

    plan: AnyPlan
    states: tuple[Tensor, ...]
    steps: tuple[int, ...]
    log_prob: Tensor
    reduction: Reduction
    key: int

    def __post_init__(self) -> None:
        chain = chain_of(self.plan)
        shapes = {(tuple(state.shape), state.dtype) for state in self.states}
        if self.key != chain.key or len(self.states) != len(chain.levels) or len(shapes) != 1:
            raise DensityError(
                f"a record belongs to the plan of its run; got {len(self.states)} states for one of "
                f"{len(chain.levels)}, or of other numbers: record the run of this plan by rollout"
            )

    @property
    def x(self) -> Tensor:
        """The end of the run."""
        return self.states[-1]

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Record:
        """The record of changed tensors: ``lambda t: t[rows]`` of samples, ``lambda t: t.to(device)``.

        What is one tensor for several states is changed once, and stays one.

        Raises
        ------
        DensityError : the states have not one shape and type after it.
        """
        changed = {id(state): change(state) for state in self.states}
        states = tuple(changed[id(state)] for state in self.states)
        return replace(self, states=states, log_prob=change(self.log_prob))


def rollout(
    denoiser: Denoiser,
    x: Tensor,
    plan: AnyPlan,
    noise: NoiseSource | None = None,
    *,
    reduction: Reduction = "sum",
) -> Record:
    """Follow a plan and record its states and the log-density of each step with noise; without gradients.

    Within ``torch.inference_mode`` too: what is recorded can be trained on.

    >>> record = rollout(model, x, make_plan("seeds-2", sigmas, eta="1:0.3-5"), SeededNoise(range(8)))

    Parameters
    ----------
    denoiser, x, noise : as of `seeds_theory.follow`.
    plan : from `seeds_theory.make_plan`; for a baseline, as ``Solver("seeds-2m").on(sigmas)``.
    reduction : "sum" over the elements of a state, or "mean".

    Raises
    ------
    DensityError : no step has a density; says why.
    ParameterError, DenoiserError, NoiseError : as from a run.
    """
    require_denoiser(denoiser)
    require_state(x)
    with torch.inference_mode(False), torch.no_grad():
        recording = Recording(plan, x.detach().clone(), reduction)
        trace(denoiser, x, plan, noise, recording.arrived, recording.estimated)
    return recording.record()


class Recording:
    """A run that is recorded as it goes, by whoever makes it: states and estimates in, densities out.

    Without gradients, in `torch.no_grad`. Nothing that is given is copied.

    Parameters
    ----------
    plan, reduction : as of `rollout`. x : the start.

    Raises
    ------
    DensityError : no step has a density; says why.
    """

    def __init__(self, plan: AnyPlan, x: Tensor, reduction: Reduction = "sum") -> None:
        self.reduction = require_reduction(reduction)
        self._plan, self._chain = plan, chain_of(plan)
        require_steps(self._chain, None)
        self._states, self._densities = [x], list[Tensor]()
        self._known = Known(self._chain, self._chain.with_density, self._states)

    @property
    def step_ends_next(self) -> bool:
        """Whether the next state is the end of a step, and not that of a model call."""
        return not self.complete and len(self._states) not in self._chain.called

    @property
    def complete(self) -> bool:
        """Whether all states have arrived."""
        return len(self._states) == len(self._chain.levels)

    def arrived(self, state: Tensor) -> Tensor | None:
        """Take the next state; the log-density of the step that it ends, float64 ``(batch,)``, if it has one.

        A state that is an earlier one, as that of the first call of a step, is taken to be that.
        """
        same = self._chain.same[len(self._states)]
        self._states.append(self._states[same] if same < len(self._states) else state)
        found = None
        for number in self._known.complete():
            innovations = self._known.innovations(number)
            if innovations:
                block = self._chain.blocks[number]
                found = log_density(innovations, block.log_determinant, self.reduction)
                self._densities.append(found)
        return found

    def estimated(self, estimate: Tensor) -> None:
        """Take the estimate at the state that arrived last, shaped like it."""
        self._known.estimate(len(self._states) - 1, estimate)

    def copy(self) -> Recording:
        """Another one of what has been recorded so far."""
        one = copy.copy(self)
        one._states, one._densities = list(self._states), list(self._densities)
        one._known = self._known.holding(self._known.values, one._states)
        return one

    def record(self) -> Record:
        """The record of the run.

        Raises
        ------
        DensityError : it has not ended.
        """
        if not self.complete:
            raise DensityError(
                f"a record is of a whole run; got {len(self._states)} of {len(self._chain.levels)} states"
            )
        steps, key = self._chain.with_density, self._chain.key
        densities = torch.stack(self._densities, 1)
        return Record(self._plan, tuple(self._states), steps, densities, self.reduction, key)


def log_prob(
    denoiser: Denoiser,
    record: Record,
    *,
    steps: Sequence[int] | None = None,
    reduction: Reduction | None = None,
    checkpointing: bool = True,
) -> Tensor:
    """The log-densities of a record's steps under any denoiser, differentiable in what it is made of.

    Parameters
    ----------
    denoiser : called at the recorded states, and nowhere else.
    steps : their numbers; by default all that have a density. A method with memory is called in the steps
        before them too.
    reduction : by default that of the record.
    checkpointing : keep a network's intermediate states of one step at a time, and call it again in the
        backward pass; without, all of them are kept.

    Returns
    -------
    float64 ``(batch, len(steps))``.

    Raises
    ------
    DensityError : a step that is not there, or has no density; says why and what to do.
    DenoiserError : the denoiser breaks its protocol.
    """
    chain = _chain_of_record(record)
    chosen = require_reduction(record.reduction if reduction is None else reduction)

    def density(block: Block, innovations: list[list[Tensor]]) -> Tensor:
        return log_density(innovations[0], block.log_determinant, chosen)

    return _by_step([denoiser], record, chain, steps, density, checkpointing)


def kl(
    denoiser: Denoiser,
    other: Denoiser,
    record: Record,
    *,
    steps: Sequence[int] | None = None,
    reduction: Reduction | None = None,
    checkpointing: bool = True,
) -> Tensor:
    """The Kullback-Leibler divergence of each step under a denoiser from that under another one.

    It is that of each state given the recorded ones before it, in closed form: exact for a step of one stage;
    for a step with stages its mean over runs of the denoiser is the divergence of the step. Parameters,
    results and errors as of `log_prob`.
    """
    chain = _chain_of_record(record)
    chosen = require_reduction(record.reduction if reduction is None else reduction)

    def divergence(block: Block, innovations: list[list[Tensor]]) -> Tensor:
        pairs = zip(*innovations, strict=True)
        return sum((_squares(a - b, chosen) for a, b in pairs), torch.zeros(())) / 2

    return _by_step([denoiser, other], record, chain, steps, divergence, checkpointing)


def require_repeatable(denoiser: Denoiser, record: Record, within: float = 0.01) -> None:
    """The denoiser of a run gives the same at the recorded states: the ratios of a policy start at 1.

    within : how far log-densities may be apart, per step.

    Raises
    ------
    DenoiserError : it does not.
    """
    with torch.no_grad():
        again = log_prob(denoiser, record)
    differences = (again - record.log_prob).abs()
    apart = float(differences.max()) if differences.numel() else 0.0
    if not apart <= within:
        raise DenoiserError(
            f"the denoiser gives other estimates than in its run, log-densities differ by {apart:.3g}: turn "
            "off dropout and what depends on the batch, by network.eval()"
        )


# ------------------------------------------------------------------------------------------- inside


def chain_of(plan: AnyPlan) -> Chain:
    """The chain of a plan, kept for the next use.

    Raises
    ------
    ParameterError : no plan, or a loop that is no sum of what it is given.
    """
    if not isinstance(plan, AnyPlan):
        raise ParameterError(
            f"a plan comes from make_plan(method, sigmas) or Solver(name).on(sigmas); got {plan!r}"
        )
    return _made(plan)


def _chain_of_record(record: Record) -> Chain:
    if not isinstance(record, Record):
        raise ParameterError(f"a record comes from rollout; got {type(record).__name__}")
    return chain_of(record.plan)


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

    def handed(x: Tensor, sigma: float) -> Tensor:
        arrived(x)
        estimate = denoiser(x, sigma)
        require_estimate(estimate, x, sigma)
        estimated(estimate)
        return estimate

    def ended(step: StepInfo) -> None:
        arrived(step.x)

    runner_of(plan)(handed, x, noise, ended)


def runner_of(plan: AnyPlan) -> Runner:
    """A plan as what is called to run it."""
    if isinstance(plan, Plan):
        return lambda denoiser, x, noise, callback: follow(
            denoiser, x, plan, noise, callback=callback
        )
    return lambda denoiser, x, noise, callback: plan(denoiser, x, noise, callback=callback)


def _moves(plan: AnyPlan, name: str) -> tuple[Sketch, tuple[Move, ...]]:
    """What a plan does before each of its states."""
    if isinstance(plan, JoinedPlan):
        sketch, moves = _moves_of(_frame_runner(plan), plan.sigmas[-1], name)
        return sketch, _scaled(moves, plan)
    return _moves_of(runner_of(plan), plan.sigmas[-1], name)


def _frame_runner(plan: JoinedPlan) -> Runner:
    return lambda denoiser, x, noise, callback: plan.in_frame(denoiser, x, noise, callback=callback)


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


@lru_cache(maxsize=32)
def _made(plan: AnyPlan) -> Chain:
    name = plan.method if isinstance(plan, Plan) else plan.name
    sketch, moves = _moves(plan, name)
    first_normal = 1 + len(sketch.called) + len(sketch.levels)
    same, ends, owner, drawn_in = [0], [0], list[int](), dict[int, int]()
    step = 0
    for number, (move, called) in enumerate(zip(moves, sketch.called, strict=True), start=1):
        owner.append(step)
        is_earlier = (
            len(move.weights) == 1 and move.weights[0][1] == 1 and move.weights[0][0] < number
        )
        same.append(same[move.weights[0][0]] if is_earlier else number)
        for used, _ in move.weights:
            if used >= first_normal:
                drawn_in.setdefault(used, step)
        if not called:
            ends.append(number)
            step += 1
    estimates = itertools.accumulate(sketch.called, initial=len(sketch.called))
    numbered = list(enumerate(zip(moves, owner, sketch.called, estimates, strict=False), start=1))
    blocks = tuple(
        _block(
            name,
            n,
            tuple((k, 1 + e) for k, (_, at, called, e) in numbered if called and at == n),
            tuple(
                i for _, (move, at, *_) in numbered if at == n for asked in move.asks for i in asked
            ),
            [(k, move) for k, (move, at, _, _) in numbered if at == n and same[k] == k],
            tuple(sorted(used for used, at in drawn_in.items() if at == n)),
        )
        for n in range(step)
    )
    key = hash(tuple((move.sigma, move.weights) for move in moves))  # of numbers: as in any process
    levels = (plan.sigmas[0], *(move.sigma for move in moves))
    return Chain(name, levels, tuple(same), tuple(ends), blocks, first_normal, key)


def _block(
    name: str,
    step: int,
    calls: tuple[tuple[int, int], ...],
    asks: tuple[Interval, ...],
    rows: list[tuple[int, Move]],
    normals: tuple[int, ...],
) -> Block:
    weights = [dict(move.weights) for _, move in rows]
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
        calls,
        asks,
        tuple(number for number, _ in rows),
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
        raise DensityError(f"steps are one or more whole numbers, from 0 to {last}; got {steps!r}")
    for number in chosen:
        if not 0 <= number <= last:
            raise DensityError(f"the steps of this record are 0 to {last}; got {number}")
        if chain.blocks[number].refusal:
            raise DensityError(chain.blocks[number].refusal)
    return chosen


def require_reduction(reduction: str) -> Reduction:
    """A reduction is "sum" or "mean"; raises ParameterError."""
    if reduction not in ("sum", "mean"):
        raise ParameterError(f"a reduction over elements is 'sum' or 'mean'; got {reduction!r}")
    return reduction  # type: ignore[return-value]


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


def _by_step(
    denoisers: Sequence[Denoiser],
    record: Record,
    chain: Chain,
    steps: Sequence[int] | None,
    value: Callable[[Block, list[list[Tensor]]], Tensor],
    checkpointing: bool,
) -> Tensor:
    """A value of each step, from its innovations under each denoiser: (batch, steps)."""
    for denoiser in denoisers:
        require_denoiser(denoiser)
    chosen = require_steps(chain, steps)
    known = Known(chain, chosen, record.states)

    def of_step(
        number: int, states: list[Tensor], before: list[Values]
    ) -> tuple[Tensor, list[Values]]:
        # Nothing outside is changed: the backward pass of a checkpoint does it again, with the random
        # numbers that a network drew on the devices of what is given here.
        block, innovations, after = chain.blocks[number], list[list[Tensor]](), list[Values]()
        for denoiser, values in zip(denoisers, before, strict=True):
            one = known.holding(values, record.states)
            for (state_number, _), state in zip(block.calls, states, strict=True):
                level = chain.levels[state_number]
                estimate = denoiser(state, level)
                require_estimate(estimate, state, level)
                one.estimate(state_number, estimate)
            innovations.append(one.innovations(number))
            after.append(one.values)
        if block.refusal:  # of which later steps need the estimates alone
            return torch.zeros(()), after
        return value(block, innovations), after

    found: dict[int, Tensor] = {}
    values: list[Values] = [{} for _ in denoisers]
    for number in chain.needed(chosen):
        states = [record.states[state] for state, _ in chain.blocks[number].calls]
        if checkpointing and torch.is_grad_enabled():
            found[number], values = checkpoint(of_step, number, states, values, use_reentrant=False)
        else:
            found[number], values = of_step(number, states, values)
    return torch.stack([found[number] for number in chosen], dim=1)


def log_density(
    innovations: Sequence[Tensor], log_determinant: float | Tensor, reduction: Reduction
) -> Tensor:
    """The log-density of a step's states, ``(batch,)``, from its innovations and the factor's determinant.

    log_determinant : for all samples, or ``(batch,)``.
    """
    squares = sum((_squares(w, reduction) for w in innovations), torch.zeros(()))
    elements = innovations[0].shape[1:].numel() if reduction == "sum" else 1
    constant = log_determinant + len(innovations) / 2 * math.log(2 * math.pi)
    return -0.5 * squares - elements * constant


def _squares(values: Tensor, reduction: Reduction) -> Tensor:
    """The sum or the mean of the squares of each sample, (batch,)."""
    each = values.unsqueeze(-1).flatten(1)  # also of states without an event
    total = torch.bmm(each.unsqueeze(1), each.unsqueeze(2)).flatten()
    return total if reduction == "sum" else total / each.shape[1]

r"""The density of a run's steps under a denoiser: a sampler as a policy, for policy gradients.

The states of a step have a density given what was before it, where its noise has full rank
(`seeds_theory.chain`). With the innovations w of its r states and the triangular factor C of their noise

.. math::  \log p = -\tfrac12 |w|^2 - d \log\det C - \tfrac{rd}{2} \log 2\pi

for d elements of a state. It needs the model calls of the run and no others, and is differentiable in the
model. A method of one stage has r = 1: a Gaussian around the mean of its step.

Of two models, the Kullback-Leibler divergence of :math:`u_j` given what was before it is
:math:`\tfrac12 |w_j - w'_j|^2`, both from the same states. Claims: ``policy-*``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from seeds_theory.chain import (
    AnyPlan,
    Block,
    Chain,
    Known,
    Values,
    chain_of,
    require_coordinates,
    require_steps,
    trace,
)
from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import DenoiserError, DensityError, ParameterError
from seeds_theory.loop import require_denoiser, require_estimate, require_state
from seeds_theory.sources import NoiseSource

Reduction = Literal["sum", "mean"]
"""Over the elements of a state: the log-density itself, or that per element, as many trainers take it."""


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
        once = {id(state): state for state in self.states}
        changed = {number: change(state) for number, state in once.items()}
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
                f"a record is of a whole run; got {len(self._states)} of {len(self._chain.levels)} states: "
                "take it after the last step"
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

    within : how far log-densities may be apart, per step; of the whole state, whatever the reduction of the
        record is. A ratio per element is nearer to 1 by the number of elements.

    Raises
    ------
    DenoiserError : it does not.
    """
    with torch.no_grad():
        again = log_prob(denoiser, record)
    differences = (again - record.log_prob).abs()
    if record.reduction == "mean":
        differences *= record.x.shape[1:].numel()
    apart = float(differences.max()) if differences.numel() else 0.0
    if not apart <= within:
        raise DenoiserError(
            f"the denoiser gives other estimates than in its run, log-densities differ by {apart:.3g}: turn "
            "off dropout and what depends on the batch, by network.eval()"
        )


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


def require_finite(densities: Tensor) -> Tensor:
    """Log-densities or divergences are finite; raises DenoiserError. It reads one value of the device."""
    if not bool(densities.detach().isfinite().all()):
        raise DenoiserError(
            "a log-density is not finite: there is NaN or infinity in the denoiser's estimates, or in the "
            "states of the record"
        )
    return densities


def require_reduction(reduction: str) -> Reduction:
    """A reduction is "sum" or "mean"; raises ParameterError."""
    if reduction not in ("sum", "mean"):
        raise ParameterError(f"a reduction over elements is 'sum' or 'mean'; got {reduction!r}")
    return reduction  # type: ignore[return-value]


# ------------------------------------------------------------------------------------------- inside


def _chain_of_record(record: Record) -> Chain:
    if not isinstance(record, Record):
        raise ParameterError(f"a record comes from rollout; got {type(record).__name__}")
    return chain_of(record.plan)


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
        require_coordinates(denoiser, record.plan)
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
    return require_finite(torch.stack([found[number] for number in chosen], dim=1))


def _squares(values: Tensor, reduction: Reduction) -> Tensor:
    """The sum or the mean of the squares of each sample, (batch,)."""
    each = values.unsqueeze(-1).flatten(1)  # also of states without an event
    total = torch.bmm(each.unsqueeze(1), each.unsqueeze(2)).flatten()
    return total if reduction == "sum" else total / max(each.shape[1], 1)

r"""The normals that lead a given image or path to where it is: edits that keep what they do not change.

A step with noise can be led anywhere: its states are :math:`u = \mu + L z`, so any states are reached by
the normals :math:`z = L^{-1} (u - \mu)`, which are solved for row by row as for a density
(`seeds_theory.chain`). For an image :math:`x_0` the states to reach are those of a path that ends there. It
is the run of the plan itself under a model that always says :math:`x_0`, from :math:`x_0 + \sigma_0 e`: the
path

.. math::  y = x_0 + \sigma\,e_\lambda, \qquad de = -\eta\,e\,d\lambda + \sqrt{2\eta}\,dW,

where the noises of two levels have the correlation :math:`e^{-\eta h}`, at eta = 1 those of one Brownian
motion in :math:`\sigma^2`; it is the :math:`q_\sigma` of DDIM (Song et al., arXiv 2010.02502), with stages
where the method has them. At eta = 1 it is the SDE run backwards: for an exact model and images of
its law the normals are, in short steps, those that any run draws. With an independent :math:`e` at the end of
each step (Huberman-Spiegelglas et al., arXiv 2304.06140) they are larger, the more the shorter the steps:
they hold more of the image, and edits change less of it.

A step without noise, at eta = 0 or to noise level 0, cannot be led. Those at the end of a plan are gone back
first, along the reversed grid or exactly, by iteration; others go where they go, and the noise after them
makes up for it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from seeds_theory.chain import (
    AnyPlan,
    Block,
    Chain,
    Known,
    chain_of,
    require_coordinates,
    require_steps,
    runner_of,
    trace,
)
from seeds_theory.clocks import ClockForm
from seeds_theory.denoiser import Denoiser
from seeds_theory.density import Record
from seeds_theory.errors import DensityError, GridError, NoiseError, ParameterError, at_step
from seeds_theory.forms import DATA
from seeds_theory.loop import require_denoiser, require_estimate, require_state
from seeds_theory.plan import Interval, Plan, make_plan
from seeds_theory.scheme import is_method
from seeds_theory.solver import JoinedPlan, LoopPlan
from seeds_theory.sources import NoiseSource, require_normals, require_source, silent

Path = Literal["eta", "independent"]
"""How the noises of an image at several levels belong together: as in the SDE of eta, or not at all."""

_SAME_LEVEL = 1e-6
"""Levels that differ by less, relatively, may be one: what a host rounds to single precision."""

_TINY = sys.float_info.min

_LEAST_STRIDE = 1e-3
"""Of the iteration of a step, below which it is at rest."""


@dataclass(frozen=True, eq=False)
class Inversion:
    """The normals that lead a plan to a given image: a noise source, for any run of the plan.

    It serves the plan's intervals in any order and any number of times; so also, of a method without memory,
    a run from a later level, ``follow(model, inversion.states[n], make_plan(name, sigmas[n:]), inversion)``.

    Attributes
    ----------
    plan : whose normals they are.
    given : the image, or the end of the path.
    states : where each step starts, and the end: of a run under the denoiser of the inversion, to rounding.
    intervals : what the normals are the noises of.
    normals : float64 ``(len(intervals), batch, *event)``.
    """

    plan: AnyPlan
    given: Tensor
    states: tuple[Tensor, ...]
    intervals: tuple[Interval, ...]
    normals: Tensor

    @property
    def start(self) -> Tensor:
        """Where a run starts."""
        return self.states[0]

    @property
    def x(self) -> Tensor:
        """Where a run under the denoiser of the inversion ends."""
        return self.states[-1]

    @property
    def error(self) -> Tensor:
        """The largest difference of that end from what was given, float64 ``(batch,)``.

        0 if the last step has noise. ``given - x`` is what may be added to the end of another run.
        """
        return _largest(self.x.to(torch.float64) - self.given.to(torch.float64))

    def __call__(self, intervals: Sequence[Interval], like: Tensor) -> Tensor:
        """The normals of these intervals.

        Raises
        ------
        NoiseError : they are not the plan's, or the states are not those of the image.
        """
        if like.shape != self.normals.shape[1:]:
            raise NoiseError(
                f"an inversion is of states {tuple(self.normals.shape[1:])}; got {tuple(like.shape)}: invert "
                "these, or take samples by inversion.mapped"
            )
        rows = [self._row(interval) for interval in intervals]
        return self.normals[rows].to(like)

    @cached_property
    def _rows(self) -> dict[Interval, int]:
        """Of each interval its number, the first of those that are equal."""
        return {own: row for row, own in reversed(list(enumerate(self.intervals)))}

    def run(self, denoiser: Denoiser) -> Tensor:
        """Where the plan leads under a denoiser, from this start, with this noise; of any plan.

        Raises
        ------
        DenoiserError : as from a run.
        """
        require_coordinates(denoiser, self.plan)
        with torch.no_grad():
            return runner_of(self.plan)(denoiser, self.start, self, _ignored)

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Inversion:
        """That of changed tensors: ``lambda t: t[rows]`` of samples, ``lambda t: t.to(device)``."""
        normals = [change(normal) for normal in self.normals]
        given = change(self.given)
        return replace(
            self,
            given=given,
            states=tuple(map(change, self.states)),
            normals=torch.stack(normals) if normals else self.normals.new_zeros((0, *given.shape)),
        )

    def _row(self, asked: Interval) -> int:
        if (row := self._rows.get(asked)) is not None:
            return row
        near = [_distance(own, asked) for own in self.intervals]
        row = min(range(len(near)), key=near.__getitem__, default=0)
        if near and near[row] <= _SAME_LEVEL:
            return row
        raise NoiseError(
            f"an inversion has the noise of its plan; asked for {asked.form.name!r} from sigma = "
            f"{asked.sigma:g} to {asked.sigma_next:g} at eta = {asked.eta:g}: run it on that plan"
        )


def invert(
    denoiser: Denoiser,
    x: Tensor | Record,
    plan: AnyPlan,
    noise: NoiseSource | None = None,
    *,
    path: Path = "eta",
    exact: bool = False,
) -> Inversion:
    """The normals, and the start, from which a plan leads to a given image or along a given path.

    Where the last step has noise a run ends at the image, to rounding. On a grid to level 0, and of a plan
    that ends without noise, `Inversion.error` says how near.

    >>> found = invert(model, images, make_plan("seeds-2", sigmas), SeededNoise(range(8)))
    >>> edited = found.run(other)

    Parameters
    ----------
    denoiser : called at the states of the path, and in steps without noise.
    x : images ``(batch, *event)``, states at the end of the grid; or a `Record` of this plan, under whose own
        denoiser the normals are those of its run.
    plan : as of `rollout`. Of a scheduler, `SEEDSScheduler.plan`, with the denoiser that it gives: then
        images and states are its samples, and the inversion is a ``noise`` of that scheduler.
    noise : of the path to an image: of the start, then of each step. The same source, the same inversion.
    path : "eta", as the SDE of the plan has it; or "independent", a noise of its own at the end of each step.
    exact : solve the steps without noise at the end, so that a run comes back to rounding, in many times the
        calls where steps are long; by default they are gone back along the reversed grid, and it comes back
        to the method's order, or one more where that is even, as the first errors of both ways cancel. The
        step to level 0 is left out in both.

    Raises
    ------
    DensityError : a step with noise cannot be led; or a record of another plan.
    GridError : a step that is to be solved exactly has no solution near by; names the step.
    ParameterError : the image is no finite floating-point tensor, an unknown path, or steps that cannot be
        gone back.
    DenoiserError, NoiseError : as from a run.
    """
    chain = chain_of(plan)
    require_denoiser(denoiser)
    require_coordinates(denoiser, plan)
    if path not in ("eta", "independent"):
        raise ParameterError(f"the path of an image is 'eta' or 'independent'; got {path!r}")
    if any(block.normals for block in chain.blocks):
        require_steps(chain, None)
    if isinstance(x, Record):
        if x.key != chain.key:
            raise DensityError("a record of another plan: invert it with record.plan")
    else:
        _require_image(x, plan)
    with torch.inference_mode(False), torch.no_grad():
        source = require_source(noise)
        if isinstance(plan, JoinedPlan):
            return _of_samples(denoiser, x, plan, chain, source, path, exact)
        return _in_frame(denoiser, x, plan, chain, source, path, exact)


# ------------------------------------------------------------------------------------------- inside


def _of_samples(
    denoiser: Denoiser,
    x: Tensor | Record,
    plan: JoinedPlan,
    chain: Chain,
    source: NoiseSource,
    path: Path,
    exact: bool,
) -> Inversion:
    """The inversion of a plan for samples alpha y: that of the y, and its states as samples."""
    frame, scales = plan.frame, [plan.scale(level) for level in chain.levels]
    of_frame = plan.of_frame(denoiser)
    if isinstance(x, Record):
        states = tuple(state / scale for state, scale in zip(x.states, scales, strict=True))
        y: Tensor | Record = replace(x, plan=frame, states=states, key=chain_of(frame).key)
    else:
        y = x / scales[-1]
    found = _in_frame(of_frame, y, frame, chain_of(frame), source, path, exact)
    ends = (scales[number] for number in chain.ends)
    return replace(
        found,
        plan=plan,
        given=x.x if isinstance(x, Record) else x.detach().clone(),
        states=tuple(scale * state for scale, state in zip(ends, found.states, strict=True)),
    )


def _in_frame(
    denoiser: Denoiser,
    x: Tensor | Record,
    plan: AnyPlan,
    chain: Chain,
    source: NoiseSource,
    path: Path,
    exact: bool,
) -> Inversion:
    if isinstance(x, Record):
        return _led(denoiser, x.x, plan, chain, x.states)
    given = x.detach().clone()
    aims = _aims(denoiser, given, plan, chain, source, path, exact)
    return _led(denoiser, given, plan, chain, aims)


def _aims(
    denoiser: Denoiser,
    given: Tensor,
    plan: AnyPlan,
    chain: Chain,
    source: NoiseSource,
    path: Path,
    exact: bool,
) -> list[Tensor]:
    """The states to reach, by number, and the start."""
    noisy = [n for n, block in enumerate(chain.blocks) if block.normals]
    last = noisy[-1] if noisy else -1
    stop = len(chain.blocks) - (chain.levels[-1] == 0)  # the step to level 0 is not gone back
    states = (
        _path(given, plan, chain, source, path) if noisy else [given.clone() for _ in chain.levels]
    )
    if chain.levels[-1] > 0:
        states[chain.ends[-1]] = given
    if stop > last + 1:
        back = _back_exactly if exact else _back
        states[chain.ends[last + 1]] = back(
            denoiser, states[chain.ends[stop]], plan, chain, range(last + 1, stop)
        )
    return states


def _path(
    given: Tensor, plan: AnyPlan, chain: Chain, source: NoiseSource, path: Path
) -> list[Tensor]:
    """The states of the run under the model that always says the image: see the module."""
    ends = chain.ends if path == "independent" else chain.ends[:1]
    levels = {number: chain.levels[number] for number in ends if chain.levels[number] > 0}
    asked = [Interval(math.inf, min(sigma, 1e100), DATA, 1.0) for sigma in levels.values()]
    normals = require_normals(source(asked, given), len(asked), given, "the path")
    drawn = {
        number: z if math.isinf(sigma) else given + sigma * z
        for (number, sigma), z in zip(levels.items(), normals, strict=True)
    }
    states = [drawn[0]]

    def arrived(state: Tensor) -> None:
        if len(states) in drawn:
            state.copy_(drawn[len(states)])
        states.append(state.clone())

    trace(lambda x, sigma: given.clone(), drawn[0].clone(), plan, source, arrived, _ignored)
    return states


def _led(
    denoiser: Denoiser,
    given: Tensor,
    plan: AnyPlan,
    chain: Chain,
    aims: Sequence[Tensor],
) -> Inversion:
    """Run a plan and put its steps with noise where they are to be: the normals that do it."""
    led = {number for block in chain.blocks if block.normals for number in block.targets}
    free = {
        number: row
        for block in chain.blocks
        if not block.normals
        for number, row in zip(block.targets, block.means, strict=True)
    }
    states = [aims[0].clone()]
    known = Known(chain, chain.with_density, states)
    asked: list[Interval] = []
    normals: dict[int, Tensor] = {}

    def arrived(state: Tensor) -> None:
        if len(states) in led:
            state.copy_(aims[len(states)])
        for used, weight in free.get(len(states), ()):
            if used in normals:  # that a method remembers, and that were zeros in this run
                state.add_(normals[used].to(state), alpha=weight)
        states.append(state.clone())
        for number in known.complete():
            innovations = known.innovations(number)
            if innovations:
                normals.update(_normals(plan, number, chain.blocks[number], innovations))

    def asking(intervals: Sequence[Interval], like: Tensor) -> Tensor:
        asked.extend(intervals)
        return silent(intervals, like)

    def estimated(estimate: Tensor) -> None:
        known.estimate(len(states) - 1, estimate)

    trace(denoiser, aims[0].clone(), plan, asking, arrived, estimated)
    none = torch.zeros(given.shape, dtype=torch.float64, device=given.device)
    found = [normals.get(chain.first_normal + j, none) for j in range(len(asked))]
    return Inversion(
        plan,
        given,
        tuple(states[number] for number in chain.ends),
        tuple(asked),
        torch.stack(found) if found else none.new_zeros((0, *none.shape)),
    )


def _normals(
    plan: AnyPlan, number: int, block: Block, innovations: Sequence[Tensor]
) -> dict[int, Tensor]:
    if not block.inverse:
        raise DensityError(
            f"step {number} has {len(block.normals)} normals and {len(block.targets)} states, which do not "
            "say which normals led there"
        )
    return {n: block.normal(index, innovations) for index, n in enumerate(block.normals)}


def _back(denoiser: Denoiser, end: Tensor, plan: AnyPlan, chain: Chain, steps: range) -> Tensor:
    """The state before steps without noise, along the reversed grid."""
    levels = [chain.levels[number] for number in chain.ends[steps.start : steps.stop + 1]][::-1]
    if isinstance(plan, JoinedPlan):
        raise ParameterError(
            "a scheduler's network is called at the levels of its grid alone, and this plan ends in steps "
            "without noise: go back with exact=True"
        )
    if isinstance(plan, LoopPlan):
        reversed_plan: Plan | LoopPlan = plan.solver.on(levels, 0.0)
    elif not is_method(plan.method):
        raise ParameterError(
            f"the reversed grid is for registered methods, and {plan.method!r} is none: take exact=True"
        )
    else:
        options = {"sigma_data": plan.form.sigma_data} if isinstance(plan.form, ClockForm) else {}
        reversed_plan = make_plan(
            plan.method, levels, eta=0.0, prediction=plan.form.name, **options
        )
    return runner_of(reversed_plan)(denoiser, end.clone(), None, _ignored)


def _back_exactly(
    denoiser: Denoiser, end: Tensor, plan: AnyPlan, chain: Chain, steps: range
) -> Tensor:
    """The state before steps without noise, from which they lead to the end."""
    for step in reversed(steps):
        block, start = chain.blocks[step], chain.same[chain.ends[step]]
        uses = {chain.same[used] if used < len(chain.levels) else used for used in block.uses}
        if not uses <= {start, *block.targets, *block.gives}:
            raise ParameterError(
                f"exact=True solves steps one by one, and step {step} remembers others: take a method "
                "without memory, or leave out exact"
            )
        end = _solved(denoiser, end, chain, step)
    return end


def _solved(denoiser: Denoiser, end: Tensor, chain: Chain, step: int) -> Tensor:
    r"""The state y from which a step leads to u: :math:`y \leftarrow y + \theta (u - \Phi(y)) / a`.

    a is the weight of y in :math:`\Phi(y) = a y + b D(y)`. From 1 the stride :math:`\theta` is halved where
    that does not come nearer, so it converges where :math:`a + b D'` is positive, in short steps quickly.
    Each sample has its own stride and end. The sums are in single precision at least.
    """
    wide = torch.promote_types(end.dtype, torch.float32)
    accuracy, rounding, target = torch.finfo(wide).eps, torch.finfo(end.dtype).eps, end.to(wide)
    done = max(4 * accuracy, rounding / 8)
    y = best = target
    missing, stride = torch.zeros_like(target), target.new_ones(len(target))
    least, scale = stride / 0, stride * 0
    going = stride > 0
    while bool(going.any()):
        reached, weight = _reached(denoiser, y, chain, step, end.dtype)
        apart = target - reached
        size = _largest(apart)
        nearer = going & (size < least)
        best = torch.where(_column(nearer, y), y, best)
        missing = torch.where(_column(nearer, y), apart, missing)
        least = torch.where(nearer, size, least)
        stride = torch.where(nearer, stride, stride / 2)
        scale = torch.maximum(_largest(target), abs(weight) * _largest(best))
        going &= (least > done * scale) & (stride >= _LEAST_STRIDE)
        y = torch.where(_column(going, y), best + _column(stride, y) / weight * missing, best)
    # As near as the denoiser's own rounding lets it come.
    enough = max(math.sqrt(accuracy), 4 * rounding)
    if bool((least <= enough * scale).all()):
        return best.to(end.dtype)
    raise at_step(
        GridError,
        step,
        chain.levels[chain.ends[step]],
        "the state before this step is not found by iteration: take shorter steps, or leave out exact",
    )


def _reached(
    denoiser: Denoiser, start: Tensor, chain: Chain, step: int, dtype: torch.dtype
) -> tuple[Tensor, float]:
    """Where a step without noise leads from a state, and the weight of the state in that.

    dtype : of the states that the denoiser is given.
    """
    block, first, last = (chain.blocks[step], *(chain.same[n] for n in chain.ends[step : step + 2]))
    values, weights = {first: start}, {first: 1.0}
    calls, rows = dict(block.calls), dict(zip(block.targets, block.means, strict=True))
    for number in sorted({*calls, *rows}):
        state = chain.same[number]
        if number in rows:
            total, weight = torch.zeros_like(start), 0.0
            for used, factor in rows[number]:
                known = chain.same[used] if used < len(chain.levels) else used
                total.add_(values[known], alpha=factor)
                weight += factor * weights.get(known, 0.0)
            values[state], weights[state] = total, weight
        if number in calls:
            level, given = chain.levels[number], values[state].to(dtype)
            estimate = denoiser(given, level)
            require_estimate(estimate, given, level, step)
            values[calls[number]] = estimate.to(start)
    return values[last], weights[last]


def _largest(values: Tensor) -> Tensor:
    """The largest size of an element of each sample, (batch,); 0 of none."""
    each = values.abs().unsqueeze(-1).flatten(1)  # also of states without an event
    return torch.nn.functional.pad(each, (0, 1)).amax(1)


def _column(values: Tensor, like: Tensor) -> Tensor:
    """A number of each sample, (batch,), to go with their states."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def _distance(own: Interval, asked: Interval) -> float:
    """How far apart the numbers of two intervals are, relatively; infinite if they are of two kinds."""
    kinds = [(i.form, i.path, i.degree, i.area) for i in (own, asked)]
    if kinds[0] != kinds[1]:
        return math.inf
    numbers = zip(
        (own.sigma, own.sigma_next, own.eta),
        (asked.sigma, asked.sigma_next, asked.eta),
        strict=True,
    )
    return max(0.0 if a == b else abs(a - b) / max(min(a, b), _TINY) for a, b in numbers)


def _require_image(x: object, plan: AnyPlan) -> None:
    """A finite floating-point image, and a plan for states of its scale."""
    require_state(x)
    assert isinstance(x, Tensor)
    if not bool(x.isfinite().all()):
        raise ParameterError("an image is finite; got NaN or infinity in it")
    if isinstance(plan, Plan) and plan.of_samples:
        raise ParameterError(
            "an inversion is in the frame x / alpha: take the plan that was not scaled"
        )


def _ignored(_: object) -> None:
    """Nothing to be done with it."""

"""The one sampling loop: it evaluates the model, adds up rows of a plan, and knows no method."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import (
    DenoiserError,
    NoiseError,
    ParameterError,
    SeedsError,
    at_step,
    shown,
)
from seeds_theory.plan import Plan, Step
from seeds_theory.progress import with_bar
from seeds_theory.row import Row
from seeds_theory.sources import NoiseSource, require_normals, require_source


@dataclass(frozen=True)
class StepInfo:
    """What a callback sees after each step.

    index : number of the step, from 0.
    sigma, sigma_next : its noise levels.
    x : the state at sigma_next.
    denoised : the model's first estimate in the step, for previews.
    """

    index: int
    sigma: float
    sigma_next: float
    x: Tensor
    denoised: Tensor


Callback = Callable[[StepInfo], None]


def follow(
    denoiser: Denoiser,
    x: Tensor,
    plan: Plan,
    noise: NoiseSource | None = None,
    *,
    callback: Callback | None = None,
    progress: bool = False,
    gradients: bool = False,
) -> Tensor:
    """Follow a plan from the state x at its first noise level to its last.

    Parameters
    ----------
    denoiser : ``D(x, sigma)``, an estimate of the data for x at that noise level, shaped like x.
    x : initial states, ``(batch, *event)``, in the frame x / alpha: noise of standard deviation
        ``plan.sigmas[0]``, or unit noise if that is infinite. It is not changed. Its dtype is kept.
    plan : from `seeds_theory.make_plan`.
    noise : a noise source; default, torch's global generator. At eta = 0 none is called.
    callback : called after each step with a `StepInfo`.
    progress : show a progress bar.
    gradients : let autograd record the run, to differentiate through it; off, as it keeps every
        intermediate state of the network in memory.

    Returns
    -------
    The states at ``plan.sigmas[-1]``, shaped like x.

    Raises
    ------
    DenoiserError, NoiseError : the model or the source broke its protocol; names the step.
    ParameterError : x is not a floating-point tensor, plan is not a `Plan`, or denoiser not callable.
    """
    require_state(x)
    require_denoiser(denoiser)
    if not isinstance(plan, Plan):
        way_out = ": it is called itself, plan(denoiser, x, noise)" if callable(plan) else ""
        raise ParameterError(
            f"a plan to follow comes from make_plan(method, sigmas); got {shown(plan)}{way_out}"
        )
    if not plan.of_samples:
        require_frame(denoiser)
    source = require_source(noise)
    with torch.set_grad_enabled(gradients and torch.is_grad_enabled()):
        return _follow(plan, denoiser, x, source, callback, progress)


def _follow(
    plan: Plan,
    denoiser: Denoiser,
    x: Tensor,
    source: NoiseSource,
    callback: Callback | None,
    progress: bool,
) -> Tensor:
    watch = FiniteWatch(x)
    steps = with_bar(plan.steps, show=progress, desc=plan.method, unit="step")
    for index, step in enumerate(steps):
        x = _follow_step(index, step, denoiser, x, source, callback, watch)
    watch.check()
    return x


def _follow_step(
    index: int,
    step: Step,
    denoiser: Denoiser,
    x: Tensor,
    source: NoiseSource,
    callback: Callback | None,
    watch: FiniteWatch,
) -> Tensor:
    # A function of its own, so that nothing of a step is kept while the next one draws its normals.
    stages = Stages(step, x, draw(source, step, x, index))
    for _ in step.rows:
        state, level = stages.state, stages.sigma
        estimate = denoiser(state, level)
        require_estimate(estimate, x, level, index)
        stages.advance(estimate)
        if not watch.passes(stages.state, index, level):
            raise not_finite(index, *stages.offence())
    if callback is not None:
        callback(StepInfo(index, step.sigma, step.sigma_next, stages.state, stages.denoised))
    return stages.state


class Stages:
    """One step of a plan between its model calls: it takes the estimate at a state, and gives the next.

    Attributes
    ----------
    state, sigma : where the model is called next; after the last call, the end of the step.
    denoised : the first estimate of the step.
    """

    denoised: Tensor

    def __init__(self, step: Step, x: Tensor, normals: Sequence[Tensor]) -> None:
        self.state, self.sigma = x, step.sigma
        self._step, self._start, self._normals = step, x, normals
        self._integrands: tuple[Tensor, ...] = ()

    @property
    def done(self) -> bool:
        """Whether all calls of the step are made."""
        return len(self._integrands) == len(self._step.rows)

    def advance(self, estimate: Tensor) -> None:
        """Go on to the next state, with the model's estimate at this one."""
        call = len(self._integrands)
        if call == 0:
            self.denoised = estimate
        skip, out = self._step.integrands[call]
        integrand = estimate if (skip, out) == (0, 1) else (estimate - skip * self.state) / out
        self._integrands = (*self._integrands, integrand)
        row = self._step.rows[call]
        self.state, self.sigma = self._combine(row), row.sigma

    def offence(self) -> tuple[float, bool]:
        """Where a state that is not finite is from: the level, and whether from an estimate there."""
        levels = (self._step.sigma, *(row.sigma for row in self._step.rows))
        for level, integrand in zip(levels, self._integrands, strict=False):
            if not integrand.isfinite().all():
                return level, bool(self._start.isfinite().all())
        return levels[len(self._integrands) - 1], False

    def _combine(self, row: Row[float]) -> Tensor:
        total = row.state * self._start
        for weight, value in zip(row.drift, self._integrands, strict=True):
            if weight:
                total.add_(value, alpha=weight)
        for weight, value in zip(row.noise, self._normals, strict=False):
            if weight:
                total.add_(value, alpha=weight)
        return total


class FiniteWatch:
    """Notices states that are not finite: at once on the CPU, at the end of the run on an accelerator.

    There, reading a flag in every step would make the host wait for the device. In a graph that is compiled
    or captured nothing can be raised, and nothing is watched.
    """

    def __init__(self, x: Tensor) -> None:
        self._immediate = x.device.type == "cpu"
        self._wide = torch.promote_types(x.dtype, torch.float32)
        capturing = x.is_cuda and torch.cuda.is_current_stream_capturing()
        self._off = torch.compiler.is_compiling() or capturing
        self._sums: list[tuple[Tensor, int, float]] = []

    def passes(self, values: Tensor, index: int, sigma: float) -> bool:
        """Whether all values are finite, as far as that is known yet."""
        if self._off:
            return True
        total = values.sum(dtype=self._wide)  # of finite values, finite but for overflow
        if self._immediate:
            return math.isfinite(total.item()) or bool(values.isfinite().all())
        self._sums.append((total.detach(), index, sigma))
        return True

    def check(self) -> None:
        """Raise for the first step whose values were not finite."""
        if not self._sums:
            return
        finite = torch.stack([total for total, *_ in self._sums]).isfinite().tolist()
        for passed, (_, index, sigma) in zip(finite, self._sums, strict=True):
            if not passed:
                wrong = "an estimate of the denoiser or a state is not finite"
                way_out = ": the same run on the CPU says which"
                raise at_step(DenoiserError, index, sigma, wrong + way_out)


def not_finite(index: int, sigma: float, estimated: bool) -> SeedsError:
    """The error: the estimate of a finite state, or the state itself, is not finite at sigma."""
    if estimated:
        return at_step(DenoiserError, index, sigma, "the denoiser's estimate is not finite")
    cause = "NaN in the initial state or in the noise, or a dtype that overflows"
    return at_step(NoiseError, index, sigma, f"the state is not finite: {cause}")


def draw(source: NoiseSource, step: Step, x: Tensor, index: int) -> Sequence[Tensor]:
    """The normals of a step, checked; at eta = 0 the source is not asked."""
    if not step.intervals:
        return ()
    normals = source(step.intervals, x)
    return require_normals(normals, len(step.intervals), x, f"step {index}").unbind()


def require_state(x: object) -> None:
    """States are a floating-point tensor (batch, *event)."""
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim < 1:
        given = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise ParameterError(f"states are a floating-point tensor (batch, *event); got {given}")


def require_denoiser(denoiser: object) -> None:
    """A denoiser can be called."""
    if not callable(denoiser):
        raise ParameterError(f"a denoiser is a function D(x, sigma); got {type(denoiser).__name__}")


def require_frame(denoiser: Denoiser) -> None:
    """A denoiser is of states x / alpha: raises ParameterError for that of a scheduler's samples."""
    if getattr(denoiser, "of_samples", False):
        raise ParameterError(
            "this denoiser is of a scheduler's samples alpha y, the plan of y: take scheduler.plan, "
            "or NetworkDenoiser(network, schedule, predicts) with this plan"
        )


def require_estimate(estimate: object, x: Tensor, level: float, step: int | None = None) -> None:
    """A denoiser's estimate is a tensor of the shape and the dtype of the states x."""
    if not isinstance(estimate, Tensor):
        given = f"a tensor; got {type(estimate).__name__}"
    elif estimate.shape != x.shape or estimate.dtype != x.dtype:
        given = (
            f"what it is given, {tuple(x.shape)} of {x.dtype}; "
            f"got {tuple(estimate.shape)} of {estimate.dtype}"
        )
    else:
        return
    wrong = f"a denoiser returns {given}"
    if step is None:
        raise DenoiserError(f"sigma {level:g}: {wrong}")
    raise at_step(DenoiserError, step, level, wrong)

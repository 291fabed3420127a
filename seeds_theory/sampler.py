"""The one sampling loop: it evaluates the model, adds up rows of a plan, and knows no method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import DenoiserError, NoiseError, ParameterError
from seeds_theory.plan import Plan, Row, Step
from seeds_theory.sources import NoiseSource, require_normals, require_source


@dataclass(frozen=True)
class StepInfo:
    """What a callback sees after each step.

    index : number of the step, from 0. sigma, sigma_next : its noise levels.
    x : the state at sigma_next. denoised : the model's first estimate in the step, for previews.
    """

    index: int
    sigma: float
    sigma_next: float
    x: Tensor
    denoised: Tensor


Callback = Callable[[StepInfo], None]


def sample(
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
    ParameterError : x is not a floating-point tensor, or plan is not a `Plan`.
    """
    require_state(x)
    if not isinstance(plan, Plan):
        raise ParameterError(f"a plan comes from make_plan(method, sigmas); got {plan!r}")
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
    watch = FiniteWatch(immediate=x.device.type == "cpu")
    steps = tqdm(plan.steps, desc=plan.tableau.name, unit="step", disable=not progress)
    for index, step in enumerate(steps):
        normals = _draw(source, step, x, index)
        state, level = x, step.sigma
        estimates: list[Tensor] = []
        integrands: list[Tensor] = []
        for row, (skip, out) in zip(step.rows, step.integrands, strict=True):
            estimate = denoiser(state, level)
            require_estimate(estimate, x, index, level)
            watch.add(estimate, f"step {index}, sigma {level:g}", given=state)
            estimates.append(estimate)
            integrands.append(
                estimate if (skip, out) == (0, 1) else (estimate - skip * state) / out
            )
            state, level = _combine(row, x, integrands, normals), row.sigma
        x = state
        watch.add(x, f"step {index}, sigma {step.sigma:g} to {step.sigma_next:g}")
        if callback is not None:
            callback(StepInfo(index, step.sigma, step.sigma_next, x, estimates[0]))
    watch.check()
    return x


class FiniteWatch:
    """Notices values that are not finite: at once on the CPU, at the end on an accelerator.

    There, reading a flag at every call would make the host wait for the device.
    """

    def __init__(self, immediate: bool) -> None:
        self._immediate = immediate
        self._flags: list[tuple[Tensor, str, bool]] = []

    def add(self, values: Tensor, place: str, given: Tensor | None = None) -> None:
        """Watch a state, or the estimate that the denoiser made of the state `given`."""
        # A sum is finite iff all terms are; in half precision it would overflow.
        total = values.detach().sum(dtype=torch.promote_types(values.dtype, torch.float32))
        self._flags.append((total, place, given is not None))
        if self._immediate:
            self.check(given)
            self._flags.clear()

    def check(self, given: Tensor | None = None) -> None:
        """Raise for the first value that is not finite."""
        for total, place, is_estimate in self._flags:
            if total.isfinite():
                continue
            if is_estimate and (given is None or given.isfinite().all()):
                raise DenoiserError(f"{place}: the denoiser's estimate is not finite")
            raise NoiseError(
                f"{place}: the state is not finite: NaN in the initial state or in the noise, or a "
                "dtype that overflows"
            )


def _combine(row: Row[float], x: Tensor, integrands: list[Tensor], normals: Tensor) -> Tensor:
    total = row.state * x
    for weight, value in zip(row.drift, integrands, strict=True):
        if weight:
            total.add_(value, alpha=weight)
    for weight, value in zip(row.noise, normals[: len(row.noise)], strict=True):
        if weight:
            total.add_(value, alpha=weight)
    return total


def _draw(source: NoiseSource, step: Step, x: Tensor, index: int) -> Tensor:
    if not step.intervals:
        return x.new_empty((0,))
    normals = source(step.intervals, x)
    return require_normals(normals, len(step.intervals), x, f"step {index}")


def require_state(x: object) -> None:
    """States are a floating-point tensor (batch, *event)."""
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim < 1:
        given = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise ParameterError(f"states are a floating-point tensor (batch, *event); got {given}")


def require_estimate(estimate: object, x: Tensor, index: int, level: float) -> None:
    """A denoiser's estimate is a tensor of the shape and the dtype of the states x."""
    if not isinstance(estimate, Tensor):
        raise DenoiserError(
            f"step {index}, sigma {level:g}: a denoiser returns a tensor; got {type(estimate).__name__}"
        )
    if estimate.shape != x.shape or estimate.dtype != x.dtype:
        raise DenoiserError(
            f"step {index}, sigma {level:g}: a denoiser returns what it is given, {tuple(x.shape)} of "
            f"{x.dtype}; got {tuple(estimate.shape)} of {estimate.dtype}"
        )

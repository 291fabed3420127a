r"""One step of a scheduler as an action: its sample and log-density, as codes for policy gradients call it.

The function has the name, the arguments and the results of Flow-GRPO's (Liu et al., arXiv 2505.05470). Call
sites that draw or weigh noisy steps stay, if they pass timesteps as the scheduler has them, not rounded to
half precision; those that evaluate, at a noise level of 0, take `SEEDSScheduler.step`. Which sampler it is,
its noise and its grid are the scheduler's; timesteps may differ from sample to sample.

A step of one model call without memory is :math:`x' \sim N(a\,x + b\,D, c^2)`, from the sample and the
estimate alone. Of other steps one call does not give the density: a run of theirs is recorded whole, see
`seeds_theory.density`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seeds_theory.chain import Block, Chain
from seeds_theory.density import Reduction, log_density, require_finite, require_reduction
from seeds_theory.diffusers import SEEDSScheduler
from seeds_theory.diffusers.noise import Generators, noise_asked_with
from seeds_theory.diffusers.predictions import bounded, prediction
from seeds_theory.diffusers.run import candidates
from seeds_theory.errors import DensityError, NoiseError, ParameterError
from seeds_theory.forms import DIFFUSERS_NAMES, skip_and_out
from seeds_theory.loop import require_state
from seeds_theory.sources import require_normals


class Law(NamedTuple):
    """a, b, c of a step, and skip, out of the network's output F: D = skip x + out F."""

    state: float
    estimate: float
    deviation: float
    skip: float
    out: float


def sde_step_with_logprob(
    scheduler: SEEDSScheduler,
    model_output: Tensor,
    timestep: float | Tensor,
    sample: Tensor,
    noise_level: float | None = None,
    prev_sample: Tensor | None = None,
    generator: Generators | None = None,
    *,
    reduction: Reduction = "mean",
    **others: object,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Take a step, or a given one, with its log-density, differentiable in ``model_output``.

    Parameters
    ----------
    scheduler : on its grid. It is not advanced: steps may be taken in any order.
    model_output : what the network returned, ``(batch, *event)``.
    timestep : of `SEEDSScheduler.timesteps`, one for all or ``(batch,)``.
    sample : what the network was given.
    noise_level : that of the scheduler, ``options={"level": ...}``, or None: it is not chosen here. At 0 a
        step has no density.
    prev_sample : the action, of which the density is asked; drawn if it is None.
    generator : seeds the noise that is drawn, as of `SEEDSScheduler.step`. Default: torch's global generator.
        Without effect if the scheduler has a noise of its own.
    reduction : "mean" over the elements of a sample, as these codes take it; or "sum".
    others : there are none: arguments that such codes choose a sampler with are refused by name.

    Returns
    -------
    ``prev_sample`` : the action; drawn, it has the dtype of the sample.
    ``log_prob`` : float64 ``(batch,)``, of the action as it is, rounded to its dtype.
    ``prev_sample_mean`` : a x + b D, in single precision at least.
    ``std_dev`` : c, the deviation of the whole step, shaped to multiply samples: the divergence of two means
        is the square of their difference over 2 c^2. Flow-GRPO's is without the root of the step's length.

    Raises
    ------
    DensityError : a step without noise, or of a method with stages or memory; says what to do.
    ParameterError, DenoiserError, NoiseError : each names the rule, the value and the way out.
    """
    if not isinstance(scheduler, SEEDSScheduler):
        raise ParameterError(
            f"the scheduler is a SEEDSScheduler; got {type(scheduler).__name__}: "
            "SEEDSScheduler.from_config(scheduler.config, method='flow-sde', options={'level': 0.7})"
        )
    if others:
        raise ParameterError(
            f"the step is that of the scheduler, and takes no {next(iter(others))!r}: choose its method and "
            "its options or eta; a step of an ODE is taken by scheduler.step, after set_begin_index"
        )
    require_reduction(reduction)
    require_state(sample)
    output = prediction(model_output, sample, scheduler.config.variance_type)
    if prev_sample is not None:
        _require_action(prev_sample, sample)
    _require_level(scheduler, noise_level)
    chain = scheduler.chain
    calls = _calls(scheduler, timestep, sample)
    laws = {call: _law(scheduler, chain, call) for call in set(calls)}
    wide = torch.promote_types(sample.dtype, torch.float32)
    x = sample.to(wide)
    a, b, c, skip, out = (_column([laws[call][n] for call in calls], x) for n in range(5))
    estimate = bounded(skip.to(wide) * x + out.to(wide) * output.to(wide), scheduler.config)
    mean = a * x.to(torch.float64) + b * estimate.to(torch.float64)
    if prev_sample is None:
        z = _draw(scheduler, chain, calls, generator, x)
        prev_sample = (mean + c * z.to(torch.float64)).to(sample.dtype)
    innovations = (prev_sample.detach().to(torch.float64) - mean) / c
    density = log_density([innovations], c.flatten().log(), reduction)
    require_finite(density)
    return prev_sample, density, mean.to(wide), c.to(wide)


def _column(numbers: Sequence[float], x: Tensor) -> Tensor:
    """Float64 (batch or 1, 1, ...)."""
    values = torch.tensor(numbers, dtype=torch.float64, device=x.device)
    return values.expand(len(x)).reshape(-1, *[1] * (x.ndim - 1))


def _require_action(prev_sample: object, sample: Tensor) -> None:
    if not isinstance(prev_sample, Tensor) or prev_sample.shape != sample.shape:
        given = (
            tuple(prev_sample.shape)
            if isinstance(prev_sample, Tensor)
            else type(prev_sample).__name__
        )
        raise ParameterError(
            f"prev_sample has the shape of the sample, {tuple(sample.shape)}; got {given}"
        )
    if not prev_sample.is_floating_point():
        raise ParameterError(f"prev_sample is of a floating-point type; got {prev_sample.dtype}")


def _require_level(scheduler: SEEDSScheduler, noise_level: object) -> None:
    """A noise level that is given is the scheduler's: raises ParameterError."""
    if noise_level is None:
        return
    if noise_level == 0:
        raise ParameterError(
            "a step at noise_level 0 has no density: to evaluate, take step of SEEDSScheduler.from_config("
            "scheduler.config, method='ddim', eta=0.0, options=None)"
        )
    level = scheduler.noise_level
    if noise_level == level:
        return
    if level is None:
        raise ParameterError(
            f"the sampler of this scheduler has an eta, no noise_level; got {noise_level!r}: leave it out, "
            "or make the scheduler with method='flow-sde', options={'level': ...}"
        )
    raise ParameterError(
        f"noise_level is that of the scheduler, {level:g}; got {noise_level!r}: make the scheduler with "
        "options={'level': ...}"
    )


def _calls(scheduler: SEEDSScheduler, timestep: float | Tensor, sample: Tensor) -> list[int]:
    """The number of the call of each sample, or of all."""
    told = torch.as_tensor(timestep).flatten().cpu()
    if len(told) not in (1, len(sample)):
        raise ParameterError(
            f"timesteps are one for each of {len(sample)} samples, or one for all; got {len(told)}"
        )
    found = {float(t): candidates(scheduler.timesteps, t)[0] for t in told.unique()}
    return [found[t] for t in told.tolist()]


def _law(scheduler: SEEDSScheduler, chain: Chain, call: int) -> Law:
    """The law of the step of a call.

    Raises
    ------
    DensityError : it has no density, or the call alone does not give it.
    """
    (state, estimate), block = _place(chain, call)
    if len(block.calls) > 1 or not block.uses <= {state, estimate}:
        raise DensityError(
            f"one call does not give the density of a step of {chain.name!r}, which has stages or memory: "
            "record the run, with log_prob='sum' or by rollout, and take log_prob(denoiser, record)"
        )
    if block.refusal:
        way_out = "train on the other steps, and take this one by scheduler.step"
        if not chain.with_density:
            way_out = "no step of this scheduler has noise, choose an eta above 0"
        raise DensityError(
            f"timestep {float(scheduler.timesteps[call]):g}: the step has no noise, so no density, as eta "
            f"is 0 there or it goes to 0: {way_out}"
        )
    weights = dict(block.means[0])
    coefficients = scheduler.coordinates.coefficients(scheduler.levels[call])
    skip_out = skip_and_out(DIFFUSERS_NAMES[scheduler.config.prediction_type], *coefficients)
    return Law(weights.get(state, 0.0), weights.get(estimate, 0.0), block.factor[0][0], *skip_out)


def _place(chain: Chain, call: int) -> tuple[tuple[int, int], Block]:
    """The numbers of a call's state and of its estimate, and its step."""
    places = ((pair, block) for block in chain.blocks for pair in block.calls)
    return next(itertools.islice(places, call, None))


def _draw(
    scheduler: SEEDSScheduler,
    chain: Chain,
    calls: Sequence[int],
    generator: Generators | None,
    x: Tensor,
) -> Tensor:
    """The standard normal of each element of x, as ``step`` would draw it."""
    if scheduler.noise is not None and len(set(calls)) > 1:
        raise NoiseError(
            "a noise source serves samples at one timestep; got several: give prev_sample, or set "
            "scheduler.noise to None and give a generator"
        )
    source = scheduler.noise or noise_asked_with(generator, None, x).source
    _, block = _place(chain, calls[0])
    normals = require_normals(source(block.asks, x), len(block.asks), x, "the step")
    return normals[0] * block.inverse[0][0]

r"""diffusers: its schedulers, in the loop of `proofs_checks.audit.peers.stepping`.

The network returns what the ``prediction_type`` asks for, of states alpha x, where
:math:`\alpha = (1 + \sigma^2)^{-1/2}` or, for a flow, :math:`(1 + \sigma)^{-1}`. The middle levels of the
K-DPM-2 pair stay rounded, in ``set_timesteps``. SASolver's default ``tau_func`` is a window of timesteps,
which here are the default ones: give another to choose where there is noise.

An option goes to the constructor or, where ``step`` takes it, to every step.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from proofs_checks.audit.peers import (
    Adapted,
    defaults,
    imported,
    require_known,
    to_zero_by_estimate,
)
from proofs_checks.audit.peers.clocks import flow_time, preserving, rectified
from proofs_checks.audit.peers.stepping import Ending, Kind, driven, position, table, tabulated
from proofs_checks.audit.protocol import NoiseSampler, Sampler
from seeds_theory.baselines.run import require_options
from seeds_theory.errors import ParameterError, UnknownNameError
from seeds_theory.forms import skip_and_out
from seeds_theory.solver import Solver

# ------------------------------------------------------------- alpha of a state alpha x, given sigma

Alpha = Callable[[Tensor], Tensor]


def _one(sigma: Tensor) -> Tensor:
    return torch.ones_like(sigma)


# ----------------------------------------------- how a grid becomes the levels of a scheduler, as data


def _table_of_stages(scheduler: Any, levels: Tensor) -> None:
    """An inner level stands twice: for the second stage of a step, and for the first of the next."""
    scheduler.set_timesteps(len(levels) - 1)
    scheduler.sigmas = torch.cat([levels[:1], levels[1:-1].repeat_interleave(2), levels[-1:]])


def _table_with_midpoints(scheduler: Any, levels: Tensor) -> None:
    """set_timesteps derives the middle levels from the training schedule, which is made of the levels."""
    count = len(levels) - 1
    scheduler.alphas_cumprod = preserving(levels[:-1].flip(0)) ** 2
    scheduler.set_timesteps(count, num_train_timesteps=count)
    scheduler.sigmas = torch.cat([levels[:1], levels[1:].repeat_interleave(2), levels[-1:]])


def _training_steps(scheduler: Any, levels: Tensor) -> None:
    """Each training step a level; the last inference step goes to 0."""
    rising = levels[:-1].flip(0)
    stride = 1
    if not scheduler.config.get("skip_prk_steps", True):
        # PNDM's first, Runge-Kutta steps have a stage at the training step between two levels. There
        # is none above the first level, and its place stays unvisited.
        middle = torch.cat([(rising[:-1] * rising[1:]).sqrt(), rising[-1:]])
        rising, stride = torch.stack([rising, middle], dim=1).flatten(), 2
    scheduler.register_to_config(num_train_timesteps=len(rising))
    scheduler.alphas_cumprod = preserving(rising) ** 2
    scheduler.set_timesteps(len(rising) // stride)


def _table_of_coefficients(scheduler: Any, levels: Tensor) -> None:
    """What IPNDM calls alphas and betas are alpha and alpha sigma."""
    scheduler.set_timesteps(len(levels) - 1)
    scheduler.alphas = preserving(levels)
    scheduler.betas = levels * scheduler.alphas


def _in_flow_time(impose: Callable[[Any, Tensor], None]) -> Callable[[Any, Tensor], None]:
    """The table holds the t of x_t = (1 - t) x_0 + t z."""
    return lambda scheduler, levels: impose(scheduler, flow_time(levels))


def _own_grid(scheduler: Any, levels: Tensor) -> None:
    """SEEDSScheduler takes sigmas as they are; a flow's are times."""
    flow = scheduler.config.use_flow_sigmas
    scheduler.set_timesteps(sigmas=flow_time(levels) if flow else levels)


# -------------------------------------------------------------- the level where a scheduler says it is


def _flow_tabulated(scheduler: Any, t: Tensor, call: int) -> Tensor:
    time = tabulated(scheduler, t, call)
    return time / (1 - time)


def _from_input_scale(scheduler: Any, t: Tensor, call: int) -> Tensor:
    """It scales the network's input by 1 / sqrt(1 + sigma^2), in the middle of a step too."""
    scale = scheduler.scale_model_input(torch.ones(1, dtype=torch.float64), t)[0]
    return (scale**-2 - 1).sqrt()


def _training_level(scheduler: Any, t: Tensor, call: int) -> Tensor:
    square = scheduler.alphas_cumprod[t]
    return ((1 - square) / square).sqrt()


def _level_of_coefficients(scheduler: Any, t: Tensor, call: int) -> Tensor:
    index = position(scheduler)
    return scheduler.betas[index] / scheduler.alphas[index]


def _own_level(scheduler: Any, t: Tensor, call: int) -> Tensor:
    return torch.tensor(scheduler.levels[scheduler.step_index or 0], dtype=torch.float64)


# --------------------------------------------------------------------------- what the network returns


Output = Callable[[Any, Tensor, Tensor, Tensor], Tensor]

PREDICTIONS = {
    "epsilon": "noise",
    "sample": "data",
    "v_prediction": "v",
    "flow_prediction": "flow",
}
"""What a prediction_type is called here."""


def _prediction(alpha: Alpha, name: str | None = None) -> Output:
    """A prediction of states alpha x: that name's, or that of the scheduler's prediction_type."""

    def output(scheduler: Any, x: Tensor, D: Tensor, sigma: Tensor) -> Tensor:
        at, level = alpha(sigma), float(sigma)
        kind = name or PREDICTIONS[scheduler.config.prediction_type]
        skip, out = skip_and_out(kind, float(at), float(at) * level)
        return (D - skip * at * x) / out

    return output


def _preconditioned(scheduler: Any, x: Tensor, D: Tensor, sigma: Tensor) -> Tensor:
    """EDM's F: the scheduler's own map to D, which is affine in F, inverted."""
    zero, one = x.new_zeros(()), x.new_ones(())
    c_out = scheduler.precondition_outputs(zero, one, sigma)
    return (D - scheduler.precondition_outputs(x, zero, sigma)) / c_out


# ------------------------------------------------------------------------------------- the schedulers


def _twice(i: int) -> int:
    return 2 * i


def _plms(i: int) -> int:
    return i + 1 if i else 0  # the first step is a Heun step


def _prk(i: int) -> int:
    return min(4 * i, i + 9)  # the first three steps are Runge-Kutta steps of four stages


_OURS = "SEEDSScheduler"
"""This project's: it takes levels as they are, and a source of noise."""

_PRESERVING = Kind(_prediction(preserving), preserving)
_EXPLODING = replace(_PRESERVING, state_alpha=_one)
_TWO_STAGES = replace(_EXPLODING, impose=_table_of_stages, ending=Ending.ZERO, begin=_twice)
_MIDPOINTS = replace(_TWO_STAGES, impose=_table_with_midpoints, level=_from_input_scale)
_TRAINED = replace(_PRESERVING, impose=_training_steps, level=_training_level, ending=Ending.ZERO)
_COEFFICIENTS = Kind(
    _prediction(preserving, "v"), preserving, _table_of_coefficients, _level_of_coefficients
)
_EDM = replace(_EXPLODING, output=_preconditioned)
_OWN = replace(_PRESERVING, impose=_own_grid, level=_own_level, ending=Ending.ZERO)
FLOW = Kind(_prediction(rectified, "flow"), rectified, _in_flow_time(table), _flow_tabulated)

KINDS: dict[str, Kind] = {
    "DDPMScheduler": _TRAINED,
    "DDIMScheduler": _TRAINED,
    "PNDMScheduler": _TRAINED,
    "IPNDMScheduler": _COEFFICIENTS,
    "EulerDiscreteScheduler": _EXPLODING,
    "EulerAncestralDiscreteScheduler": _EXPLODING,
    "LMSDiscreteScheduler": _EXPLODING,
    "HeunDiscreteScheduler": _TWO_STAGES,
    "KDPM2DiscreteScheduler": _MIDPOINTS,
    "KDPM2AncestralDiscreteScheduler": _MIDPOINTS,
    "DPMSolverSDEScheduler": replace(_TWO_STAGES, level=_from_input_scale),
    "DPMSolverMultistepScheduler": _PRESERVING,
    "DPMSolverSinglestepScheduler": _PRESERVING,
    "UniPCMultistepScheduler": _PRESERVING,
    "DEISMultistepScheduler": replace(_PRESERVING, ending=Ending.POSITIVE),
    "SASolverScheduler": replace(_PRESERVING, ending=Ending.POSITIVE),
    "EDMEulerScheduler": _EDM,
    "EDMDPMSolverMultistepScheduler": _EDM,
    "CosineDPMSolverMultistepScheduler": _EDM,
    "FlowMatchEulerDiscreteScheduler": FLOW,
    "FlowMatchHeunDiscreteScheduler": replace(
        FLOW, impose=_in_flow_time(_table_of_stages), ending=Ending.ZERO, begin=_twice
    ),
    "LTXEulerAncestralRFScheduler": FLOW,
    _OURS: _OWN,
}
"""The schedulers that follow a reverse SDE or ODE, and how each is driven; the last is this project's."""

_CONSISTENCY = "for consistency models, whose output is no denoiser's"
_TOKENS = "for discrete tokens"
_INVERSE = "runs from data to noise"

LEFT_OUT: dict[str, str] = {
    "AmusedScheduler": _TOKENS,
    "BlockRefinementScheduler": _TOKENS,
    "CMStochasticIterativeScheduler": _CONSISTENCY,
    "ConsistencyDecoderScheduler": _CONSISTENCY,
    "DDIMInverseScheduler": _INVERSE,
    "DDIMParallelScheduler": "the steps of DDIMScheduler",
    "DDPMParallelScheduler": "the steps of DDPMScheduler",
    "DiscreteDDIMScheduler": _TOKENS,
    "DPMSolverMultistepInverseScheduler": _INVERSE,
    "EntropyBoundScheduler": _TOKENS,
    "FlowMatchLCMScheduler": _CONSISTENCY,
    "KarrasVeScheduler": "has two kinds of step, and is no longer maintained",
    "LCMScheduler": _CONSISTENCY,
    "RePaintScheduler": "goes back up to noise, for inpainting",
    "SCMScheduler": _CONSISTENCY,
    "ScoreSdeVeScheduler": "has no step: its predictor and corrector are driven one by one",
    "ScoreSdeVpScheduler": "has no step, and is no longer maintained",
    "TCDScheduler": _CONSISTENCY,
    "VQDiffusionScheduler": _TOKENS,
}
"""Schedulers that are not audited, and why; those that serve a single model are not listed."""

_OF_THE_GRID = (
    *("num_train_timesteps", "trained_betas", "beta_start", "beta_end", "beta_schedule"),
    *("timestep_spacing", "timestep_type", "steps_offset", "rescale_betas_zero_snr"),
    *("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas"),
    *("sigma_min", "sigma_max", "sigma_schedule", "rho", "final_sigmas_type", "set_alpha_to_one"),
    *("lambda_min_clipped", "interpolation_type", "shift", "flow_shift", "shift_terminal"),
    *("base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len", "invert_sigmas"),
    *("use_dynamic_shifting", "time_shift_type"),
)
"""Constructor arguments that choose noise levels, which the audit does."""

_NOT_OPTIONS = ("return_dict", "variance_noise", "pred_original_sample", "per_token_timesteps")


def names() -> tuple[str, ...]:
    """All schedulers that can be loaded, by the names of their classes."""
    _library()
    return tuple(KINDS)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A scheduler by the name of its class, with options of its constructor and of its ``step``.

    Clipping of the estimate, which is on by default in two classes, is off unless an option asks for it.

    Raises
    ------
    LibraryError, UnknownNameError : with the reason, if the scheduler is left out on purpose.
    ParameterError : an option that it does not have, or that chooses noise levels.
    """
    if name in LEFT_OUT:
        raise UnknownNameError(f"{name} is not audited: {LEFT_OUT[name]}")
    require_known(name, names(), "scheduler of diffusers")
    return scheduled(_scheduler(name), _kind(name, options), options)


def scheduled(scheduler: Any, kind: Kind, options: Mapping[str, Any]) -> Sampler:
    """A class with the interface of a scheduler as a sampler; options of its constructor and its ``step``.

    Raises
    ------
    ParameterError : an option that it does not have, or that chooses noise levels.
    """
    name = scheduler.__name__
    of_constructor = defaults(scheduler.__init__, without=_OF_THE_GRID)
    of_step = defaults(scheduler.step, without=_NOT_OPTIONS)
    require_options(name, options, (*of_constructor, *of_step))
    constructor = {n: value for n, value in options.items() if n in of_constructor}
    if "clip_sample" in of_constructor:
        constructor.setdefault("clip_sample", False)
    keywords = {n: options.get(n, value) for n, value in of_step.items()}
    if name == _OURS:
        order = scheduler(**constructor).order
        kind = replace(kind, begin=lambda i: order * i)
        if Solver(options.get("method") or "seeds-1").follows_values:
            keywords["noise_sampler"] = None

    def make(levels: Tensor, noise_sampler: NoiseSampler | None) -> Any:
        made = scheduler(**_about(levels, kind, scheduler), **constructor)
        if noise_sampler:
            made.noise = lambda intervals, like: torch.stack(
                [noise_sampler(interval.sigma, interval.sigma_next) for interval in intervals]
            )
        return made

    run = driven(make, kind)
    if kind.ending is Ending.POSITIVE:
        run = to_zero_by_estimate(run)
    return Adapted(name, run, keywords)


def _library() -> Any:
    return imported("diffusers", "diffusers torchsde scipy")


def _scheduler(name: str) -> Any:
    library = _library()
    if name == _OURS:
        library = importlib.import_module("seeds_theory.diffusers")
    return getattr(library, name)


def _kind(name: str, given: Mapping[str, Any]) -> Kind:
    options = {**defaults(_scheduler(name).__init__), **given}
    prediction = options.get("prediction_type", "epsilon")
    if prediction not in PREDICTIONS:
        known = ", ".join(PREDICTIONS)
        raise ParameterError(f"{name}: no prediction_type {prediction!r}; known: {known}")
    kind = KINDS[name]
    if options.get("use_flow_sigmas"):
        flow = replace(kind, output=_prediction(rectified), state_alpha=rectified)
        return flow if name == _OURS else replace(flow, impose=FLOW.impose, level=FLOW.level)
    if "skip_prk_steps" in options:
        return replace(kind, begin=_plms if options["skip_prk_steps"] else _prk)
    return kind


def _about(levels: Tensor, kind: Kind, scheduler_class: Any) -> dict[str, Any]:
    """What a constructor wants to know about the levels."""
    told: dict[str, Any] = {
        "sigma_min": float(levels[levels > 0][-1]),
        "sigma_max": float(levels[0]),
        "final_sigmas_type": "sigma_min" if levels[-1] > 0 else "zero",
        "set_alpha_to_one": True,
    }
    if kind.ending is Ending.ZERO and scheduler_class.__name__ != _OURS:
        # Of no effect, but by default they set up a thousand steps, one at a time.
        told["num_train_timesteps"] = len(levels) - 1
    takes = defaults(scheduler_class.__init__)
    return {name: value for name, value in told.items() if name in takes}

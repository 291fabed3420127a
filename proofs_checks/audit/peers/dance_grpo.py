r"""DanceGRPO: the steps with log-probabilities that it trains with, each in a loop.

The commit of XueZeyue/DanceGRPO is pinned in `CHECKOUT`. Where a step casts to single precision, states
stay in double.

``flux_step``, which Flux, HunyuanVideo, Wan 2.1 and Qwen-Image share, is a step of a flow on given times.
What it calls eta is the coefficient of the noise in the time of the flow, here ``diffusion``: noise of
variance :math:`\mathrm{diffusion}^2\,dt`, the SDE of the audit's :math:`\eta = \mathrm{diffusion}^2 (1 - t)
/ (2 t)`, which varies. With ``grpo`` there is noise, with ``sde_solver`` the drift that belongs to it.
Where the times end at 0 the result is the last estimate, which the repository decodes.

``ddim_step_with_logprob`` is a step of diffusers' ``DDIMScheduler``. It goes from one training step to the
one below, and from the lowest to itself. The levels become the training steps; a last level of 0 has none,
and there the run ends with the step of the lowest to itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from proofs_checks.audit.densities.protocol import Step
from proofs_checks.audit.peers import (
    Adapted,
    at_level,
    defaults,
    imported,
    report,
    require_known,
    to_zero_by_estimate,
)
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.clocks import flow_time, preserving
from proofs_checks.audit.peers.counted import CountedModel, calls_a_step
from proofs_checks.audit.peers.flows import velocity
from proofs_checks.audit.peers.precision import InDouble
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

CHECKOUT = Checkout(
    "XueZeyue/DanceGRPO",
    "15cc71d53cc2e6e18a68ee607d5fb6ba9a99e344",
    root="fastvideo",
    stand_ins=(
        *("fastvideo.utils.parallel_states", "fastvideo.utils.communications_flux"),
        *("fastvideo.utils.validation", "fastvideo.utils.dataset_utils"),
        *("fastvideo.utils.fsdp_util", "fastvideo.utils.load", "fastvideo.utils.checkpoint"),
        *("fastvideo.utils.logging_", "fastvideo.dataset.latent_flux_rl_datasets"),
        *("wandb", "accelerate", "accelerate.utils", "cv2", "einops"),
    ),
)


def names() -> tuple[str, ...]:
    """The steps, by the names of their functions."""
    return ("flux_step", "ddim_step_with_logprob")


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A step in a loop; options: of a flow ``diffusion``, ``grpo`` and ``sde_solver``, of DDIM ``eta``.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    step, scheduler_class, keywords = _function(name, options)
    if name == "flux_step":
        return Adapted(name, to_zero_by_estimate(_of_a_flow(step)), keywords)
    return Adapted(name, _of_ddim(step, scheduler_class), keywords)


def load_step(name: str, options: Mapping[str, Any]) -> Step:
    """A step with its log-density, between times of a flow or, of DDIM, noise levels; as `load` else."""
    step, scheduler_class, keywords = _function(name, options)
    if name == "flux_step":
        return _density_of_a_flow(step, **keywords)
    return _density_of_ddim(step, scheduler_class, **keywords)


def _function(name: str, options: Mapping[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """A step, diffusers' scheduler for DDIM, and the options."""
    require_known(name, names(), "step of DanceGRPO")
    # Before the stand-ins, of which it would make note.
    scheduler_class = imported("diffusers", "diffusers").DDIMScheduler
    if name == "flux_step":
        keywords: dict[str, Any] = {"diffusion": 0.3, "grpo": True, "sde_solver": True}
        step = CHECKOUT.module("train_grpo_flux").flux_step
    else:
        step = CHECKOUT.module("models.stable_diffusion.ddim_with_logprob").ddim_step_with_logprob
        keywords = defaults(step, without=("use_clipped_model_output", "generator", "prev_sample"))
    require_options(name, options, tuple(keywords))
    return step, scheduler_class, {**keywords, **options}


def _density_of_a_flow(step: Any, diffusion: float, **settings: Any) -> Step:
    def run(
        network: Any, x: Tensor, t: float, t_next: float, action: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        times = x.new_tensor([t, t_next])
        result = step(
            network(x, t),
            x,
            eta=diffusion,
            sigmas=times,
            index=0,
            prev_sample=action,
            **settings,
        )
        return result[0], result[-1]

    return run


def _density_of_ddim(step: Any, scheduler_class: Any, eta: float) -> Step:
    def run(network: Any, x: Tensor, t: float, t_next: float, action: Tensor | None = None) -> Any:
        scheduler = _scheduler(scheduler_class, x.new_tensor([t, t_next]))
        timesteps = scheduler.timesteps[:1].expand(len(x))
        return step(scheduler, network(x, t), timesteps, x, eta, prev_sample=action)

    return run


def _scheduler(scheduler_class: Any, levels: Tensor) -> Any:
    """DDIM's scheduler with a training step for each level."""
    scheduler = scheduler_class(num_train_timesteps=len(levels), clip_sample=False)
    scheduler.set_timesteps(len(levels))
    scheduler.alphas_cumprod = preserving(levels).flip(0) ** 2
    return scheduler


def _of_a_flow(step: Any) -> Sampler:
    def run(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        diffusion: float,
        **settings: Any,
    ) -> Tensor:
        times = flow_time(sigmas)
        estimate = CountedModel(model, sigmas, extra_args, callback, calls_a_step(1))
        state = (1 - times[0]) * x
        for index, time in enumerate(times[:-1]):
            output = velocity(estimate, state, time)
            with InDouble():
                state, *_ = step(
                    output,
                    state,
                    eta=diffusion,
                    sigmas=times,
                    index=index,
                    prev_sample=None,
                    **settings,
                )
        return state / (1 - times[-1])

    return run


def _of_ddim(step: Any, scheduler_class: Any) -> Sampler:
    def run(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        eta: float,
    ) -> Tensor:
        levels, steps = sigmas[sigmas > 0], len(sigmas) - 1
        alphas = preserving(levels)
        scheduler = _scheduler(scheduler_class, levels)
        state = alphas[0] * x
        for index, timestep in enumerate(scheduler.timesteps[:steps]):
            x, sigma = state / alphas[index], levels[index]
            denoised = at_level(model, x, sigma, extra_args)
            report(callback, index, x, sigma, denoised)
            state, _ = step(scheduler, (x - denoised) / sigma, timestep[None], state, eta)
        return state / alphas[-1]

    return run

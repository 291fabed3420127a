r"""lucidrains/denoising-diffusion-pytorch at faed4db: the samplers of its classes of diffusion.

* ``GaussianDiffusion``: its tables are made of the grid, a training step for each positive level. ``ddpm``
  is ``p_sample_loop``, ``ddim`` is ``ddim_sample``; both always end at 0.
* ``ElucidatedDiffusion``: ``elucidated`` and ``dpmpp`` take the levels in place of its schedule's. Both
  always end at 0.
* ``continuous`` and ``v_continuous``, the two classes of continuous time: their ``log_snr`` is that of the
  grid, of a time that falls in equal steps. They stop at the last level.

Where the run goes on to 0 on a grid that does not, the state at the last level is returned. They draw their
initial states, for which they are given those of the audit, and map what they return from [-1, 1] to [0,
1], which is undone. Estimates are clamped to [-1, 1], the range of images: that is left out, as the audit's
data have no range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from proofs_checks.audit.draws import FirstDraw
from proofs_checks.audit.peers import Adapted, require_known
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.clocks import preserving
from proofs_checks.audit.peers.edm import no_churn_after
from proofs_checks.audit.peers.precision import InDouble
from proofs_checks.audit.peers.running import (
    Estimates,
    Unclamped,
    numbers_of,
    quiet,
    with_zero,
)
from proofs_checks.audit.peers.schedules import betas
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

CHECKOUT = Checkout(
    "lucidrains/denoising-diffusion-pytorch",
    "faed4db28e724735323fa91c70aa9b28a6e1cbac",
    stand_ins=("accelerate", "ema_pytorch", "torchvision", "pytorch_fid"),
)

_CHURN = {"S_churn": 80, "S_tmin": 0.05, "S_tmax": 50, "S_noise": 1.003}


@dataclass
class _Network:
    """A network as its classes ask for it: what it says of itself, and an answer to (states, condition)."""

    answer: Callable[[Tensor, Tensor], Tensor]
    random_or_learned_sinusoidal_cond: bool = True
    channels = out_dim = 1
    self_condition = False

    def __call__(self, states: Tensor, condition: Tensor, self_cond: None = None) -> Tensor:
        """Its output."""
        return self.answer(states, condition[0])

    def parameters(self) -> Iterator[Tensor]:
        """One, which says where it is."""
        yield torch.empty(0)


# ------------------------------------------------------------------------- a run of each kind of class


def _in_training_steps(
    estimates: Estimates, x: Tensor, sigmas: Tensor, name: str, objective: str, eta: float = 0.0
) -> Tensor:
    module: Any = quiet(_module("denoising_diffusion_pytorch"))
    rising = with_zero(sigmas)[:-1].flip(0)

    def answer(state: Tensor, t: Tensor) -> Tensor:
        sigma, alpha = rising[t], preserving(rising[t])
        at = state / alpha
        denoised = estimates(at, sigma)
        noise = (at - denoised) / sigma
        outputs = {"pred_x0": denoised, "pred_noise": noise}
        return outputs.get(objective, alpha * (noise - sigma * denoised))

    module.linear_beta_schedule = lambda timesteps: betas(sigmas.double())
    of_class = {"objective": objective, "ddim_sampling_eta": eta, "beta_schedule": "linear"}
    with InDouble():  # it rounds its tables to single precision
        diffusion = module.GaussianDiffusion(
            _Network(answer, False), image_size=1, timesteps=len(rising), **of_class
        )
    loop = diffusion.to(x.dtype).p_sample_loop if name == "ddpm" else diffusion.ddim_sample
    with FirstDraw(preserving(sigmas[0]) * x), Unclamped():
        return estimates.until_the_end(lambda: loop(x.shape) * 2 - 1).clone()


def _elucidated(
    estimates: Estimates, x: Tensor, sigmas: Tensor, name: str, **churn: float
) -> Tensor:
    module = quiet(_module("elucidated_diffusion"))
    levels = with_zero(sigmas)
    if churn:
        churn["S_tmin"] = no_churn_after(sigmas, churn["S_tmin"])

    def answer(state: Tensor, c_noise: Tensor) -> Tensor:
        sigma = (4 * c_noise).exp()
        at = state / diffusion.c_in(sigma)
        return (estimates(at, sigma) - diffusion.c_skip(sigma) * at) / diffusion.c_out(sigma)

    steps = {"num_sample_steps": len(levels) - 1}
    diffusion = module.ElucidatedDiffusion(_Network(answer), image_size=x.shape[-1], **churn)
    diffusion.channels, diffusion.sample_schedule = x.shape[1], lambda steps: levels
    loop = diffusion.sample if name == "elucidated" else diffusion.sample_using_dpmpp
    with FirstDraw(x / sigmas[0]), Unclamped():
        return estimates.until_the_end(lambda: loop(len(x), **steps) * 2 - 1)


def _in_time(
    estimates: Estimates, x: Tensor, sigmas: Tensor, name: str, clip_sample_denoised: bool
) -> Tensor:
    names = {"continuous": "", "v_continuous": "v_param_"}
    module = quiet(_module(f"{names[name]}continuous_time_gaussian_diffusion"))
    steps = len(sigmas) - 1

    def answer(state: Tensor, log_snr: Tensor) -> Tensor:
        sigma = (-log_snr / 2).exp()
        alpha = preserving(sigma)
        at = state / alpha
        denoised = estimates(at, sigma)
        noise = (at - denoised) / sigma
        return noise if name == "continuous" else alpha * (noise - sigma * denoised)

    classes = {"continuous": "", "v_continuous": "VParam"}
    diffusion = getattr(module, f"{classes[name]}ContinuousTimeGaussianDiffusion")(
        _Network(answer),
        image_size=x.shape[-1],
        num_sample_steps=steps,
        clip_sample_denoised=clip_sample_denoised,
    )
    diffusion.log_snr = lambda t: -2 * sigmas[((1 - t) * steps).round().long()].log()
    with FirstDraw(preserving(sigmas[0]) * x), Unclamped():
        end = diffusion.p_sample_loop(x.shape) * 2 - 1
    return end / preserving(sigmas[-1])


SAMPLERS: dict[str, tuple[Callable[..., Tensor], dict[str, Any]]] = {
    "ddpm": (_in_training_steps, {"objective": "pred_v"}),
    "ddim": (_in_training_steps, {"objective": "pred_v", "eta": 0.0}),
    "elucidated": (_elucidated, _CHURN),
    "dpmpp": (_elucidated, {}),
    "continuous": (_in_time, {"clip_sample_denoised": True}),
    "v_continuous": (_in_time, {"clip_sample_denoised": True}),
}
"""How each is run, and its options with their defaults."""


# ---------------------------------------------------------------------------------------- the adapter


def names() -> tuple[str, ...]:
    """All samplers that can be loaded."""
    return tuple(SAMPLERS)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A sampler, with options of its class; ``eta`` is that of DDIM, the root of the SDE's for small steps.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "sampler of denoising-diffusion-pytorch")
    run, defaults = SAMPLERS[name]
    require_options(name, options, tuple(defaults))
    _module("denoising_diffusion_pytorch")  # there or not

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        **of_class: Any,
    ) -> Tensor:
        calls_a_step = 1 + (name == "elucidated")
        estimates = Estimates(model, sigmas, extra_args, callback, calls_a_step)
        with numbers_of(x):
            return run(estimates, x, sigmas, name, **of_class)

    return Adapted(name, solve, {**defaults, **options})


def _module(name: str) -> Any:
    return CHECKOUT.module(f"denoising_diffusion_pytorch.{name}")

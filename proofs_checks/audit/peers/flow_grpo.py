r"""flow_grpo: the step of its SDE for a flow, ``sde_step_with_logprob``, in the loop of its pipeline.

The commit of yifan123/flow_grpo is pinned in `CHECKOUT`. The function belongs to diffusers' scheduler
``FlowMatchEulerDiscreteScheduler``, of which it reads the times of the flow: the given ones replace them in
double precision, and what it casts to single precision stays in double. Its ``noise_level`` a adds noise of
variance :math:`a^2\,t\,(1 - t)^{-1}\,dt`, which is the SDE of the audit's :math:`\eta = a^2 / 2`.

Left out: the second function of the repository, the ODE of diffusers' own scheduler.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from proofs_checks.audit.peers import Adapted, defaults, imported, require_known
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.clocks import flow_time
from proofs_checks.audit.peers.counted import CountedModel, calls_a_step
from proofs_checks.audit.peers.flows import velocity
from proofs_checks.audit.peers.precision import InDouble
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

CHECKOUT = Checkout(
    "yifan123/flow_grpo",
    "ac4c86e8cae021841f1fde853d340e0db67690dd",
    root="flow_grpo/diffusers_patch",
)


def names() -> tuple[str, ...]:
    """The step, by the name of its function."""
    return ("sde_step_with_logprob",)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """The step in a loop; option: ``noise_level``.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "step of flow_grpo")
    step = getattr(CHECKOUT.module("sd3_sde_with_logprob"), name)
    scheduler_class = imported("diffusers", "diffusers").FlowMatchEulerDiscreteScheduler
    keywords = defaults(step, without=("prev_sample", "generator"))
    require_options(name, options, tuple(keywords))

    def run(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        noise_level: float,
    ) -> Tensor:
        times, scheduler = flow_time(sigmas), scheduler_class()
        scheduler.sigmas, scheduler.timesteps = times, torch.arange(len(times) - 1)
        estimate = CountedModel(model, sigmas, extra_args, callback, calls_a_step(1))
        state = (1 - times[0]) * x
        for timestep, time in zip(scheduler.timesteps, times[:-1], strict=True):
            output = velocity(estimate, state, time)
            with InDouble():
                state, *_ = step(scheduler, output, timestep[None], state, noise_level)
        return state / (1 - times[-1])

    return Adapted(name, run, {**keywords, **options})

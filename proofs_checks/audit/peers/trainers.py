r"""Steps of trainers for flows, ``sde_step_with_logprob``, in the loop of their pipelines.

The function is called as that of Flow-GRPO, from which others took it:

.. code-block:: python

    step(scheduler, model_output, timestep, sample, ..., prev_sample=None, generator=None)

It belongs to diffusers' scheduler ``FlowMatchEulerDiscreteScheduler``, of which it reads the times of the
flow: the given ones replace them, in double precision in a loop, and what it casts to single stays in double.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from proofs_checks.audit.densities.protocol import Step
from proofs_checks.audit.densities.trainers import trainer_step
from proofs_checks.audit.peers import Adapted, defaults, imported
from proofs_checks.audit.peers.clocks import flow_time
from proofs_checks.audit.peers.counted import CountedModel, calls_a_step
from proofs_checks.audit.peers.flows import velocity
from proofs_checks.audit.peers.precision import InDouble
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options


def flow_scheduler(times: Tensor) -> Any:
    """Diffusers' scheduler of a flow, with these times and a timestep for each of their steps.

    Raises
    ------
    LibraryError : diffusers is not installed.
    """
    scheduler = imported("diffusers", "diffusers").FlowMatchEulerDiscreteScheduler()
    scheduler.sigmas, scheduler.timesteps = times, torch.arange(len(times) - 1)
    return scheduler


def with_density(
    name: str, step: Callable[..., Any], options: Mapping[str, Any], without: tuple[str, ...] = ()
) -> Step:
    """A step with its log-density; arguments and errors as of `in_a_loop`."""
    return trainer_step(step, **_options_of(name, step, options, without))


def in_a_loop(
    name: str, step: Callable[..., Any], options: Mapping[str, Any], without: tuple[str, ...] = ()
) -> Sampler:
    """A step as a sampler that follows the audit's protocol, with its options as keywords.

    without : keywords of the step that are no options of the sampler.

    Raises
    ------
    ParameterError : an option that it does not have.
    """

    def run(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        **of_step: Any,
    ) -> Tensor:
        times = flow_time(sigmas)
        scheduler = flow_scheduler(times[:2])
        estimate = CountedModel(model, sigmas, extra_args, callback, calls_a_step(1))
        state = (1 - times[0]) * x
        for i, time in enumerate(times[:-1]):
            # The times of this step alone: some codes go through the whole table in every step.
            scheduler.sigmas = times[i : i + 2]
            output = velocity(estimate, state, time)
            with InDouble():
                state, *_ = step(scheduler, output, scheduler.timesteps, state, **of_step)
        return state / (1 - times[-1])

    return Adapted(name, run, _options_of(name, step, options, without))


def _options_of(
    name: str, step: Callable[..., Any], options: Mapping[str, Any], without: tuple[str, ...]
) -> dict[str, Any]:
    """The options of a step with their defaults, and the given ones in their place."""
    keywords = defaults(step, without=("prev_sample", "generator", *without))
    require_options(name, options, tuple(keywords))
    return {**keywords, **options}

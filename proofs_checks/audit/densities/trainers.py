"""Steps in the signature of trainers, ``sde_step_with_logprob``, as the audit's convention has them."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from proofs_checks.audit.densities.protocol import Step

_OF_TRAINERS = ("model_output", "timestep", "sample")


def trainer_step(
    function: Callable[..., Any],
    scheduler: Any = None,
    **options: Any,
) -> Step:
    """A function ``f(scheduler, model_output, timestep, sample, ..., prev_sample=None)`` as a step.

    It returns ``(prev_sample, log_prob, ...)``, as those of Flow-GRPO, and its times are those of a flow.

    >>> assert_density(trainer_step(my_package.sde_step_with_logprob, noise_level=0.7))

    Parameters
    ----------
    function : is called with a batch of states, and with a timestep for each.
    scheduler : makes one of a tensor of times, which is the table ``sigmas``, with ``timesteps`` of all but
        the last; by default diffusers' ``FlowMatchEulerDiscreteScheduler`` with these tables. Or a scheduler
        that is set to them as ``set_timesteps(sigmas=[t, t_next])``, as this library's own, which goes on
        to 0 from there.
    options : more keyword arguments for every call.
    """
    from proofs_checks.audit.peers.trainers import flow_scheduler

    make = scheduler or flow_scheduler
    if hasattr(scheduler, "set_timesteps"):
        make = functools.partial(_on, scheduler)

    def step(
        network: Any, x: Tensor, t: float, t_next: float, action: Tensor | None = None
    ) -> tuple[Any, Any]:
        made = make(torch.tensor([t, t_next], dtype=torch.float32))
        timesteps = made.timesteps[:1].expand(len(x))
        result = function(made, network(x, t), timesteps, x, prev_sample=action, **options)
        return tuple(result)[:2]

    step.__qualname__ = str(getattr(function, "__qualname__", type(function).__name__))
    return step


def _on(scheduler: Any, times: Tensor) -> Any:
    """A copy of a scheduler on these times."""
    one = copy.deepcopy(scheduler)
    one.set_timesteps(sigmas=times.tolist())
    return one


def is_of_trainers(function: Any) -> bool:
    """Whether a function has the parameters of a trainer's step."""
    try:
        taken = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return all(name in taken for name in _OF_TRAINERS)

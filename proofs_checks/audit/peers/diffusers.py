r"""diffusers: its schedulers, each in the loop that its own pipelines run.

.. code-block:: python

    scheduler.set_timesteps(n)
    for t in scheduler.timesteps:
        output = network(scheduler.scale_model_input(sample, t), t)
        sample = scheduler.step(output, t, sample).prev_sample

**The grid** becomes the scheduler's own noise levels. No two classes agree on how levels are asked for,
and all round them to single precision, so the tables that ``set_timesteps`` leaves behind are replaced by
the given levels in double precision. Data only: all code that runs is the library's.

**The network** is made from the denoiser, at the level where the scheduler says it is, as whatever
its ``prediction_type`` expects: the audit judges the solver, not the rounding of timesteps to integers.
With :math:`s = \alpha x`, :math:`\alpha = (1 + \sigma^2)^{-1/2}`, or :math:`(1 + \sigma)^{-1}` for a flow,

.. math::  \varepsilon = \frac{x - D}{\sigma}, \qquad v = \frac{\alpha s - D}{\alpha\sigma}, \qquad
           u = \frac{s - D}{\alpha\sigma}.

**Rounding that stays**: some steps cast the state to single precision, and the middle levels of the
K-DPM-2 pair and the ends of a Brownian tree are rounded in ``set_timesteps``, 1e-7 of them.

An option goes to the constructor or, where ``step`` takes it, to every step.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from proofs_checks.audit.peers import (
    Adapted,
    at_level,
    defaults,
    imported,
    report,
    require_known,
    require_options,
    to_zero_by_estimate,
)
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.errors import ParameterError, UnknownNameError

INSTALL = "diffusers"


# ----------------------------------------------------------------------------- how a state is scaled


def _preserving(sigma: Tensor) -> Tensor:
    return (1 + sigma**2).rsqrt()


def _flow(sigma: Tensor) -> Tensor:
    return 1 / (1 + sigma)


def _unscaled(sigma: Tensor) -> Tensor:
    return torch.ones_like(sigma)


# ----------------------------------------------- how a grid becomes the levels of a scheduler, as data


def _table(scheduler: Any, levels: Tensor) -> None:
    """One level a step."""
    scheduler.set_timesteps(len(levels) - 1)
    scheduler.sigmas = levels


def _flow_table(scheduler: Any, levels: Tensor) -> None:
    """Levels of the flow x_t = (1 - t) x_0 + t z."""
    _table(scheduler, levels / (1 + levels))


def _table_or_flow_table(scheduler: Any, levels: Tensor) -> None:
    flow = scheduler.config.get("use_flow_sigmas", False)
    (_flow_table if flow else _table)(scheduler, levels)


def _edm_table(scheduler: Any, levels: Tensor) -> None:
    _table(scheduler, levels)
    scheduler.timesteps = scheduler.precondition_noise(levels[:-1])


def _table_of_stages(scheduler: Any, levels: Tensor) -> None:
    """Inner levels twice: the second stage of a step stands at the first of the next."""
    scheduler.set_timesteps(len(levels) - 1)
    scheduler.sigmas = torch.cat([levels[:1], levels[1:-1].repeat_interleave(2), levels[-1:]])


def _flow_table_of_stages(scheduler: Any, levels: Tensor) -> None:
    _table_of_stages(scheduler, levels / (1 + levels))


def _table_with_midpoints(scheduler: Any, levels: Tensor) -> None:
    """set_timesteps derives the middle levels: give it a training schedule of just these levels."""
    count = len(levels) - 1
    _schedule(scheduler, levels[:-1])
    scheduler.set_timesteps(count, num_train_timesteps=count)
    scheduler.sigmas = torch.cat([levels[:1], levels[1:].repeat_interleave(2), levels[-1:]])


def _training_schedule(scheduler: Any, levels: Tensor) -> None:
    """Every training step a level; the step after the last goes to 0."""
    _schedule(scheduler, levels[:-1])
    scheduler.set_timesteps(len(levels) - 1)


def _training_schedule_with_midpoints(scheduler: Any, levels: Tensor) -> None:
    """PNDM starts by Runge-Kutta steps, whose middle stage is a training step between two levels."""
    if scheduler.config.skip_prk_steps:
        return _training_schedule(scheduler, levels)
    inner = levels[:-1]
    between = (inner[:-1] * inner[1:]).sqrt()
    # In time order from 0: level, midpoint, ..., level, and one above the first, which is not visited.
    steps = torch.stack([inner.flip(0), torch.cat([inner[:1], between]).flip(0)], dim=1)
    _schedule(scheduler, steps.flatten().flip(0))
    scheduler.set_timesteps(len(inner))
    return None


def _ipndm_table(scheduler: Any, levels: Tensor) -> None:
    """Here betas and alphas are sigma and alpha themselves."""
    scheduler.set_timesteps(len(levels) - 1)
    scheduler.alphas = _preserving(levels)
    scheduler.betas = levels * scheduler.alphas


def _schedule(scheduler: Any, levels: Tensor) -> None:
    scheduler.alphas_cumprod = 1 / (1 + levels.flip(0) ** 2)


# -------------------------------------------------------------- the level where a scheduler says it is


def _index(scheduler: Any) -> int:
    return scheduler.begin_index if scheduler.step_index is None else scheduler.step_index


def _tabulated(scheduler: Any, t: Tensor) -> Tensor:
    """The level of its current step; a flow's table holds t of sigma = t / (1 - t)."""
    level = scheduler.sigmas[_index(scheduler)]
    flow = type(scheduler).__name__.startswith(("Flow", "LTX"))
    flow |= scheduler.config.get("use_flow_sigmas", False)
    return level / (1 - level) if flow else level


def _from_input_scale(scheduler: Any, t: Tensor) -> Tensor:
    """The level by which it scales the network's input, 1 / sqrt(1 + sigma^2), also inside of a step."""
    scale = scheduler.scale_model_input(torch.ones(1, dtype=torch.float64), t)[0]
    return (scale**-2 - 1).sqrt()


def _scheduled(scheduler: Any, t: Tensor) -> Tensor:
    cumprod = scheduler.alphas_cumprod[t]
    return ((1 - cumprod) / cumprod).sqrt()


def _ipndm_level(scheduler: Any, t: Tensor) -> Tensor:
    index = _index(scheduler)
    return scheduler.betas[index] / scheduler.alphas[index]

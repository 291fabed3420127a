r"""Solver objects, which take one step a call, each in the loop that pipelines run:

.. code-block:: python

    solver.set_timesteps(n)
    for t in solver.timesteps:
        output = network(solver.scale_model_input(sample, t), t)
        sample = solver.step(output, t, sample).prev_sample

**The grid** becomes the solver's own noise levels. Classes do not agree on how levels are asked for, and
many round them to single precision; so the tables that ``set_timesteps`` leaves are replaced by the given
levels in double precision. Only data is replaced: all code that runs is the solver's.

**The network** is made from the denoiser, at the level where the solver says it is: the audit judges the
solver, not the rounding of timesteps to integers.

**Single precision**: where a step casts the state or the noise to single precision, states in double
precision are left as they are, or an order would end in rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from proofs_checks.audit.peers import at_level, report
from proofs_checks.audit.peers.precision import InDouble
from proofs_checks.audit.protocol import Model, NoiseSampler, Sampler


class Ending(Enum):
    """What a solver's last step goes to."""

    GIVEN = "the last of its levels, 0 or not"
    ZERO = "always 0: on any other grid, the run stops before that step"
    POSITIVE = "never 0: there, the run ends with the estimate at the last positive level"


def table(solver: Any, levels: Tensor) -> None:
    """One timestep a step, and the levels as the table ``sigmas``."""
    solver.set_timesteps(len(levels) - 1)
    solver.sigmas = levels


def tabulated(solver: Any, t: Any, call: int) -> Tensor:
    """The entry of the table where the solver is."""
    return solver.sigmas[position(solver)]


def position(solver: Any) -> int:
    """The index of the step where it is, which is None before the first."""
    return solver.begin_index if solver.step_index is None else solver.step_index


@dataclass(frozen=True)
class Kind:
    """How a solver is driven.

    Parameters
    ----------
    output : ``(solver, x, D, sigma)``, what the network returns.
    state_alpha : of sigma; its states are state_alpha x.
    impose : ``(solver, levels)``, sets its timesteps and makes the levels its own.
    level : ``(solver, t, call)``, the sigma where it believes to be at that timestep, of that number.
    ending : what its last step goes to.
    begin : number of model calls before step i.
    """

    output: Callable[[Any, Tensor, Tensor, Tensor], Tensor]
    state_alpha: Callable[[Tensor], Tensor]
    impose: Callable[[Any, Tensor], None] = table
    level: Callable[[Any, Any, int], Tensor] = tabulated
    ending: Ending = Ending.GIVEN
    begin: Callable[[int], int] = lambda i: i


def driven(make: Callable[[Tensor, NoiseSampler | None], Any], kind: Kind) -> Sampler:
    """The pipelines' loop, between states x / alpha and on given levels.

    Parameters
    ----------
    make : a new solver, for these levels and perhaps with this noise.
    kind : how it is driven.
    """

    def run(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        noise_sampler: NoiseSampler | None = None,
        **of_step: Any,
    ) -> Tensor:
        levels, steps = sigmas, len(sigmas) - 1
        stops_early = kind.ending is Ending.ZERO and sigmas[-1] > 0
        if stops_early:
            levels = torch.cat([sigmas, sigmas.new_zeros(1)])
        solver = make(levels, noise_sampler)
        kind.impose(solver, levels)
        if hasattr(solver, "set_begin_index"):
            solver.set_begin_index(0)
        calls = solver.timesteps[: kind.begin(steps)] if stops_early else solver.timesteps
        step_at = {kind.begin(i): i for i in range(steps)}
        sample = kind.state_alpha(sigmas[0]) * x
        for call, t in enumerate(calls):
            if hasattr(solver, "scale_model_input"):
                solver.scale_model_input(sample, t)  # pipelines must; a denoiser takes x itself
            sigma = kind.level(solver, t, call)
            state = sample / kind.state_alpha(sigma)
            denoised = at_level(model, state, sigma, extra_args)
            if call in step_at:
                report(callback, step_at[call], state, sigma, denoised)
            output = kind.output(solver, state, denoised, sigma)
            with InDouble():
                sample = _next(solver.step(output, t, sample, **of_step))
        return sample / kind.state_alpha(sigmas[-1])

    return run


def _next(result: Any) -> Any:
    """The states that a step returns: alone, first in a tuple, or as ``prev_sample``."""
    if hasattr(result, "prev_sample"):
        return result.prev_sample
    return result[0] if isinstance(result, tuple) else result

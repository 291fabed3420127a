"""Where a run is: which call of which step comes next, and what that step has so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seeds_theory.diffusers.noise import Generators, RunNoise, noise_asked_with
from seeds_theory.diffusers.steps import Calls
from seeds_theory.errors import ParameterError
from seeds_theory.loop import Stages, draw
from seeds_theory.plan import Step
from seeds_theory.sources import NoiseSource


@dataclass(frozen=True)
class Run:
    """A run between two model calls; each call makes another one, so a call that is refused leaves it here.

    The stages of a step that is started are the same object in both, and move on with the calls. Runs are
    equal that have the same calls before them: what they have drawn and computed is not compared.

    Attributes
    ----------
    index : the number of the next call.
    ahead : the steps that are not started.
    stages : of the step that is started, if one is.
    noise : of steps that have been asked for with generators; None before the first.
    """

    index: int
    ahead: tuple[Step, ...]
    stages: Stages | None = field(default=None, compare=False)
    noise: RunNoise | None = field(default=None, compare=False)

    @classmethod
    def beginning(
        cls,
        calls: Calls,
        begin_index: int | None,
        timesteps: Tensor,
        timestep: float | Tensor,
    ) -> Run:
        """The run that begins at the call of that number, or that is told this one of the timesteps.

        Raises
        ------
        ParameterError : there is no such call, or no call at all.
        """
        if not calls.steps:
            raise ParameterError("there is no grid yet: call set_timesteps first")
        if begin_index is None:
            begin_index = calls.beginning(candidates(timesteps, timestep))
        return cls(begin_index, calls.ahead(begin_index))

    def advanced(
        self,
        x: Tensor,
        estimate: Callable[[float], Tensor],
        generators: Generators | None,
        source: NoiseSource | None,
    ) -> tuple[Run, Tensor]:
        """The run after the call at the state x, and the state at the next one.

        Parameters
        ----------
        x : ``(batch, *event)``, in the precision to compute in.
        estimate : of the data by this call, shaped like x, as a function of the noise level.
        generators : they seed the noise of a step that starts, if there is no source.
        source : draws it instead.

        Raises
        ------
        ParameterError : the run is over.
        NoiseError : the source or the generators are not for such states.
        """
        stages, ahead, noise = self.stages, self.ahead, self.noise
        if stages is None:
            if not ahead:
                raise ParameterError(
                    f"the run of {self.index} calls is over: set_timesteps starts another"
                )
            step, *rest = ahead
            if source is None and step.intervals:
                noise = noise_asked_with(generators, noise, x)
                source = noise.source
            normals = () if source is None else draw(source, step, x, self.index)
            stages, ahead = Stages(step, x, normals), tuple(rest)
        stages.state = x  # a pipeline may have changed it, or rounded it to half precision
        stages.advance(estimate(stages.sigma))
        return Run(self.index + 1, ahead, None if stages.done else stages, noise), stages.state


def candidates(timesteps: Tensor, timestep: float | Tensor) -> list[int]:
    """The numbers of the calls that are told this timestep.

    Raises
    ------
    ParameterError : there is none.
    """
    told = torch.as_tensor(timestep).cpu()
    if told.numel() != 1:
        raise ParameterError(
            f"a call has one timestep for all samples; got {tuple(told.shape)}: pass an element of "
            "scheduler.timesteps"
        )
    found = (timesteps.cpu() == told.reshape(())).nonzero()
    if not len(found):
        raise ParameterError(
            f"a run begins at one of scheduler.timesteps; got {float(timestep):g}: pass its elements, "
            "or call set_begin_index"
        )
    return found.flatten().tolist()

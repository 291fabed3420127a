"""Where a run is: which call of which step comes next, and what that step has so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from seeds_theory.diffusers.loops import Loop, LoopStages
from seeds_theory.diffusers.noise import Generators, RunNoise, noise_asked_with
from seeds_theory.diffusers.steps import Calls, Piece, standing
from seeds_theory.errors import ParameterError
from seeds_theory.loop import Stages, draw
from seeds_theory.plan import Interval
from seeds_theory.sources import NoiseSource

_ROUNDING = 1e-6
"""Of timesteps, relatively: what is lost in single precision."""


@dataclass(frozen=True)
class Run:
    """A run between two model calls; each call makes another one, so a call that is refused leaves it here.

    Runs are equal that have the same calls before them: what they have drawn and computed is not compared.

    Attributes
    ----------
    index : the number of the next call.
    ahead : the steps that are not started.
    stages : of the step that is started, if one is.
    noise : of steps that have been asked for with generators; None before the first.
    """

    index: int
    ahead: tuple[Piece, ...]
    stages: Stages | LoopStages | None = field(default=None, compare=False)
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
        calls.require_grid()
        if begin_index is None:
            begin_index = calls.beginning(candidates(timesteps, timestep))
        return cls(begin_index, calls.ahead(begin_index))

    @classmethod
    def waiting(cls, calls: Calls, begin_index: int) -> Run:
        """The run that begins at the call after that one, to which the sample belongs that it is given.

        Raises
        ------
        ParameterError : there is no such call.
        """
        after = begin_index + 1
        return cls(begin_index, (standing(calls.levels[after]), *calls.ahead(after)))

    def require_call(self) -> None:
        """There is a next call; raises ParameterError when the run is over."""
        if self.stages is None and not self.ahead:
            raise ParameterError(
                f"the run of {self.index} calls is over: set_timesteps starts another"
            )

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
        generators : they seed the noise that is drawn now, if there is no source.
        source : draws it instead.

        Raises
        ------
        ParameterError : the run is over.
        NoiseError : the source or the generators are not for such states.
        """
        noise = self.noise

        def drawn(intervals: Sequence[Interval], like: Tensor) -> Tensor:
            nonlocal noise
            noise = noise_asked_with(generators, noise, like)
            return noise.source(intervals, like)

        self.require_call()
        draws, ahead, stages = source or drawn, self.ahead, self.stages
        if stages is None:
            stages, ahead = self._begun(ahead[0], x, draws), ahead[1:]
        stages = copy(stages)
        stages.state = x  # a pipeline may have changed it, or rounded it to half precision
        found = estimate(stages.sigma)
        if isinstance(stages, LoopStages):
            stages.advance(found, draws)
        else:
            stages.advance(found)
        state = stages.state
        if stages.done:
            stages = None
            if ahead and isinstance(ahead[0], Loop):  # which may add noise before its first call
                stages, ahead = self._begun(ahead[0], state, draws), ahead[1:]
                state = stages.state
        return Run(self.index + 1, ahead, stages, noise), state

    def _begun(self, piece: Piece, x: Tensor, source: NoiseSource) -> Stages | LoopStages:
        if isinstance(piece, Loop):
            return LoopStages(piece, x, source)
        return Stages(piece, x, draw(source, piece, x, self.index))


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
            f"a run begins at one of scheduler.timesteps; got {float(timestep):g}, {told.dtype}: pass its "
            f"elements as they are, {timesteps.dtype}, or call set_begin_index"
        )
    return found.flatten().tolist()


def require_told(timesteps: Tensor, call: int, timestep: float | Tensor) -> None:
    """The timestep is the one of that call, as it is or rounded; a call after the last has none.

    An element of the timesteps themselves is known by its place in memory: its value is not read, for which
    an accelerator would have to be waited for.

    Raises
    ------
    ParameterError : it is another.
    """
    if call >= len(timesteps):
        return
    own = timesteps[call]
    if _is_at(timestep) == _is_at(own):
        return
    value = float(own)
    halves = (float(own.to(dtype)) for dtype in (torch.float16, torch.bfloat16))
    known = (value, *halves, math.floor(value), math.ceil(value))
    for told in torch.as_tensor(timestep, dtype=torch.float64).flatten().tolist():
        if not any(math.isclose(told, number, rel_tol=_ROUNDING) for number in known):
            raise ParameterError(
                f"the next call of this run is number {call}, at timestep {value:g}; got {told:g}: call step "
                "at each of scheduler.timesteps in turn; set_begin_index(number) goes on at another, and "
                "set_timesteps starts another run"
            )


def _is_at(number: float | Tensor) -> tuple[Any, ...] | None:
    """The place of a tensor of one number in memory, and its kind."""
    if not isinstance(number, Tensor) or number.numel() != 1:
        return None
    return number.device, number.dtype, number.data_ptr()

"""The log-densities of a scheduler's run: its steps as a plan, recorded call by call, for trainers.

All is in the samples' own coordinates: the plan's states are the samples, alpha y, and so are those of a
record; a density is that of samples.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from seeds_theory.chain import chain_of
from seeds_theory.denoiser import require_network, sample_in
from seeds_theory.density import Record, Recording, Reduction
from seeds_theory.diffusers.coordinates import Coordinates
from seeds_theory.diffusers.loops import Loop
from seeds_theory.diffusers.predictions import denoised
from seeds_theory.diffusers.steps import Piece, StepMaker
from seeds_theory.errors import DenoiserError, DensityError
from seeds_theory.forms import FORM_NUMBERS
from seeds_theory.plan import Plan, Step
from seeds_theory.solver import JoinedPlan, LoopPlan


def plan_of(pieces: Iterable[Piece], maker: StepMaker) -> JoinedPlan:
    """The pieces of a run, for samples in the network's coordinates, as one plan for them."""
    parts: list[Plan | LoopPlan] = []
    for is_loop, group in itertools.groupby(pieces, key=lambda piece: isinstance(piece, Loop)):
        if is_loop:
            parts += [loop.solver.on(loop.grid) for loop in group if isinstance(loop, Loop)]
        else:
            parts.append(_plan_of(tuple(step for step in group if isinstance(step, Step)), maker))
    return JoinedPlan(maker.method, tuple(parts), maker.coordinates.alpha)


def _plan_of(steps: tuple[Step, ...], maker: StepMaker) -> Plan:
    """Steps of samples as a plan for the frame."""
    sigmas = (*(step.sigma for step in steps), steps[-1].sigma_next)
    etas = tuple(step.intervals[0].eta if step.intervals else 0.0 for step in steps)
    form, alpha = FORM_NUMBERS[maker.prediction], maker.coordinates.alpha
    start = sigmas[0] * alpha(sigmas[0]) if math.isfinite(sigmas[0]) else 1.0
    of_samples = Plan(maker.method, form, etas, sigmas, steps, start)
    return of_samples.scaled(lambda sigma: 1 / alpha(sigma))


@dataclass(frozen=True)
class SampleDenoiser:
    """A network as the denoiser of samples in its own coordinates, as a scheduler takes its outputs.

    Parameters
    ----------
    network : ``network(sample, timesteps)`` to its output, a tensor or something with it as ``sample``;
        ``timesteps`` are ``(batch,)``; guidance, prompts and precision are its own.
    settings : of the scheduler.
    told : the timestep at each noise level.
    """

    network: Callable[[Tensor, Tensor], Tensor]
    coordinates: Coordinates
    settings: Any
    told: Mapping[float, float]
    of_samples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_network(self.network)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """The estimate of the data for samples x, ``(batch, *event)``, at that noise level.

        Raises
        ------
        DenoiserError : a level that is not one of the run's calls, or an output of another shape.
        """
        if sigma not in self.told:
            raise DenoiserError(
                f"the scheduler calls its network at other levels than {sigma:g}: make the denoiser after "
                "set_timesteps, for a plan or a record of that grid"
            )
        times = torch.full((len(x),), self.told[sigma], dtype=torch.float32, device=x.device)
        output = sample_in(self.network(x, times))
        return denoised(self.settings, output, x, self.coordinates.coefficients(sigma))


@dataclass(frozen=True)
class Recorded:
    """A run between two model calls, with what was recorded of it; each call makes another one.

    returned : the sample that the last call returned.
    """

    recording: Recording
    returned: Tensor

    @classmethod
    def beginning(
        cls, pieces: tuple[Piece, ...], maker: StepMaker, sample: Tensor, reduction: Reduction
    ) -> Recorded:
        """The record of a run of these pieces.

        Raises
        ------
        DensityError : no step has a density, a step has noise but no density, or its end is no sample of
            the run; says why.
        """
        plan = plan_of(pieces, maker)
        recording = Recording(plan, _state(sample), reduction)
        if not chain_of(plan).calls_at_ends:
            raise DensityError(
                f"{plan.name!r} does not call its network at the ends of its steps, and a pipeline sees no "
                "other samples: record it by rollout(scheduler.denoiser(network), x, scheduler.plan)"
            )
        return cls(recording, sample)

    def require_untouched(self, sample: Tensor) -> None:
        """The sample of a call is the one that the call before returned: raises DensityError."""
        returned = self.returned
        if sample.shape != returned.shape or not torch.equal(sample, returned.to(sample)):
            raise DensityError(
                "the sample was changed between two calls, which no density knows of: give step what it "
                "returned, and set_timesteps before another run"
            )

    def after(
        self, sample: Tensor, estimate: Tensor, returned: Tensor
    ) -> tuple[Recorded, Tensor | None]:
        """The record after a call, and the log-density of the step that ended with it, if it has one."""
        recording = self.recording.copy()
        found = None
        with torch.inference_mode(False), torch.no_grad():
            recording.arrived(_state(sample))
            recording.estimated(estimate.detach())
            while recording.step_ends_next:
                found = recording.arrived(_state(returned))
        return Recorded(recording, returned), found

    def record(self) -> Record:
        """Of the whole run. Raises DensityError before its end."""
        return self.recording.record()


def _state(sample: Tensor) -> Tensor:
    """In single precision at least, in which a scheduler computes; a copy that can be trained on."""
    with torch.inference_mode(False), torch.no_grad():
        return sample.to(torch.promote_types(sample.dtype, torch.float32), copy=True)

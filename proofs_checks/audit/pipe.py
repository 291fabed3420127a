"""Samplers behind a pipe: a program in any language as a sampler that follows the audit's protocol.

``pipe:COMMAND?option=value&...`` starts the command and speaks the protocol of `proofs_checks.pipe` with it.
Noise of one stretch of the path comes from the noise sampler; normals that this cannot give, those of
averages, areas and further paths, are torch's draws, which the audit answers.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any

import numpy as np
import torch
from torch import Tensor

from proofs_checks.audit.measure import grid
from proofs_checks.audit.peers import at_level
from proofs_checks.audit.protocol import Model, NoiseSampler, Refused, SamplerFailure
from proofs_checks.pipe import NoiseRequest, Program, ProgramError, Refusal
from seeds_theory.errors import ParameterError

_TRIAL_SECONDS = 60.0
_TRIAL_LEVELS = grid(12)


@dataclass(frozen=True)
class PipeSampler:
    """A program as a sampler; it is started by the first call and lives for the next ones.

    Parameters
    ----------
    program : serves the runs.
    options : of every run.
    takes_eta : whether it can be given an eta.
    takes_noise : whether noise of stretches is all that it asks for.
    """

    program: Program
    options: Mapping[str, Any]
    takes_eta: bool
    takes_noise: bool

    @property
    def __signature__(self) -> Signature:
        optional: dict[str, Any] = {"extra_args": None, "disable": None}
        if self.takes_eta:
            optional["eta"] = self.options.get("eta")
        if self.takes_noise:
            optional["noise_sampler"] = None
        kind = Parameter.POSITIONAL_OR_KEYWORD
        return Signature(
            [Parameter(name, kind) for name in ("model", "x", "sigmas")]
            + [Parameter(name, kind, default=value) for name, value in optional.items()]
        )

    def __call__(
        self,
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: dict[str, Any] | None = None,
        disable: bool | None = None,
        eta: float | None = None,
        noise_sampler: NoiseSampler | None = None,
    ) -> Tensor:
        """Run the program once.

        Raises
        ------
        Refused : it says that it cannot, before it has asked for anything.
        SamplerFailure : it did something else than sample.
        """
        answers = _Answers(model, x, extra_args, noise_sampler)
        options = dict(self.options) if eta is None else {**self.options, "eta": eta}
        try:
            result = self.program.run(_flat(x.double()), sigmas.double().tolist(), options, answers)
        except ProgramError as error:
            early = isinstance(error, Refusal) and not error.late
            failure = Refused if early else SamplerFailure
            raise failure(f"the program {error}") from None
        return answers.states(result)


@dataclass(frozen=True)
class _Answers:
    """Answers with tensors like the states x."""

    model: Model
    like: Tensor
    extra_args: dict[str, Any] | None
    noise_sampler: NoiseSampler | None

    def states(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).reshape(self.like.shape).to(self.like)

    def denoised(self, x: np.ndarray, sigma: float) -> np.ndarray:
        return _flat(at_level(self.model, self.states(x), _level(sigma), self.extra_args))

    def noise(self, request: NoiseRequest) -> np.ndarray:
        drawn = [self._first(request)]
        drawn += [torch.randn_like(self.like) for _ in range(request.degree - 1)]
        return np.stack([_flat(z) for z in drawn])

    def _first(self, request: NoiseRequest) -> Tensor:
        if self.noise_sampler is None or request.path or request.area:
            return torch.randn_like(self.like)
        return self.noise_sampler(_level(request.sigma), _level(request.sigma_next))


def _level(sigma: float) -> Tensor:
    return torch.tensor(sigma, dtype=torch.float64)


def _flat(x: Tensor) -> np.ndarray:
    return x.reshape(len(x), -1).double().numpy()


@dataclass
class _Trial:
    """Answers of a trial run, all zeros; notes whether it asks for noise, and for none but of stretches."""

    values_only: bool = True
    asked: bool = False

    def denoised(self, x: np.ndarray, sigma: float) -> np.ndarray:
        return np.zeros_like(x)

    def noise(self, request: NoiseRequest) -> np.ndarray:
        self.asked = True
        self.values_only &= request.degree == 1 and not request.path and not request.area
        return np.zeros((request.degree, 1, 1))


def load(command: str, options: Mapping[str, Any]) -> PipeSampler:
    """The sampler of a command, after a trial run, which shows what can be given to it.

    Raises
    ------
    ParameterError : the command cannot be read or started, or the program does not get through the trial.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ParameterError(f"{command!r} cannot be split into words: {error}") from None
    program = Program(words)
    trial = _Trial()
    try:
        _try(program, options, trial)
        takes_eta = True
        try:
            _try(program, {**options, "eta": 0.0}, _Trial())
        except Refusal:
            takes_eta = False
    except ProgramError as error:
        program.kill()
        raise ParameterError(f"pipe:{command}: in a trial run the program {error}") from None
    return PipeSampler(program, options, takes_eta, trial.asked and trial.values_only)


def _try(program: Program, options: Mapping[str, Any], answers: _Trial) -> None:
    program.run(np.ones((1, 1)), _TRIAL_LEVELS, options, answers, seconds=_TRIAL_SECONDS)

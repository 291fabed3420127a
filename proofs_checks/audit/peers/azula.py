r"""azula: its samplers, on a noise schedule of alpha = 1 whose times are the levels of the grid.

Their loop takes equal steps in a time from 1 to 0, and the schedule says which noise level a time has:
here :math:`\sigma(1 - i/n)` is the i-th level. Coefficients are computed in double precision. No schedule of
azula reaches the noise level 0; on a grid that does, the run ends with the estimate at the level before.

An ``eta`` is the sampler's own: 1 in ``DDPMSampler`` and the reverse SDE for small steps, and the square
root of the audit's eta in ``ItoSampler``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
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
    to_zero_by_estimate,
)
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

_OF_THE_GRID = ("start", "stop", "steps", "silent", "dtype", "device")


def names() -> tuple[str, ...]:
    """All samplers, by the names of their classes."""
    return tuple(name for name in _library().__all__ if name != "Sampler")


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A sampler by the name of its class, with options of its constructor.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "sampler of azula")
    sampler = getattr(_library(), name)
    keywords = defaults(sampler.__init__, without=_OF_THE_GRID)
    require_options(name, options, tuple(keywords))

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        **constructor: Any,
    ) -> Tensor:
        calls_a_step = 1 + (name == "HeunSampler") + constructor.get("corrections", 0)
        denoiser = GridDenoiser(model, sigmas, extra_args, callback, calls_a_step)
        steps = len(sigmas) - 1
        return sampler(denoiser, steps=steps, silent=True, dtype=x.dtype, **constructor)(x)

    return Adapted(name, to_zero_by_estimate(solve), {**keywords, **options})


def _library() -> Any:
    return imported("azula.sample", "einops && pip install --no-deps azula")


class GridDenoiser:
    """The model as azula asks for it: a posterior mean given a time, and a schedule of that time."""

    def __init__(
        self, model: Model, sigmas: Tensor, extra_args: Any, callback: Any, calls_a_step: int
    ) -> None:
        self._model, self._sigmas, self._extra_args = model, sigmas, extra_args
        self._callback, self._calls_a_step, self._calls = callback, calls_a_step, 0

    def schedule(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(alpha, sigma) at times of the grid."""
        steps = len(self._sigmas) - 1
        sigma = self._sigmas[((1 - t) * steps).round().long()]
        return torch.ones_like(sigma), sigma

    def __call__(self, x: Tensor, t: Tensor) -> Any:
        """The posterior, of which samplers use the mean."""
        _, sigma = self.schedule(t)
        mean = at_level(self._model, x, sigma, self._extra_args)
        step, stage = divmod(self._calls, self._calls_a_step)
        if stage == 0:
            report(self._callback, step, x, sigma, mean)
        self._calls += 1
        return SimpleNamespace(mean=mean)

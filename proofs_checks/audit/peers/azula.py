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
    defaults,
    imported,
    require_known,
    to_zero_by_estimate,
)
from proofs_checks.audit.peers.counted import CountedModel, calls_a_step
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
        begin = calls_a_step(1 + (name == "HeunSampler") + constructor.get("corrections", 0))
        estimate = CountedModel(model, sigmas, extra_args, callback, begin)
        denoiser = GridDenoiser(estimate, sigmas)
        steps = len(sigmas) - 1
        return sampler(denoiser, steps=steps, silent=True, dtype=x.dtype, **constructor)(x)

    return Adapted(name, to_zero_by_estimate(solve), {**keywords, **options})


def _library() -> Any:
    return imported("azula.sample", "einops && pip install --no-deps azula")


class GridDenoiser:
    """The model as azula asks for it: a posterior mean given a time, and a schedule of that time."""

    def __init__(self, estimate: CountedModel, sigmas: Tensor) -> None:
        self._estimate, self._sigmas = estimate, sigmas

    def schedule(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(alpha, sigma) at times of the grid."""
        steps = len(self._sigmas) - 1
        sigma = self._sigmas[((1 - t) * steps).round().long()]
        return torch.ones_like(sigma), sigma

    def __call__(self, x: Tensor, t: Tensor) -> Any:
        """The posterior, of which samplers use the mean."""
        _, sigma = self.schedule(t)
        return SimpleNamespace(mean=self._estimate(x, sigma))

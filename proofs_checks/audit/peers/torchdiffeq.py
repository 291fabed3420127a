r"""torchdiffeq: its general ODE solvers, on the probability-flow ODE in the time :math:`l = -\log\sigma`,

.. math::  dx/dl = D(x, e^{-l}) - x.

A solver with fixed steps goes from each level of the grid to the next; one with adaptive steps chooses its
own between the ends. Steps are reported by torchdiffeq's own hook, ``callback_step``.

Left out: ``scipy_solver``, which is another library's, and ``fixed_adams``, an old name of
``implicit_adams``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from proofs_checks.audit.peers import (
    Adapted,
    LogTime,
    at_level,
    imported,
    report,
    require_known,
    to_zero_by_estimate,
)
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

FIXED = ("euler", "midpoint", "heun2", "heun3", "rk4", "explicit_adams", "implicit_adams")
"""Methods whose steps are those of the grid."""

ADAPTIVE = ("adaptive_heun", "fehlberg2", "bosh3", "dopri5", "dopri8")
"""Methods that choose their steps."""

_ADAMS = ("explicit_adams", "implicit_adams")


def names() -> tuple[str, ...]:
    """All methods that can be loaded."""
    _library()
    return FIXED + ADAPTIVE


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A method of ``odeint``; options: ``rtol`` and ``atol`` where it has them, ``max_order`` of an Adams
    method.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "method of torchdiffeq")
    keywords: dict[str, Any] = {}
    if name in (*ADAPTIVE, "implicit_adams"):
        keywords |= {"rtol": 1e-7, "atol": 1e-9}
    if name in _ADAMS:
        keywords |= {"max_order": 12}
    require_options(name, options, tuple(keywords))

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        max_order: int | None = None,
        **tolerances: float,
    ) -> Tensor:
        clock = LogTime(sigmas)
        ode = ProbabilityFlow(model, clock, extra_args, callback)
        times = clock.times if name in FIXED else clock.times[[0, -1]]
        settings = {} if max_order is None else {"max_order": max_order}
        solution = _library().odeint(ode, x, times, method=name, options=settings, **tolerances)
        return solution[-1]

    return Adapted(name, to_zero_by_estimate(solve), {**keywords, **options})


def _library() -> Any:
    return imported("torchdiffeq", "torchdiffeq")


class ProbabilityFlow(torch.nn.Module):
    """The right-hand side in torchdiffeq's form."""

    def __init__(self, model: Model, clock: LogTime, extra_args: Any, callback: Any) -> None:
        super().__init__()
        self._model, self._clock = model, clock
        self._extra_args, self._callback = extra_args, callback
        self._begins, self._steps = False, 0

    def callback_step(self, t: Tensor, x: Tensor, dt: Tensor) -> None:
        """A step begins."""
        self._begins = True

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        """dx/dl."""
        sigma = self._clock.level(t)
        denoised = at_level(self._model, x, sigma, self._extra_args)
        if self._begins:
            report(self._callback, self._steps, x, sigma, denoised)
            self._begins, self._steps = False, self._steps + 1
        return denoised - x

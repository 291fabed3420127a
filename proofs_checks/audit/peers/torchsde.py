r"""torchsde: its general SDE solvers, on the reverse SDE in the time :math:`l = -\log\sigma`,

.. math::  dx = (1 + \eta)\,(D(x, e^{-l}) - x)\,dl + \sqrt{2\eta}\,e^{-l}\,dW_l,

whose noise is additive, so that Itô and Stratonovich methods solve the same equation. One step goes from
each level of the grid to the next. A ``noise_sampler`` gives the increments of W,

.. math::  W_b - W_a = \sqrt{b - a}\;\mathrm{noise\_sampler}(e^{-a}, e^{-b}),

and without one torchsde draws its own path. ``srk`` and ``log_ode`` also use integrals of the path, which
no noise of a stretch determines: these two always draw their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from proofs_checks.audit.protocol import Model, NoiseSampler, Sampler
from seeds_theory.baselines.run import require_options
from seeds_theory.errors import ParameterError
from seeds_theory.eta_schedule import eta_number

CALCULUS = {
    "euler": "ito",
    "milstein": "ito",
    "srk": "ito",
    "midpoint": "stratonovich",
    "heun": "stratonovich",
    "euler_heun": "stratonovich",
    "reversible_heun": "stratonovich",
    "log_ode": "stratonovich",
}
"""The methods of ``sdeint``, and the calculus of each; ``milstein`` has both."""

_OF_THE_PATH = ("srk", "log_ode")
_NOISE_TYPES = ("additive", "diagonal")


def names() -> tuple[str, ...]:
    """All methods that can be loaded."""
    _library()
    return tuple(CALCULUS)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A method of ``sdeint``; options: ``eta``, ``noise_type`` (additive or diagonal), ``sde_type``.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "method of torchsde")
    require_options(name, options, ("eta", "noise_type", "sde_type"))
    noise_type = options.get("noise_type", "additive")
    if noise_type not in _NOISE_TYPES:
        raise ParameterError(f"noise_type is one of {', '.join(_NOISE_TYPES)}; got {noise_type!r}")
    sde_type = options.get("sde_type", CALCULUS[name])
    if sde_type != CALCULUS[name] and (name, sde_type) != ("milstein", "stratonovich"):
        raise ParameterError(
            f"torchsde's {name!r} is of sde_type {CALCULUS[name]!r}; got {sde_type!r}"
        )

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        eta: float,
        noise_sampler: NoiseSampler | None = None,
    ) -> Tensor:
        eta_number(eta)
        clock = LogTime(sigmas)
        steps = Steps(model, x, clock, extra_args, callback)
        sde = ReverseSDE(steps.estimate, eta, noise_type, sde_type)
        # Without noise or a sampler for it: a path at zero, or torchsde's own.
        given = SampledPath(x, noise_sampler if eta > 0 else None, clock)
        path = given if eta == 0 or noise_sampler is not None else None
        y, ends = x.flatten(1), clock.times[[0, -1]]
        return _library().sdeint(sde, y, ends, bm=path, method=name, dt=steps)[-1].view_as(x)

    keywords: dict[str, Any] = {"eta": options.get("eta", 1.0)}
    if name not in _OF_THE_PATH:
        keywords["noise_sampler"] = None
    return Adapted(name, to_zero_by_estimate(solve), keywords)


def _library() -> Any:
    return imported("torchsde", "torchsde")


class ReverseSDE:
    """The equation in torchsde's form: f and g of states (batch, d), one Brownian motion a coordinate."""

    def __init__(
        self,
        estimate: Callable[[Tensor, Tensor], Tensor],
        eta: float,
        noise_type: str,
        sde_type: str,
    ) -> None:
        self.noise_type, self.sde_type = noise_type, sde_type
        self._estimate, self._eta = estimate, eta

    def f(self, t: Tensor, y: Tensor) -> Tensor:
        """The drift."""
        return (1 + self._eta) * (self._estimate(t, y) - y)

    def g(self, t: Tensor, y: Tensor) -> Tensor:
        """The diffusion: a matrix for additive noise, its diagonal for diagonal noise."""
        diagonal = (2 * self._eta) ** 0.5 * torch.exp(-t) * torch.ones_like(y)
        return diagonal.diag_embed() if self.noise_type == "additive" else diagonal


class Steps:
    """The evaluations of a run, step by step.

    It is both the estimate of the denoised state and the step size: ``t + steps`` is the next time of the
    grid, by which it knows when a step begins, and so what to report.
    """

    def __init__(
        self, model: Model, like: Tensor, clock: LogTime, extra_args: Any, callback: Any
    ) -> None:
        self._model, self._like, self._clock = model, like, clock
        self._extra_args, self._callback = extra_args, callback
        self._index = -1
        self._last: tuple[Tensor, Tensor, Tensor] | None = None
        self._reported = -1

    def __radd__(self, t: Tensor) -> Tensor:
        self._index += 1
        return self._clock.times[self._index + 1]

    def estimate(self, t: Tensor, y: Tensor) -> Tensor:
        """The denoised state at time t, of states (batch, d)."""
        x, before = y.view_as(self._like), self._last
        # sdeint evaluates everything once to see the shapes: that is the first evaluation of the run.
        checked = self._reported < 0 and before is not None
        if checked and before is not None and t == before[0] and torch.equal(x, before[1]):
            denoised = before[2]
        else:
            denoised = at_level(self._model, x, self._clock.level(t), self._extra_args)
        self._last = (t, x, denoised)
        if self._reported < self._index:
            self._reported = self._index
            start = self._clock.times[self._index]
            # A method that keeps its drift from the step before has evaluated it there.
            _, at, estimate = before if before is not None and t != start else self._last
            report(self._callback, self._index, at, self._clock.level(start), estimate)
        return denoised.flatten(1)


@dataclass(frozen=True)
class SampledPath:
    """Increments of a Brownian motion, (batch, d), from a noise sampler; zeros without one."""

    like: Tensor
    noise_sampler: NoiseSampler | None
    clock: LogTime

    @property
    def shape(self) -> torch.Size:
        """(batch, d)."""
        return self.like.flatten(1).shape

    @property
    def levy_area_approximation(self) -> str:
        """What it knows beside increments: of a path that stays at zero, everything."""
        return "none" if self.noise_sampler is not None else "foster"

    def __call__(
        self, ta: Tensor, tb: Tensor, return_U: bool = False, return_A: bool = False
    ) -> Any:
        """W_b - W_a, and as many of its integrals as are asked for."""
        if self.noise_sampler is None:
            zero = self.like.flatten(1) * 0
            area = zero.new_zeros(*zero.shape, zero.shape[1])
            asked = [zero] * (1 + return_U) + [area] * return_A
            return tuple(asked) if len(asked) > 1 else zero
        noise = self.noise_sampler(self.clock.level(ta), self.clock.level(tb)).to(self.like)
        return (tb - ta).sqrt() * noise.flatten(1)

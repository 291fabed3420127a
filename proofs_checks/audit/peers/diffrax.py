r"""diffrax: its solvers, on the reverse SDE in the time :math:`l = -\log\sigma`,

.. math::  dx = (1 + \eta)\,(D(x, e^{-l}) - x)\,dl + \sqrt{2\eta}\,e^{-l}\,dW_l,

whose noise is additive, so that Itô and Stratonovich solvers solve the same equation. One ``step`` of a
solver goes from each level of the grid to the next; jax runs it in double precision and calls the model
back. The increment of W is that of a ``noise_sampler``,

.. math::  W_b - W_a = \sqrt{b - a}\;\mathrm{noise\_sampler}(e^{-a}, e^{-b}),

or drawn by torch. Solvers that also use the path's space-time Lévy area, which no noise of a stretch
determines, have both drawn by torch: H is independent of the increment, of variance (b - a) / 12.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
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
from seeds_theory.errors import UnknownNameError
from seeds_theory.eta_schedule import eta_number

BY_INCREMENT = ("Euler", "EulerHeun", "Heun", "Midpoint", "Ralston", "ReversibleHeun")
"""Solvers that use increments of the path only."""

BY_AREA = ("SEA", "SRA1", "ShARK", "SlowRK", "GeneralShARK", "SPaRK")
"""Solvers that use its space-time Lévy area too."""

OF_THE_ODE = ("Bosh3", "Tsit5", "Dopri5", "Dopri8")
"""Solvers of ordinary differential equations: eta = 0."""

_IMPLICIT = "implicit: it needs the Jacobian of the model"
_LANGEVIN = "for underdamped Langevin equations"

LEFT_OUT: dict[str, str] = {
    **dict.fromkeys(("ImplicitEuler", "KenCarp3", "KenCarp4", "KenCarp5", "Sil3"), _IMPLICIT),
    **dict.fromkeys(("Kvaerno3", "Kvaerno4", "Kvaerno5"), _IMPLICIT),
    **dict.fromkeys(("ALIGN", "ShOULD", "QUICSORT", "UBU"), _LANGEVIN),
    **dict.fromkeys(("ItoMilstein", "StratonovichMilstein"), "for additive noise it is Euler"),
    "SemiImplicitEuler": "for equations in two parts",
    "LeapfrogMidpoint": "unstable where the drift contracts",
    "HalfSolver": "a wrapper that estimates errors",
}
"""Solvers that are not audited, and why."""


def names() -> tuple[str, ...]:
    """All solvers that can be loaded, by the names of their classes."""
    _library()
    return BY_INCREMENT + BY_AREA + OF_THE_ODE


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A solver by the name of its class; the option ``eta``, if it solves SDEs.

    Raises
    ------
    LibraryError, UnknownNameError : with the reason, if the solver is left out on purpose.
    ParameterError.
    """
    if name in LEFT_OUT:
        raise UnknownNameError(f"diffrax's {name} is not audited: {LEFT_OUT[name]}")
    require_known(name, names(), "solver of diffrax")
    keywords: dict[str, Any] = {} if name in OF_THE_ODE else {"eta": 1.0}
    require_options(name, options, tuple(keywords))
    keywords |= options
    if name in BY_INCREMENT:
        keywords["noise_sampler"] = None

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        eta: float = 0.0,
        noise_sampler: NoiseSampler | None = None,
    ) -> Tensor:
        eta_number(eta)
        clock, compiled = LogTime(sigmas), _compiled(name)
        given, x = x, x.double()
        estimates: list[tuple[float, Tensor]] = []

        def estimate(t: float, y: np.ndarray) -> np.ndarray:
            state = torch.from_numpy(y).view_as(x)
            denoised = at_level(model, state, clock.level(t), extra_args).detach()
            estimates.append((t, denoised))
            return denoised.double().numpy().ravel()

        def normals(a: float, b: float) -> tuple[Tensor, Tensor]:
            if eta == 0:
                return x * 0, x * 0
            if noise_sampler is not None:
                return noise_sampler(clock.level(a), clock.level(b)).to(x), x * 0
            return torch.randn_like(x), torch.randn_like(x) if name in BY_AREA else x * 0

        state, carried = x, None
        for i, (a, b) in enumerate(itertools.pairwise(clock.times.tolist())):
            before = estimates[::-1]
            estimates.clear()
            y, carried = compiled.step(estimate, a, b, state, carried, eta, normals(a, b))
            # A solver may keep its drift at the start of a step from the end of the last one.
            at_start = [denoised for t, denoised in (*estimates, *before) if t == a]
            report(callback, i, state, sigmas[i], at_start[0])
            state = torch.tensor(np.asarray(y)).view_as(x)
        return state.to(given.dtype)

    return Adapted(name, to_zero_by_estimate(solve), keywords)


def _library() -> Any:
    return imported("diffrax", "diffrax")


class Compiled:
    """A solver's own ``init`` and ``step``, compiled by jax once for all runs, in double precision."""

    def __init__(self, name: str) -> None:
        self._jax, self._diffrax = imported("jax", "diffrax"), _library()
        self._lineax = imported("lineax", "diffrax")
        compiled = imported("equinox", "diffrax").filter_jit
        self._with_noise = name not in OF_THE_ODE
        self._estimate: Callable[[float, np.ndarray], np.ndarray] | None = None
        solver = getattr(self._diffrax, name)()
        self._init = compiled(
            lambda a, b, y, *noise: solver.init(self._terms(a, b, *noise), a, b, y, None)
        )
        self._step = compiled(
            lambda a, b, y, carried, *noise: solver.step(
                self._terms(a, b, *noise), a, b, y, None, carried, False
            )
        )

    def step(
        self,
        estimate: Callable[[float, np.ndarray], np.ndarray],
        a: float,
        b: float,
        state: Tensor,
        carried: Any,
        eta: float,
        normals: tuple[Tensor, Tensor],
    ) -> tuple[Any, Any]:
        """One step from time a to b: the states at b, flat, and what the solver carries on."""
        self._estimate = estimate
        with self._jax.enable_x64(True):
            array = self._jax.numpy.asarray
            ends = array(a), array(b), array(state.numpy().ravel())
            noise = array(eta), *(array(z.numpy().ravel()) for z in normals)
            if carried is None:
                carried = self._init(*ends, *noise)
            y, _, _, carried, _ = self._step(*ends, carried, *noise)
            return self._jax.block_until_ready(y), carried

    def _called_back(self, bits: Any) -> np.ndarray:
        assert self._estimate is not None
        t, *y = np.asarray(bits).view(np.float64)[:, 0]
        return self._estimate(t, np.array(y)).reshape(-1, 1).view(np.int32)

    def _terms(self, a: Any, b: Any, eta: Any, normal: Any, of_area: Any) -> Any:
        """The equation, over a step whose noise is given."""
        jax, jnp, diffrax = self._jax, self._jax.numpy, self._diffrax
        bits = jax.lax.bitcast_convert_type

        def drift(t: Any, y: Any, _: Any) -> Any:
            # jax may call back from a thread of its own, where it still rounds to single precision.
            sent = bits(jnp.concatenate([jnp.reshape(t, 1), y]), jnp.int32)
            shape = jax.ShapeDtypeStruct((*y.shape, 2), jnp.int32)
            received = jax.pure_callback(self._called_back, shape, sent)
            return (1 + eta) * (bits(received, jnp.float64) - y)

        def diffusion(t: Any, y: Any, _: Any) -> Any:
            diagonal = jnp.sqrt(2 * eta) * jnp.exp(-t) * jnp.ones_like(y)
            return self._lineax.DiagonalLinearOperator(diagonal)

        if not self._with_noise:
            return diffrax.ODETerm(drift)
        length = b - a
        path = _path_type()(
            diffrax.SpaceTimeLevyArea(
                dt=length, W=jnp.sqrt(length) * normal, H=jnp.sqrt(length / 12) * of_area
            )
        )
        return diffrax.MultiTerm(diffrax.ODETerm(drift), diffrax.ControlTerm(diffusion, path))


@functools.cache
def _compiled(name: str) -> Compiled:
    return Compiled(name)


@functools.cache
def _path_type() -> Any:
    base: Any = _library().AbstractBrownianPath

    class GivenIncrement(base):
        """A Brownian path over one step, which is only asked for its increment over that step."""

        increment: Any
        levy_area = _library().SpaceTimeLevyArea
        t0, t1 = -math.inf, math.inf

        def evaluate(
            self, t0: Any, t1: Any = None, left: bool = True, use_levy: bool = False
        ) -> Any:
            """The increment, with its area if that is used."""
            return self.increment if use_levy else self.increment.W

    return GivenIncrement

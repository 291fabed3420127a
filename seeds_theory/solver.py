"""Any sampler of the library by its name: methods, which are plans, and baselines, which are loops."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seeds_theory.baselines import BASELINES, Baseline, Declared
from seeds_theory.baselines.run import require_options
from seeds_theory.catalogue import SAMPLER_NAMES, unknown_sampler
from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import ParameterError
from seeds_theory.eta_schedule import Eta, one_eta
from seeds_theory.loop import (
    Callback,
    StepInfo,
    follow,
    require_denoiser,
    require_frame,
    require_state,
)
from seeds_theory.plan import Plan, grid_and_etas, make_plan
from seeds_theory.scheme import is_method, scheme_of
from seeds_theory.sources import NoiseSource, silent

SOLVERS: tuple[str, ...] = SAMPLER_NAMES
"""The names of all methods and baselines."""


@dataclass(frozen=True)
class Solver:
    """A method or baseline, chosen by name, with its options.

    >>> solver = Solver("seeds-3", {"eta": 0.5})

    Parameters
    ----------
    name : one of `SOLVERS`; a method's may state its nodes, as ``"seeds-2@0.7"``.
    options : ``eta`` and, for a method, ``prediction`` and ``sigma_data``, as of `make_plan`; for a baseline,
        its own. An eta may be one for each step, windows or a function, as there. A copy is kept, which is
        read only: what was computed of a plan stays true of it.

    Raises
    ------
    UnknownNameError, ParameterError, TableauError : the name or an option; each lists what is known.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ParameterError(
                f"a sampler is named, as 'seeds-3'; got {type(self.name).__name__}: a tableau of your own "
                "runs by make_plan and follow"
            )
        if self.name not in BASELINES and not is_method(self.name):
            raise unknown_sampler(self.name)
        object.__setattr__(self, "options", MappingProxyType(deepcopy(dict(self.options))))
        # A trial step: wrong options end here. It draws nothing.
        own = self.baseline.eta if self.baseline else 1.0
        trial = one_eta(self.eta, own)
        self(lambda x, _: x, torch.zeros(1, 1), [2.0, 1.0], silent, eta=trial)

    def __reduce__(self) -> tuple[type[Solver], tuple[str, dict[str, Any]]]:
        return Solver, (self.name, dict(self.options))  # a read-only mapping is not pickled

    @property
    def baseline(self) -> Baseline | None:
        """The baseline; None for a method."""
        return BASELINES.get(self.name)

    @property
    def eta(self) -> Any:
        """The default eta, as it was given."""
        return self.options.get("eta", self.baseline.eta if self.baseline else 1.0)

    @property
    def follows_values(self) -> bool:
        """Whether it has noise, all of it values of one path: what a k-diffusion noise sampler gives."""
        if self.baseline:
            baseline = self.baseline
            on_path = baseline.stochastic and baseline.declared.strong is not None
            return on_path and not baseline.averages
        return scheme_of(self.name, "data").degrees == 1

    @property
    def declared(self) -> Declared | None:
        """The orders it declares; None if an option changes them. The strong one if `follows_values`."""
        if self.baseline:
            if any(name in self.options for name in self.baseline.order_options):
                return None
            declared = self.baseline.declared
        else:
            declared = Declared.of(self._plan([2.0, 1.0], 1.0).orders)
        strong = declared.strong if self.follows_values else None
        return replace(declared, strong=strong, linear=None)

    def __call__(
        self,
        denoiser: Denoiser,
        x: Tensor,
        sigmas: Sequence[float] | np.ndarray,
        noise: NoiseSource | None = None,
        *,
        eta: Eta | None = None,
        callback: Callback | None = None,
        progress: bool = False,
    ) -> Tensor:
        """Sample from the states x at ``sigmas[0]``; arguments and errors as of `seeds_theory.follow`.

        eta : instead of the default.

        Returns
        -------
        The states at ``sigmas[-1]``, shaped like x.
        """
        if self.baseline:
            require_frame(denoiser)
            return self.baseline(
                denoiser,
                x,
                sigmas,
                noise,
                eta=self.eta if eta is None else eta,
                callback=callback,
                progress=progress,
                **self._own_options,
            )
        plan = self._plan(sigmas, eta)
        return follow(denoiser, x, plan, noise, callback=callback, progress=progress)

    def on(self, sigmas: Sequence[float] | np.ndarray, eta: Eta | None = None) -> Plan | LoopPlan:
        """All of a run but the model: the plan of a method, or a baseline with its grid.

        Raises
        ------
        GridError, ParameterError : as from a run.
        """
        if not self.baseline:
            return self._plan(sigmas, eta)
        along = self.eta if eta is None else eta
        grid, etas = grid_and_etas(sigmas, along, repeats=self.baseline.repeats)
        solver = replace(self, options={**self.options, "eta": etas})
        solver.nfe(grid)  # what is wrong with the options on it ends here
        return LoopPlan(solver, tuple(grid.tolist()))

    def nfe(self, sigmas: Sequence[float] | np.ndarray) -> int:
        """Number of model calls of one run on that grid."""
        if self.baseline:
            return self.baseline.nfe(sigmas, eta=self.eta, **self._own_options)
        return self._plan(sigmas, None).nfe

    def _plan(self, sigmas: Sequence[float] | np.ndarray, eta: Eta | None) -> Plan:
        require_options(self.name, self.options, ("eta", "prediction", "sigma_data"))
        return make_plan(
            self.name, sigmas, eta=self.eta if eta is None else eta, **self._own_options
        )

    @property
    def _own_options(self) -> dict[str, Any]:
        return {name: value for name, value in self.options.items() if name != "eta"}


@dataclass(frozen=True)
class LoopPlan:
    """A baseline on a grid: what a `Plan` is for a method. `Solver.on` makes it, with numbers for its eta."""

    solver: Solver
    sigmas: tuple[float, ...]

    def __hash__(self) -> int:
        return hash((self.solver.name, self.sigmas))  # options may be of any kind

    @property
    def name(self) -> str:
        """The baseline's."""
        return self.solver.name

    @property
    def eta(self) -> float | tuple[float, ...]:
        """One number, or one for each step."""
        eta: float | tuple[float, ...] = self.solver.eta  # numbers, by Solver.on
        return eta

    def __call__(
        self,
        denoiser: Denoiser,
        x: Tensor,
        noise: NoiseSource | None = None,
        *,
        callback: Callback | None = None,
    ) -> Tensor:
        """Run it from the states x at the first noise level; arguments and errors as of `Solver`."""
        return self.solver(denoiser, x, self.sigmas, noise, callback=callback)


@dataclass(frozen=True)
class JoinedPlan:
    r"""Plans one after another, for states :math:`x = \alpha y`: the run of a program with such states.

    name : of the sampler, for messages.
    parts : each starts at the level where the one before it ends.
    alpha : as a function of the noise level, such as `seeds_theory.schedule.flow_alpha`. At an infinite
        level the state is unit noise.

    Raises
    ------
    ParameterError : there is no part, or one starts elsewhere.
    """

    name: str
    parts: tuple[Plan | LoopPlan, ...]
    alpha: Callable[[float], float]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ParameterError("plans that are joined are one or more; got none")
        for before, after in itertools.pairwise(self.parts):
            if before.sigmas[-1] != after.sigmas[0]:
                raise ParameterError(
                    "a plan starts where the one before it ends, at the noise level "
                    f"{before.sigmas[-1]:g}; got one from {after.sigmas[0]:g}"
                )

    @property
    def sigmas(self) -> tuple[float, ...]:
        """The noise levels of all parts."""
        return self.parts[0].sigmas + tuple(s for part in self.parts[1:] for s in part.sigmas[1:])

    @property
    def eta(self) -> tuple[float, ...]:
        """Of each step between two of the noise levels."""
        each = (
            part.eta if isinstance(part.eta, tuple) else (part.eta,) * (len(part.sigmas) - 1)
            for part in self.parts
        )
        return tuple(itertools.chain.from_iterable(each))

    def scale(self, sigma: float) -> float:
        """What a state of the frame is multiplied with at this level."""
        return self.alpha(sigma) if math.isfinite(sigma) else 1.0

    @property
    def frame(self) -> JoinedPlan:
        """The same for the states y."""
        return replace(self, alpha=_one)

    def of_frame(self, denoiser: Denoiser) -> Denoiser:
        """A denoiser of samples as one of the states y."""
        return lambda y, sigma: denoiser(self._samples(y, sigma), sigma)

    def __call__(
        self,
        denoiser: Denoiser,
        x: Tensor,
        noise: NoiseSource | None = None,
        *,
        callback: Callback | None = None,
    ) -> Tensor:
        """Run it; arguments and errors as of `seeds_theory.follow`, for states and a denoiser of alpha y."""

        def seen(step: StepInfo) -> None:
            if callback:
                callback(replace(step, x=self._samples(step.x, step.sigma_next)))

        require_denoiser(denoiser)
        require_state(x)
        y = self._in_frame(
            self.of_frame(denoiser), x / self.scale(self.sigmas[0]), noise, callback=seen
        )
        return self._samples(y, self.sigmas[-1])

    def _in_frame(
        self,
        denoiser: Denoiser,
        y: Tensor,
        noise: NoiseSource | None = None,
        *,
        callback: Callback,
    ) -> Tensor:
        """The same run for the states y."""
        index = itertools.count()

        def numbered(step: StepInfo) -> None:
            callback(replace(step, index=next(index)))

        for part in self.parts:
            if isinstance(part, Plan):
                y = follow(denoiser, y, part, noise, callback=numbered)
            else:
                y = part(denoiser, y, noise, callback=numbered)
        return y

    def _samples(self, y: Tensor, sigma: float) -> Tensor:
        scale = self.scale(sigma)
        return y if scale == 1 else scale * y  # in the frame, what `trace` writes into is the state


def _one(_: float) -> float:
    return 1.0

"""Solver objects of anybody: classes with ``set_timesteps`` and ``step`` as targets.

``module:Class?frame=flow&predicts=velocity&solver_order=3``: the words of a convention say what the states
of ``step`` and the network's output are; other options go to the constructor or, where ``step`` takes them,
to every step. The object has one timestep a step and a table of its levels, ``sigmas`` or what ``table=NAME``
says, whose last one is where the last step goes; the table is replaced by the audit's levels, written in the
convention's time. ``step`` is called as diffusers does, with the output, the timestep and the state.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import Signature
from typing import Any

import torch
from torch import Tensor

from proofs_checks.audit.conventions import Convention, split_options
from proofs_checks.audit.peers import Adapted, defaults
from proofs_checks.audit.peers.stepping import Ending, Kind, driven
from proofs_checks.audit.protocol import NoiseSampler, SamplerFailure
from seeds_theory.baselines.run import require_options
from seeds_theory.errors import ParameterError

_METHODS = ("set_timesteps", "step")
_NOT_OPTIONS = ("return_dict", "generator", "variance_noise")
_TABLE = "table"
_WORDS = ("frame", "time", "predicts", "ends", _TABLE)


def is_solver(found: Any) -> bool:
    """Whether it is a class of solver objects."""
    return isinstance(found, type) and all(callable(getattr(found, m, None)) for m in _METHODS)


@dataclass(frozen=True)
class SolverObject:
    """A class of solver objects as a sampler that follows the protocol.

    Parameters
    ----------
    name : of the target.
    solver : the class.
    convention : what its states and its network's output are.
    constructor : options of its constructor.
    keywords : what a step takes, with defaults.
    table : the attribute with its levels.
    """

    name: str
    solver: Any
    convention: Convention
    constructor: Mapping[str, Any]
    keywords: Mapping[str, Any]
    table: str

    @functools.cached_property
    def _adapted(self) -> Adapted:
        def make(levels: Tensor, noise_sampler: NoiseSampler | None) -> Any:
            return self.solver(**self.constructor)

        return Adapted(self.name, driven(make, _kind(self.convention, self.table)), self.keywords)

    @property
    def __signature__(self) -> Signature:
        return self._adapted.__signature__

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """Run it; arguments as in the signature."""
        return self._adapted(*args, **kwargs)


def load_solver(name: str, solver: Any, options: Mapping[str, Any]) -> SolverObject:
    """A class of solver objects, by options of a convention and its own.

    Raises
    ------
    UnknownNameError, ParameterError : options that neither it nor a convention has.
    """
    of_constructor = defaults(solver.__init__)
    of_step = defaults(solver.step, without=_NOT_OPTIONS)
    own = {*of_constructor, *of_step}
    table = "sigmas" if _TABLE in own else str(options.get(_TABLE, "sigmas"))
    words = {n: value for n, value in options.items() if n != _TABLE or n in own}
    convention, rest = split_options(words, own)
    unused = [word for word in words if word not in rest and word not in _WORDS]
    if unused:
        raise ParameterError(
            f"{name}: {unused[0]} is of functions; of a solver object say {', '.join(_WORDS)}"
        )
    require_options(name, rest, (*of_constructor, *of_step, *_WORDS))
    constructor = {n: value for n, value in rest.items() if n in of_constructor}
    keywords = {n: rest.get(n, value) for n, value in of_step.items()}
    return SolverObject(name, solver, convention, constructor, keywords, table)


def _kind(convention: Convention, name: str) -> Kind:
    """How objects of a convention are driven, whose table of levels has that name."""
    time = convention.level_time

    def output(_: Any, x: Tensor, D: Tensor, sigma: Tensor) -> Tensor:
        level = float(sigma)
        skip, out = convention.skip_and_out(level)
        return (D - skip * convention.alpha(level) * x) / out

    def impose(solver: Any, levels: Tensor) -> None:
        steps = len(levels) - 1
        solver.set_timesteps(steps)
        if not hasattr(solver, name):
            raise SamplerFailure(
                f"has no table {name!r} of its levels after set_timesteps: say what it is called, as "
                "?table=levels; an object without one needs a function that drives it"
            )
        setattr(solver, name, levels.new_tensor([time.time(level) for level in levels.tolist()]))
        if len(solver.timesteps) != steps:
            raise SamplerFailure(
                f"makes {len(solver.timesteps)} timesteps for {steps} steps: an object of several "
                "calls a step needs a function that drives it"
            )

    def level(solver: Any, t: Any, call: int) -> Tensor:
        return torch.tensor(time.level(float(getattr(solver, name)[call])), dtype=torch.float64)

    return Kind(
        output,
        lambda sigma: torch.tensor(convention.alpha(float(sigma)), dtype=torch.float64),
        impose,
        level,
        Ending.GIVEN if convention.ends == "given" else Ending.ZERO,
    )

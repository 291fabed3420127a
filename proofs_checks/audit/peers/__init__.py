"""Samplers of other libraries, run unmodified behind the audit's one protocol.

Each module has ``names()``, all that it can load, and ``load(name, options)``, which returns a sampler with
the signature of `proofs_checks.audit.protocol`; its keywords are those of the thing it wraps, with the
given options as defaults. The libraries are optional: without one, both raise `LibraryError`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter, Signature
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from proofs_checks.audit.names import LIBRARIES
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.errors import LibraryError, unknown


class Library(Protocol):
    """What every module of this package offers."""

    def names(self) -> tuple[str, ...]:
        """All that can be loaded."""
        ...

    def load(self, name: str, options: Mapping[str, Any]) -> Sampler:
        """One of them as a sampler that follows the protocol."""
        ...


def library(name: str) -> Library:
    """The adapter of a library.

    Raises
    ------
    UnknownNameError : no such adapter.
    """
    require_known(name, LIBRARIES, "an adapter for")
    return cast(Library, importlib.import_module(f"{__name__}.{name}"))


def imported(module: str, install: str) -> Any:
    """A module of an optional library; raises LibraryError with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise LibraryError(f"{module} does not import ({error}): pip install {install}") from None


def require_known(name: str, known: Sequence[str], what: str) -> None:
    """Raise UnknownNameError for a name that is not in the list."""
    if name not in known:
        raise unknown(what, name, known)


def defaults(function: Callable[..., Any], *, without: Sequence[str] = ()) -> dict[str, Any]:
    """The parameters of a function that have a default, with their defaults."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not Parameter.empty and name not in without
    }


@dataclass(frozen=True)
class Adapted:
    """A sampler that follows the protocol and shows in its signature just the keywords it has.

    Parameters
    ----------
    name : of the thing that is wrapped.
    run : ``run(model, x, sigmas, extra_args, callback, disable, **keywords)``.
    keywords : what it takes beside the protocol's arguments, with defaults.
    """

    name: str
    run: Sampler
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @property
    def __signature__(self) -> Signature:
        positional = [
            Parameter(n, Parameter.POSITIONAL_OR_KEYWORD) for n in ("model", "x", "sigmas")
        ]
        optional: dict[str, Any] = {"extra_args": None, "callback": None, "disable": None}
        return Signature(
            positional
            + [
                Parameter(n, Parameter.POSITIONAL_OR_KEYWORD, default=value)
                for n, value in {**optional, **self.keywords}.items()
            ]
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """Run it; arguments as in the signature."""
        bound = self.__signature__.bind(*args, **kwargs)
        bound.apply_defaults()
        return self.run(**bound.arguments)


def at_level(model: Model, x: Tensor, sigma: Tensor | float, extra_args: Any) -> Tensor:
    """The model's estimate with one noise level for the whole batch."""
    return model(x, torch.as_tensor(sigma).to(x) * x.new_ones(len(x)), **(extra_args or {}))


def to_zero_by_estimate(solve: Sampler) -> Sampler:
    """A solver in log sigma, which has no step to 0: to the last positive level, then the estimate there."""

    def run(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        **keywords: Any,
    ) -> Tensor:
        positive = sigmas[sigmas > 0]
        if len(positive) > 1:
            x = solve(model, x, positive, extra_args, callback, disable, **keywords)
        if len(positive) == len(sigmas):
            return x
        denoised = at_level(model, x, positive[-1], extra_args)
        report(callback, len(positive) - 1, x, positive[-1], denoised)
        return denoised

    return run


def report(
    callback: Any,
    index: int,
    x: Tensor,
    sigma: Tensor,
    denoised: Tensor,
    sigma_hat: Tensor | None = None,
) -> None:
    """Call k-diffusion's callback, if there is one: the state and the estimate at the start of a step.

    sigma_hat : the level of both, where noise is added before the step from sigma.
    """
    if callback is not None:
        level = sigma if sigma_hat is None else sigma_hat
        callback({"x": x, "i": index, "sigma": sigma, "sigma_hat": level, "denoised": denoised})


class LogTime:
    """The time l = -log sigma, on a grid of levels > 0: its time at each level, and back."""

    def __init__(self, sigmas: Tensor) -> None:
        self.times = -sigmas.log()
        self._levels = dict(zip(self.times.tolist(), sigmas.unbind(), strict=True))

    def level(self, t: Tensor | float) -> Tensor:
        """The sigma of a time: on the grid, just the one that was given."""
        time = torch.as_tensor(t, dtype=self.times.dtype)
        return self._levels.get(float(time), torch.exp(-time))

"""The one protocol of everything audited: a callable with the k-diffusion signature.

``sampler(model, x, sigmas, extra_args=None, callback=None, disable=None, ...)`` takes states x / alpha at
``sigmas[0]`` to ``sigmas[-1]``. ``model(x, sigma, **extra_args)``, sigma of shape (batch,), returns the
denoised x. Optional keywords: ``eta``, ``s_noise`` and ``noise_sampler(sigma, sigma_next)``, which
returns unit-variance noise for that stretch. A sampler that takes any keywords (``**keywords``) is given
extra_args, callback and disable; eta and noise_sampler only if its signature names them.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from proofs_checks.audit.draws import RefusedDraw, UnansweredDraw, intercepted_draws
from proofs_checks.audit.findings import without_figures
from proofs_checks.audit.limits import TimeUp, time_limit
from proofs_checks.audit.raising import is_deliberate, place
from seeds_theory.baselines.run import Declared
from seeds_theory.errors import ParameterError
from seeds_theory.named_code import summary

Sampler = Callable[..., Tensor]
NoiseSampler = Callable[[Any, Any], Tensor]
Model = Callable[..., Tensor]

_SECONDS, _COSTLY_SECONDS = 30.0, 120.0
_ALWAYS_GIVEN = ("extra_args", "callback", "disable")
_NO_OPTIONS = ("model", "x", "sigmas", "noise_sampler", *_ALWAYS_GIVEN)


class SamplerFailure(Exception):
    """What a sampler under audit did instead of returning states; the audit reports it."""

    @property
    def kind(self) -> str:
        """Its class and its text without figures: failures of one kind are told once."""
        return f"{type(self).__name__}: {without_figures(str(self))}"


class NotAffine(SamplerFailure):
    """A sampler that may be sound, but is not affine in state and normal noise: it has no exact errors."""


class Refused(SamplerFailure):
    """A run that a sampler says it does not make; a crash is none."""


class OtherGrid(NotAffine):
    """A grid that was asked of a sampler that chooses its own; see `Target.levels`."""


def refuse_protocol_names(name: str, options: Mapping[str, Any]) -> None:
    """Raise ParameterError if an option is an argument that the audit itself gives."""
    taken = [option for option in options if option in _NO_OPTIONS]
    if taken:
        raise ParameterError(f"{name}: {taken[0]} is given by the audit and cannot be an option")


@dataclass(frozen=True)
class Target:
    """A sampler under audit.

    Parameters
    ----------
    name : as the user named it.
    sampler : follows the protocol.
    options : keyword arguments for every call.
    declared : the orders it claims, if known.
    costly : every number of a state costs time, as behind a pipe: batches are smaller.
    alone : it is run on one sample at a time, as its result depends on the batch.
    levels : of a sampler that chooses its own grid, the noise levels of a run with that many steps,
        descending; it is run on no others. None for a sampler that takes any grid.
    """

    name: str
    sampler: Sampler
    options: Mapping[str, Any] = field(default_factory=dict)
    declared: Declared | None = None
    costly: bool = False
    alone: bool = False
    levels: Callable[[int], list[float]] | None = None

    def __post_init__(self) -> None:
        if not callable(self.sampler):
            raise ParameterError(f"{self.name}: a sampler is a function; got {self.sampler!r}")
        if inspect.isclass(self.sampler):
            raise ParameterError(
                f"{self.name}: a sampler is a function; this is a class: make an instance or a "
                "function of it"
            )
        refuse_protocol_names(self.name, self.options)
        required = ("model", "x", "sigmas")
        try:
            inspect.signature(self.sampler).bind(*required, **self.options)
        except (TypeError, ValueError) as error:
            hint = ": give it a default of None" if "'noise_sampler'" in str(error) else ""
            raise ParameterError(
                f"{self.name}: a sampler is called as sampler(model, x, sigmas, extra_args=None, "
                f"callback=None, disable=None, ...) with its options; {error}{hint}"
            ) from None

    @functools.cached_property
    def keywords(self) -> frozenset[str]:
        """The keyword parameters it takes: those named, and three if it takes any."""
        parameters = inspect.signature(self.sampler).parameters.values()
        named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
        return frozenset(named.union(_ALWAYS_GIVEN if takes_any else ()))

    @property
    def takes_noise_sampler(self) -> bool:
        """Whether its noise can be injected."""
        return "noise_sampler" in self.keywords

    @functools.cached_property
    def eta(self) -> float | None:
        """The eta it runs at: an option, or its signature's default; None if it takes none."""
        if "eta" not in self.keywords:
            return None
        value = self.options.get("eta", inspect.signature(self.sampler).parameters["eta"].default)
        return float(value) if isinstance(value, int | float) else None


SEED = 1234
"""What torch is seeded with before each run, where a user would draw the initial states."""


class Noise(Protocol):
    """Who answers the draws of one run."""

    injects: bool
    """Whether a sampler that takes a noise sampler is given this one."""

    def stretch(self, sigma: float, sigma_next: float, like: Tensor) -> Tensor:
        """The noise sampler's answer: unit-variance noise, shaped like the states."""
        ...

    def draw(self, number: int, like: Tensor) -> Tensor:
        """The answer to torch's own normal draw; equal states of a generator give equal numbers."""
        ...


def call(
    target: Target,
    model: Model,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    callback: Callable[[dict[str, Any]], None] | None = None,
    extra_args: dict[str, Any] | None = None,
    seconds: float | None = None,
    seed: int = SEED,
    **options: Any,
) -> Tensor:
    """Run a sampler once, with all its normals answered by `noise`; torch is seeded with `seed`.

    What it prints goes to stderr, where it does not mix with a report. It may take 30 `seconds` of the
    processor, a costly target 120, unless another limit is given; by the clock ten times as many.

    Raises
    ------
    SamplerFailure : it raised, took longer than `seconds`, or returned something that is not states.
    Refused : it raised an error of its own, on purpose.
    NotAffine : it draws what no noise can answer.
    """
    keywords: dict[str, Any] = {"disable": True, "callback": callback, "extra_args": extra_args}
    keywords = {name: keywords[name] for name in _ALWAYS_GIVEN if name in target.keywords}
    keywords |= {**target.options, **options}
    limit = seconds or (_COSTLY_SECONDS if target.costly else _SECONDS)
    with torch.no_grad(), intercepted_draws(noise.draw, seed, x.shape):
        if noise.injects and target.takes_noise_sampler:

            def noise_sampler(sigma: Any, sigma_next: Any) -> Tensor:
                return noise.stretch(_level(sigma), _level(sigma_next), x)

            keywords["noise_sampler"] = _unintercepted(noise_sampler)
        denoiser = _unintercepted(model)
        result = _guarded(lambda: target.sampler(denoiser, x, sigmas, **keywords), limit)
    if not isinstance(result, Tensor) or result.shape != x.shape:
        shape = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
        raise SamplerFailure(f"returns {shape} for states {tuple(x.shape)}")
    if not result.isfinite().all():
        raise SamplerFailure("returns NaN or infinity")
    return result


def _unintercepted(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The audit's own code, which draws for itself and need not be watched."""

    @functools.wraps(function)
    def run(*args: Any, **keywords: Any) -> Tensor:
        with torch._C.DisableTorchFunction():
            return function(*args, **keywords)

    return run


def level_of(sigma: Any) -> float:
    """The noise level of a model call: a number, or that of the first sample."""
    return float(torch.as_tensor(sigma, dtype=torch.float64).reshape(-1)[0])


def _level(sigma: Any) -> float:
    """A noise level that is given as a number, or as one for each sample."""
    levels = torch.as_tensor(sigma, dtype=torch.float64).reshape(-1)
    if not len(levels) or (levels != levels[0]).any():
        raise RefusedDraw("asks for noise at several levels in one call of the noise sampler")
    return float(levels[0])


def _guarded(run: Callable[[], object], seconds: float) -> object:
    try:
        with contextlib.redirect_stdout(sys.stderr), time_limit(seconds):
            return run()
    except SamplerFailure:
        raise
    except TimeUp as limit:
        raise SamplerFailure(f"does not return within {limit}") from None
    except UnansweredDraw as refusal:
        raise NotAffine(str(refusal)) from None
    except RefusedDraw as refusal:
        raise SamplerFailure(str(refusal)) from None
    except (Exception, SystemExit) as error:
        failure = Refused if is_deliberate(error) else SamplerFailure
        raise failure(f"raises {summary(error)} ({place(error)})") from error

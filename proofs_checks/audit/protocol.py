"""The one protocol of everything audited: a callable with the k-diffusion signature.

``sampler(model, x, sigmas, extra_args=None, callback=None, disable=None, ...)`` takes states x / alpha at
``sigmas[0]`` to ``sigmas[-1]``. ``model(x, sigma, **extra_args)``, sigma of shape (batch,), returns the
denoised x. Optional keywords: ``eta``, ``s_noise`` and ``noise_sampler(sigma, sigma_next)``, which
returns unit-variance noise for that stretch.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from proofs_checks.audit.draws import RefusedDraw, intercepted_draws
from seeds_theory.baselines.run import Declared
from seeds_theory.errors import ParameterError

Sampler = Callable[..., Tensor]
NoiseSampler = Callable[[Any, Any], Tensor]
Model = Callable[..., Tensor]


class SamplerFailure(Exception):
    """What a sampler under audit did instead of returning states; the audit reports it."""


class TimeUp(BaseException):
    """Raised in a sampler that takes too long; not an Exception, so that none may swallow it."""


@dataclass(frozen=True)
class Target:
    """A sampler under audit.

    Parameters
    ----------
    name : as the user named it.
    sampler : follows the protocol.
    options : keyword arguments for every call.
    declared : the orders it claims, if known.
    """

    name: str
    sampler: Sampler
    options: Mapping[str, Any] = field(default_factory=dict)
    declared: Declared | None = None

    def __post_init__(self) -> None:
        if not callable(self.sampler):
            raise ParameterError(f"{self.name}: a sampler is a function; got {self.sampler!r}")
        required = ("model", "x", "sigmas")
        try:
            inspect.signature(self.sampler).bind(*required, **self.options)
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"{self.name}: a sampler is called as sampler(model, x, sigmas, extra_args=None, "
                f"callback=None, disable=None, ...) with its options; {error}"
            ) from None

    @functools.cached_property
    def keywords(self) -> frozenset[str]:
        """The keyword parameters it takes."""
        return frozenset(inspect.signature(self.sampler).parameters)

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
    seconds: float = 30.0,
    seed: int = SEED,
    **options: Any,
) -> Tensor:
    """Run a sampler once, with all its normals answered by `noise`; torch is seeded with `seed`.

    Raises
    ------
    SamplerFailure : it raised, took longer than `seconds`, or returned something that is not states.
    """
    keywords: dict[str, Any] = {"disable": True, "callback": callback, "extra_args": extra_args}
    keywords = {name: value for name, value in keywords.items() if name in target.keywords}
    keywords |= {**target.options, **options}
    with torch.no_grad(), intercepted_draws(noise.draw, seed, x.shape) as interception:
        if noise.injects and target.takes_noise_sampler:

            def noise_sampler(sigma: Any, sigma_next: Any) -> Tensor:
                with interception.paused():
                    return noise.stretch(float(sigma), float(sigma_next), x)

            keywords["noise_sampler"] = noise_sampler
        result = _guarded(lambda: target.sampler(model, x, sigmas, **keywords), seconds)
    if not isinstance(result, Tensor) or result.shape != x.shape:
        shape = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
        raise SamplerFailure(f"returns {shape} for states {tuple(x.shape)}")
    if not result.isfinite().all():
        raise SamplerFailure("returns NaN or infinity")
    return result


def _guarded(run: Callable[[], object], seconds: float) -> object:
    try:
        with time_limit(seconds):
            return run()
    except SamplerFailure:
        raise
    except TimeUp:
        raise SamplerFailure(f"does not return within {seconds:g} s") from None
    except RefusedDraw as refusal:
        raise SamplerFailure(str(refusal)) from None
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        line = str(error).splitlines()[0] if str(error) else ""
        raise SamplerFailure(
            f"raises {type(error).__name__}: {line[:200]} ({last.name}, line {last.lineno})"
        ) from error


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeUp` after that many seconds, where the system has an alarm (Unix, main thread)."""
    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return

    def ring(*_: Any) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again, if a bare except swallowed it
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

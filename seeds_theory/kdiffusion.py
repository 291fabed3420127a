"""Every method and baseline with the signature of k-diffusion's samplers, for code that calls those.

``sampler(model, x, sigmas, extra_args=None, callback=None, disable=None, eta=..., noise_sampler=None)``:
``model(x, sigma, **extra_args)``, sigma of shape (batch,), returns the denoised x; ``noise_sampler(sigma,
sigma_next)`` returns unit-variance noise for that stretch, and is asked once for each stretch of a step,
in time order; ``callback`` is given a dictionary with x, i, sigma, sigma_hat and denoised. There is no
``noise_sampler`` where it could not give what is asked for: methods without noise, with noise of several
paths, or with averages of the path.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seeds_theory.errors import ParameterError
from seeds_theory.loop import StepInfo
from seeds_theory.plan import Interval
from seeds_theory.solver import Solver

NoiseSampler = Callable[[float, float], Tensor]


@dataclass(frozen=True)
class KDiffusionSampler:
    """A solver behind k-diffusion's signature; see the module."""

    solver: Solver

    @property
    def __signature__(self) -> inspect.Signature:
        optional: dict[str, Any] = dict.fromkeys(("extra_args", "callback", "disable"))
        solver, baseline = self.solver, self.solver.baseline
        sets_noise = baseline and any(name in solver.options for name in baseline.noise_options)
        if baseline is None or (baseline.only_eta is None and not sets_noise):
            optional["eta"] = solver.eta
        if solver.follows_values:
            optional["noise_sampler"] = None
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature(
            [inspect.Parameter(name, kind) for name in ("model", "x", "sigmas")]
            + [inspect.Parameter(name, kind, default=value) for name, value in optional.items()]
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """Sample; arguments as in the signature.

        Raises
        ------
        ParameterError, GridError, DenoiserError, NoiseError : as from `seeds_theory.follow`.
        """
        try:
            given = self.__signature__.bind(*args, **kwargs)
        except TypeError as error:
            raise ParameterError(f"{self.solver.name}: {error}") from None
        given.apply_defaults()
        values = given.arguments
        x, extra_args = values["x"], values["extra_args"] or {}
        sigmas = torch.as_tensor(values["sigmas"], dtype=torch.float64).tolist()
        wide = torch.promote_types(x.dtype, torch.float32)

        callback = values["callback"]
        reporter = _Reporter(callback) if callback else None

        def denoiser(x: Tensor, sigma: float) -> Tensor:
            if reporter:
                reporter.calls.append((x, sigma))
            levels = torch.full((len(x),), sigma, dtype=wide, device=x.device)
            return values["model"](x, levels, **extra_args)

        noise_sampler = values.get("noise_sampler")
        return self.solver(
            denoiser,
            x,
            sigmas,
            _StretchNoise(noise_sampler) if noise_sampler else None,
            eta=values.get("eta"),
            callback=reporter,
        )


def as_k_diffusion(name: str, **options: Any) -> KDiffusionSampler:
    """A method or baseline by name, with its options, behind k-diffusion's signature.

    >>> sampler = as_k_diffusion("seeds-3", eta=0.5)

    Raises
    ------
    UnknownNameError, ParameterError, TableauError : each lists what is known.
    """
    return KDiffusionSampler(Solver(name, options))


class _StretchNoise:
    """A noise source that asks a noise sampler; noise off the solution's path is drawn by torch."""

    def __init__(self, noise_sampler: NoiseSampler) -> None:
        self._noise_sampler = noise_sampler

    def __call__(self, intervals: Sequence[Interval], like: Tensor) -> Tensor:
        drawn = [
            self._noise_sampler(interval.sigma, interval.sigma_next)
            if interval.path == 0
            else torch.randn_like(like)
            for interval in intervals
        ]
        return torch.stack(drawn).to(like)


class _Reporter:
    """Calls back with the dictionary of k-diffusion: x and sigma_hat are those of the first model call."""

    def __init__(self, callback: Callable[[dict[str, Any]], None]) -> None:
        self._callback = callback
        self.calls: list[tuple[Tensor, float]] = []

    def __call__(self, step: StepInfo) -> None:
        x, sigma_hat = self.calls[0]
        self.calls.clear()
        self._callback(
            {
                "x": x,
                "i": step.index,
                "sigma": step.sigma,
                "sigma_hat": sigma_hat,
                "denoised": step.denoised,
            }
        )

"""Every method and baseline with the signature of k-diffusion's samplers, for code that calls those.

``sampler(model, x, sigmas, extra_args=None, callback=None, disable=None, eta=..., noise_sampler=None)``:
``model(x, sigma, **extra_args)``, sigma of shape (batch,), returns the denoised x; ``noise_sampler(sigma,
sigma_next)`` returns unit-variance noise for that stretch, and is asked once for each stretch of a step,
in time order; ``callback`` is given a dictionary with x, i, sigma, sigma_hat and denoised.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from seeds_theory.baselines import BASELINES, Declared
from seeds_theory.baselines.run import require_options
from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import ParameterError, UnknownNameError
from seeds_theory.methods import METHODS, method
from seeds_theory.plan import Interval, make_plan
from seeds_theory.sampler import Callback, StepInfo, sample
from seeds_theory.sources import NoiseSource, silent

NoiseSampler = Callable[[float, float], Tensor]


@dataclass(frozen=True)
class KDiffusionSampler:
    """A method or baseline behind k-diffusion's signature; see the module.

    name : of a method, nodes allowed, or of a baseline. options : for `make_plan`, or of the baseline.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in BASELINES and self.name.partition("@")[0] not in METHODS:
            raise UnknownNameError(
                f"unknown sampler {self.name!r}; known: {', '.join([*METHODS, *BASELINES])}"
            )
        # A trial step: wrong options end here. It draws nothing.
        self._follow(lambda x, _: x, torch.zeros(1, 1), [2.0, 1.0], silent, self.eta, None)

    @property
    def eta(self) -> float:
        """The default eta."""
        default = BASELINES[self.name].eta if self.name in BASELINES else 1.0
        return self.options.get("eta", default)

    @property
    def declared(self) -> Declared | None:
        """The orders it declares; None if an option changes them."""
        if self.name in BASELINES:
            baseline = BASELINES[self.name]
            changed = any(name in self.options for name in baseline.order_options)
            return None if changed else baseline.declared
        orders = method(self.name).orders
        return Declared(strong=float(orders.strong), weak=orders.weak, ode=orders.ode)

    @property
    def __signature__(self) -> inspect.Signature:
        optional: dict[str, Any] = dict.fromkeys(("extra_args", "callback", "disable"))
        baseline = BASELINES.get(self.name)
        sets_noise = baseline and any(name in self.options for name in baseline.noise_options)
        if baseline is None or (baseline.only_eta is None and not sets_noise):
            optional["eta"] = self.eta
        if baseline is None or (baseline.stochastic and baseline.declared.strong is not None):
            optional["noise_sampler"] = None  # else there is no noise, or none of one path
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature(
            [inspect.Parameter(name, kind) for name in ("model", "x", "sigmas")]
            + [inspect.Parameter(name, kind, default=value) for name, value in optional.items()]
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """Sample; arguments as in the signature.

        Raises
        ------
        ParameterError, GridError, DenoiserError, NoiseError : as from `seeds_theory.sample`.
        """
        try:
            given = self.__signature__.bind(*args, **kwargs)
        except TypeError as error:
            raise ParameterError(f"{self.name}: {error}") from None
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

        return self._follow(
            denoiser,
            x,
            sigmas,
            _StretchNoise(values["noise_sampler"]) if values.get("noise_sampler") else None,
            values.get("eta", self.eta),
            reporter,
        )

    def _follow(
        self,
        denoiser: Denoiser,
        x: Tensor,
        sigmas: Sequence[float],
        noise: NoiseSource | None,
        eta: float,
        callback: Callback | None,
    ) -> Tensor:
        options = {name: value for name, value in self.options.items() if name != "eta"}
        if self.name in BASELINES:
            baseline = BASELINES[self.name]
            return baseline(denoiser, x, sigmas, noise, eta=eta, callback=callback, **options)
        require_options(self.name, options, ("eta", "prediction"))
        plan = make_plan(self.name, sigmas, eta=eta, **options)
        return sample(denoiser, x, plan, noise, callback=callback)


def as_k_diffusion(name: str, **options: Any) -> KDiffusionSampler:
    """A method or baseline by name, with its options, behind k-diffusion's signature.

    >>> sampler = as_k_diffusion("seeds-3", eta=0.5)

    Raises
    ------
    UnknownNameError, ParameterError, TableauError : each lists what is known.
    """
    return KDiffusionSampler(name, options)


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

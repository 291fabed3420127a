r"""Settings for a few model calls: a sampler and a grid, found by a search on exact denoisers.

At 5 to 80 calls the sizes of errors at long steps decide, not their orders, and the grid matters as much as
the method. A setting is a sampler, how many of its first steps have noise, a number of steps, two noise
levels and a spacing; its grid ends at 0. The levels are multiples of the *width* of the data, the standard
deviation along its first principal axis: what is rescaled is sampled alike.

The settings are data, in ``settings.json``, made by ``seeds-tune settings``; the book's chapter "Few steps"
has the search, and what they do on problems that were not used.
"""

from __future__ import annotations

import importlib.resources
import json
import math
import numbers
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import ParameterError
from seeds_theory.eta_schedule import Eta
from seeds_theory.grids import rho_grid, uniform_log_snr
from seeds_theory.loop import Callback, require_state
from seeds_theory.solver import Solver
from seeds_theory.sources import NoiseSource

ETAS: dict[str, float | None] = {"best": None, "sde": 1.0, "ode": 0.0}
"""The eta that `few_steps` takes for each kind: the best whatever its noise, noise in every step, none."""

KINDS = tuple(ETAS)
"""Of settings."""


@dataclass(frozen=True)
class Setting:
    r"""A sampler and its grid, for data of width 1.

    Parameters
    ----------
    solver, options : as of `Solver`; a number ``eta`` is among the options.
    steps : of the grid, the last one to noise level 0.
    sigma_max, sigma_min : the first noise level and the last one before 0, over the data's width.
    rho : equal steps in :math:`\sigma^{1/\rho}` between the two; None for equal steps in log-SNR.
    noisy : how many of the first steps have noise; None if all that the sampler has do.
    """

    solver: str
    steps: int
    sigma_max: float
    sigma_min: float
    options: dict[str, Any] = field(default_factory=dict)
    rho: float | None = None
    noisy: int | None = None

    @cached_property
    def sampler(self) -> Solver:
        """The sampler, its eta one for each step where that differs; raises as `Solver` does."""
        solver = Solver(self.solver, self.options)
        if self.noisy is None:
            return solver
        each = [solver.eta] * self.noisy + [0.0] * (self.steps - self.noisy)
        return replace(solver, options={**self.options, "eta": each if any(each) else 0.0})

    @property
    def eta(self) -> Eta:
        """1: the reverse SDE, 0: the ODE; or one for each step."""
        eta: Eta = self.sampler.eta
        return eta

    @property
    def nfe(self) -> int:
        """Number of model calls."""
        return self.sampler.nfe(self.sigmas())

    def within(self, nfe: int) -> Setting:
        """The same with as many steps as these model calls allow.

        Raises
        ------
        ParameterError : two steps take more.
        """
        for steps in range(nfe, 1, -1):
            found = replace(self, steps=steps)
            if steps > (self.noisy or 0) and found.nfe <= nfe:
                return found
        raise ParameterError(f"{self.solver!r} takes more than {nfe} model calls: allow more")

    def sigmas(self, width: float = 1.0, highest: float = math.inf) -> np.ndarray:
        """The grid for data of that width, (steps + 1,), for use with any sampler.

        highest : a bound on the first level, as a network knows none above it; 80 for EDM's.
        """
        require_width(width)
        if not highest > 0:
            raise ParameterError(f"highest is a noise level above 0; got {highest}")
        first = min(float(width) * self.sigma_max, float(highest))
        last = float(width) * self.sigma_min
        if self.rho is None:
            return uniform_log_snr(first, last, self.steps, to_zero=True)
        return rho_grid(first, last, self.steps, rho=self.rho, to_zero=True)

    def __call__(
        self,
        denoiser: Denoiser,
        latents: Tensor,
        width: float,
        noise: NoiseSource | None = None,
        *,
        highest: float = math.inf,
        callback: Callback | None = None,
        progress: bool = False,
    ) -> Tensor:
        """Samples from unit noise.

        Parameters
        ----------
        denoiser, noise, callback, progress : as of `seeds_theory.follow`.
        latents : standard normals ``(batch, *event)``.
        width, highest : as of `sigmas`, in the units of the data.

        Raises
        ------
        ParameterError : the width is not positive and finite, or the latents are not floating point.
        GridError, DenoiserError, NoiseError : as from `seeds_theory.follow`.
        """
        sigmas = self.sigmas(width, highest)
        require_state(latents)
        start = latents * float(sigmas[0])
        return self.sampler(denoiser, start, sigmas, noise, callback=callback, progress=progress)


def require_width(width: float) -> None:
    """A width is positive and finite; raises ParameterError."""
    if not isinstance(width, numbers.Real | Tensor) or not 0 < float(width) < math.inf:
        raise ParameterError(f"the width of the data is positive and finite; got {width!r}")


def settings(file: Path | str | None = None) -> dict[tuple[int, str], Setting]:
    """All settings, by number of model calls and kind, one of `KINDS`.

    file : of `seeds-tune settings`; by default those of the package.

    Raises
    ------
    ParameterError : the file is not there, or holds no settings.
    """
    try:
        text = Path(file).read_text() if file else _packaged()
        return {
            (entry["nfe"], entry["kind"]): Setting(**entry["setting"]) for entry in json.loads(text)
        }
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ParameterError(f"{file} holds no settings: {error}") from None


def _packaged() -> str:
    return (importlib.resources.files("seeds_theory") / "settings.json").read_text()


def kind_of(eta: float | None) -> str:
    """One of `KINDS`: "best" for None, "sde" for 1, "ode" for 0; raises ParameterError for another eta."""
    for kind, value in ETAS.items():
        if eta == value:
            return kind
    raise ParameterError(
        f"settings are for eta = 0 and eta = 1; got {eta!r}: `seeds-tune fit` tunes for any other"
    )


def few_steps(
    nfe: int, *, eta: float | None = None, settings_file: Path | str | None = None
) -> Setting:
    """The setting for a number of model calls: the best known, whatever its noise.

    Between two numbers that settings were found for it has the sampler of the lower one, with as many steps
    as the calls allow; the ends of its grid are between those of the two if both have that sampler.

    Parameters
    ----------
    nfe : the most model calls. Above the largest number tuned for its setting is returned.
    eta : 1 for the SDE, with noise in every step; 0 for the ODE; None for the best, whatever its noise.
    settings_file : of `seeds-tune settings`, instead of the settings of the package.

    Raises
    ------
    ParameterError : nothing was found for so few calls, or for this eta.
    """
    kind, found = kind_of(eta), settings(settings_file)
    counts = sorted(count for count, value in found if value == kind)
    if not counts or not isinstance(nfe, numbers.Real) or not nfe >= counts[0]:
        known = ", ".join(map(str, counts))
        raise ParameterError(
            f"no setting for {nfe} model calls; tuned for {known}: `seeds-tune fit` tunes for fewer"
        )
    calls = int(min(nfe, counts[-1]))
    low = max(count for count in counts if count <= calls)
    high = min(count for count in counts if count >= calls)
    if low == high:
        return found[low, kind]
    part = math.log(calls / low) / math.log(high / low)
    return _between(found[low, kind], found[high, kind], part).within(calls)


def _between(low: Setting, high: Setting, part: float) -> Setting:
    """`low` with the ends of its grid moved a part of the way to those of `high`, if the rest is the same."""
    if replace(high, steps=low.steps, sigma_max=low.sigma_max, sigma_min=low.sigma_min) != low:
        return low
    first, last = (
        math.exp((1 - part) * math.log(a) + part * math.log(b))
        for a, b in ((low.sigma_max, high.sigma_max), (low.sigma_min, high.sigma_min))
    )
    return replace(low, sigma_max=first, sigma_min=last)

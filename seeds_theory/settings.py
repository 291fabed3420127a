r"""Settings for a few model calls: a sampler and a grid, tuned to the exact error on Gaussian data.

At 10 to 40 calls the sizes of errors at long steps decide, not their orders, and the grid matters as much as
the method. All grids here are uniform in log-SNR and end at 0, so that a setting is a sampler, a number of
steps and two noise levels. These are multiples of the *width* of the data, the standard deviation along its
first principal axis: what is rescaled is sampled alike.

The settings are data, in ``settings.json``, made by ``seeds-tune settings``; the book's chapter "Few steps"
has the objective, and what they do on problems that were not used.
"""

from __future__ import annotations

import importlib.resources
import json
import math
import numbers
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import ParameterError
from seeds_theory.grids import uniform_log_snr
from seeds_theory.loop import Callback, require_state
from seeds_theory.solver import Solver
from seeds_theory.sources import NoiseSource


@dataclass(frozen=True)
class Setting:
    """A sampler and its grid, for data of width 1.

    Parameters
    ----------
    solver, options : as of `Solver`; ``eta`` is among the options.
    steps : of the grid, the last one to noise level 0.
    sigma_max, sigma_min : the first noise level and the last one before 0, over the data's width.
    """

    solver: str
    steps: int
    sigma_max: float
    sigma_min: float
    options: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def sampler(self) -> Solver:
        """The sampler; raises as `Solver` does."""
        return Solver(self.solver, self.options)

    @property
    def eta(self) -> float:
        """1: the reverse SDE, 0: the ODE."""
        return self.sampler.eta

    @property
    def nfe(self) -> int:
        """Number of model calls."""
        return self.sampler.nfe(self.sigmas())

    def sigmas(self, width: float = 1.0, highest: float = math.inf) -> np.ndarray:
        """The grid for data of that width, (steps + 1,), for use with any sampler.

        highest : a bound on the first level, as a network knows none above it; 80 for EDM's.
        """
        require_width(width)
        first = min(float(width) * self.sigma_max, float(highest))
        return uniform_log_snr(first, float(width) * self.sigma_min, self.steps, to_zero=True)

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


def settings() -> dict[tuple[int, float], Setting]:
    """All settings, by number of model calls and eta."""
    file = importlib.resources.files("seeds_theory") / "settings.json"
    found = {}
    for entry in json.loads(file.read_text()):
        setting = Setting(**entry["setting"])
        found[entry["nfe"], setting.eta] = setting
    return found


def few_steps(nfe: int, *, eta: float = 1.0) -> Setting:
    """The tuned setting for a number of model calls.

    Parameters
    ----------
    nfe : the most model calls; the largest setting that keeps within is returned.
    eta : 1 for the SDE, 0 for the ODE.

    Raises
    ------
    ParameterError : nothing was tuned for so few calls, or for this eta.
    """
    found = settings()
    if eta not in (0, 1):
        raise ParameterError(
            f"settings are for eta = 0 and eta = 1; got {eta!r}: `seeds-tune fit` tunes for any other"
        )
    counts = sorted(count for count, value in found if value == eta)
    if not isinstance(nfe, numbers.Real) or nfe < counts[0]:
        known = ", ".join(map(str, counts))
        raise ParameterError(
            f"no setting for {nfe} model calls; tuned for {known}: `seeds-tune fit` tunes for fewer"
        )
    within = [count for count in counts if count <= nfe]
    return found[within[-1], eta]

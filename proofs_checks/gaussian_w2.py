r"""The schemes whose exact errors Pierret and Galerne give on Gaussian data: as samplers, and as they say.

All run on the variance-preserving SDE :math:`dx = -\beta_t x\,dt + \sqrt{2\beta_t}\,dW`, from t = 1 back
in equal steps of t, with the score of the model. A scheme is here twice: as a step that calls a denoiser,
which `toy_models.response.probe` runs, and as the published recursion of the variance in an
eigendirection of the data.

Reference: Pierret and Galerne, ICML 2025, arXiv 2405.14250, and the authors' notebook.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import ParameterError, unknown
from seeds_theory.forms import DATA
from seeds_theory.plan import Interval
from seeds_theory.schedule import VariancePreservingLinear
from seeds_theory.sources import NoiseSource

SCHEDULE = VariancePreservingLinear()
"""That of Song et al.; its beta is twice the one in the equation above."""


@dataclass(frozen=True)
class Stretch:
    """A step from the time s down to t."""

    s: float
    t: float

    @property
    def length(self) -> float:
        """The step in time."""
        return self.s - self.t

    @property
    def growth(self) -> float:
        """The integral of beta over the step, log(alpha_t / alpha_s)."""
        return float(np.log(SCHEDULE.alpha(self.t) / SCHEDULE.alpha(self.s)))


def beta(t: float) -> float:
    """The rate at time t."""
    return 0.5 * (SCHEDULE.beta_min + (SCHEDULE.beta_max - SCHEDULE.beta_min) * t)


Score = Callable[[Tensor, float], Tensor]
Step = Callable[[Tensor, Score, Tensor, Stretch], Tensor]
"""State, score, a standard normal and the stretch to the next state."""


def _euler_maruyama(x: Tensor, score: Score, z: Tensor, p: Stretch) -> Tensor:
    rate = p.length * beta(p.s)
    return x + rate * (x + 2 * score(x, p.s)) + math.sqrt(2 * rate) * z


def _exponential_integrator(x: Tensor, score: Score, z: Tensor, p: Stretch) -> Tensor:
    weight = math.expm1(p.growth)
    return x + weight * (x + 2 * score(x, p.s)) + math.sqrt(math.expm1(2 * p.growth)) * z


def _ddpm(x: Tensor, score: Score, z: Tensor, p: Stretch) -> Tensor:
    share = 2 * p.length * beta(p.s)
    return (x + share * score(x, p.s)) / math.sqrt(1 - share) + math.sqrt(share) * z


def _euler(x: Tensor, score: Score, z: Tensor, p: Stretch) -> Tensor:
    return x + p.length * beta(p.s) * (x + score(x, p.s))


def _heun(x: Tensor, score: Score, z: Tensor, p: Stretch) -> Tensor:
    first = beta(p.s) * (x + score(x, p.s))
    ahead = x + p.length * first
    second = beta(p.t) * (ahead + score(ahead, p.t))
    return x + 0.5 * p.length * (first + second)


STEPS: dict[str, Step] = {
    "euler-maruyama": _euler_maruyama,
    "exponential-integrator": _exponential_integrator,
    "ddpm": _ddpm,
    "euler": _euler,
    "heun": _heun,
}
"""The schemes by name; the last two solve the probability-flow ODE, and leave their normal unused."""


def times(steps: int, last: float) -> list[float]:
    """Equal steps from t = 1 to the last time."""
    return [1.0 - (1.0 - last) * k / steps for k in range(steps + 1)]


@dataclass(frozen=True)
class Scheme:
    """A scheme on a grid, as a `toy_models.response.Sampler`: states are those of the frame x / alpha.

    Raises
    ------
    UnknownNameError : there is no such scheme. ParameterError : DDPM's first step takes away more than all.
    """

    name: str
    steps: int
    last: float

    def __post_init__(self) -> None:
        if self.name not in STEPS:
            raise unknown("scheme", self.name, STEPS)
        share = 2 * (1 - self.last) / self.steps * beta(1.0)
        if self.name == "ddpm" and share >= 1:
            raise ParameterError(
                f"DDPM's steps are shorter than 1/{2 * beta(1.0):g} of the time; got {self.steps} of "
                f"{1 - self.last:g}: take more"
            )

    @property
    def levels(self) -> tuple[float, float]:
        """The first and the last noise level."""
        first, last = (float(SCHEDULE.noise_level(t)) for t in (1.0, self.last))
        return first, last

    def __call__(self, denoiser: Denoiser, y: Tensor, noise: NoiseSource) -> Tensor:
        """From states at the first level to states at the last one."""

        def score(x: Tensor, t: float) -> Tensor:
            alpha, sigma = float(SCHEDULE.alpha(t)), float(SCHEDULE.sigma(t))
            return (alpha * denoiser(x / alpha, sigma / alpha) - x) / sigma**2

        grid = times(self.steps, self.last)
        x = y * float(SCHEDULE.alpha(grid[0]))
        for s, t in pairwise(grid):
            before, after = float(SCHEDULE.noise_level(s)), float(SCHEDULE.noise_level(t))
            (z,) = noise((Interval(before, after, DATA, 1.0),), x)
            x = STEPS[self.name](x, score, z, Stretch(s, t))
        return x / float(SCHEDULE.alpha(grid[-1]))


def published_variances(scheme: Scheme, data: Tensor, start: Tensor) -> Tensor:
    """The final variances (d,) of x by the published recursions.

    data : (d,), the eigenvalues of the data's covariance. start : (d,), the variances of x at t = 1.
    """

    def marginal(t: float) -> Tensor:
        square = float(SCHEDULE.alpha(t)) ** 2
        return square * data + (1 - square)

    v = start
    for s, t in pairwise(times(scheme.steps, scheme.last)):
        p, inverse = Stretch(s, t), 1 / marginal(s)
        rate = p.length * beta(s)
        if scheme.name == "euler-maruyama":
            v = (1 + rate * (1 - 2 * inverse)) ** 2 * v + 2 * rate
        elif scheme.name == "exponential-integrator":
            v = (1 + math.expm1(p.growth) * (1 - 2 * inverse)) ** 2 * v + math.expm1(2 * p.growth)
        elif scheme.name == "ddpm":
            v = (1 - 2 * rate * inverse) ** 2 / (1 - 2 * rate) * v + 2 * rate
        elif scheme.name == "euler":
            v = (1 + rate * (1 - inverse)) ** 2 * v
        else:
            first = beta(s) * (1 - inverse)
            second = beta(t) * (1 - 1 / marginal(t)) * (1 + p.length * first)
            v = (1 + 0.5 * p.length * (first + second)) ** 2 * v
    return v


def published_distance(variances: Tensor, data: Tensor) -> float:
    """Their W2 of two centred Gaussians with one eigenbasis, from variances (d,)."""
    return float((variances.sqrt() - data.sqrt()).square().sum().sqrt())


def power_law(count: int = 256, largest: float = 200.0, exponent: float = 1.5) -> Tensor:
    r"""The eigenvalues :math:`200\,k^{-3/2}`, much like those of CIFAR-10, of which the largest is 221."""
    return largest * torch.arange(1, count + 1, dtype=torch.float64) ** -exponent

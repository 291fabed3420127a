r"""Guidance between two Gaussians on the line: its samples' law, exactly.

The class is :math:`N(m, c)`, everything is :math:`N(0, C)`. With :math:`u = \sigma^2` and

.. math:: g(u) = \frac{w}{c + u} + \frac{1 - w}{C + u}

the guided estimate is :math:`D_w = x - u\,g\,x + u\,\frac{w\,m}{c + u}`, linear in the state: along the SDE
mean and variance obey linear equations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from scipy.integrate import quad
from torch import Tensor

from seeds_theory.errors import ParameterError
from seeds_theory.guidance import Guided, guided
from toy_models.gaussian import Gaussian

_DEPTH = 80.0
"""Of the logarithm of an integral: what is nearer to the end is below rounding."""


@dataclass(frozen=True)
class GuidedGaussian:
    """A class led away from everything.

    Parameters
    ----------
    own : variance of the class, c.
    every : variance of everything, C, whose mean is 0.
    scale : of guidance, w.
    mean : of the class, m.

    Raises
    ------
    ParameterError : variances that are not positive, or a scale for which the guided density is none.
    """

    basis: ClassVar[None] = None
    dimension: ClassVar[int] = 1

    own: float
    every: float
    scale: float
    mean: float = 0.0

    def __post_init__(self) -> None:
        if not (self.own > 0 and self.every > 0 and self._rate(0.0) > 0):
            raise ParameterError(
                "two variances are positive, and scale / own + (1 - scale) / every too; got "
                f"{self.own:g}, {self.every:g}, {self.scale:g}"
            )

    @cached_property
    def _denoiser(self) -> Guided:
        return guided(
            Gaussian.scalar(self.own, self.mean), self.scale, against=Gaussian.scalar(self.every)
        )

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """The guided estimate of states (batch, 1)."""
        return self._denoiser(x, sigma)

    @property
    def tilted(self) -> tuple[float, float]:
        """Mean and variance of the density that guidance is named after, p_class^w p^(1 - w), normalised."""
        variance = 1 / self._rate(0.0)
        return variance * self.scale * self.mean / self.own, variance

    def law(
        self, eta: float, start: tuple[float, float], sigma: float, sigma_next: float = 0.0
    ) -> tuple[float, float]:
        """Mean and variance at sigma_next of the SDE's solution (the ODE's at eta = 0), by quadrature.

        Parameters
        ----------
        start : mean and variance at sigma.
        """
        high, low = sigma**2, sigma_next**2
        mean, variance = start
        gain = self._gain(high, low, eta)

        def pull(u: float) -> float:
            return self._gain(u, low, eta) * (1 + eta) / 2 * self.scale * self.mean / (self.own + u)

        def noise(u: float) -> float:
            return eta * self._gain(u, low, eta) ** 2

        return (
            gain * mean + (_integral(pull, low, high) if self.mean else 0.0),
            gain**2 * variance + (_integral(noise, low, high) if eta else 0.0),
        )

    def _rate(self, u: float) -> float:
        return self.scale / (self.own + u) + (1 - self.scale) / (self.every + u)

    def _gain(self, u: float, to: float, eta: float) -> float:
        """The propagator of the SDE from sigma^2 = u to a lower one."""
        own = self.scale * math.log((self.own + to) / (self.own + u))
        every = (1 - self.scale) * math.log((self.every + to) / (self.every + u))
        return math.exp((1 + eta) / 2 * (own + every))


def _integral(function: Callable[[float], float], low: float, high: float) -> float:
    """From low to high, over the logarithm of the distance from low: it has many scales."""
    width = high - low

    def scaled(s: float) -> float:
        return function(low + math.exp(s)) * math.exp(s)

    top = math.log(width)
    found, error = quad(scaled, top - _DEPTH, top, epsabs=0, epsrel=1e-12, limit=400)
    if not error <= 1e-9 * abs(found):
        raise ParameterError(
            f"the law from sigma^2 = {high:g} to {low:g} is not to be had by quadrature"
        )
    return float(found)

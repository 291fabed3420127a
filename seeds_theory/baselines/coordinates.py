r"""Coordinates in which a step of the probability-flow ODE can be taken: a time, and a scale of the states.

With :math:`\sigma(t)` and the scaled state :math:`x = s(t)\,y` the ODE reads

.. math::  \frac{dx}{dt} = \Big(\frac{\sigma'}{\sigma} + \frac{s'}{s}\Big) x
           - \frac{\sigma' s}{\sigma}\, D(x/s;\ \sigma) .

The solution is the same in all of them; the errors of a method are not.

Reference: Karras et al., arXiv 2206.00364, eq. 4 and Table 1.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from seeds_theory.errors import UnknownNameError


class Coordinates(ABC):
    """A time t(sigma), increasing from t(0) = 0, and a scale."""

    scaled: bool = False
    """Whether states are scaled to unit variance at high noise, s = 1 / sqrt(1 + sigma**2)."""

    @abstractmethod
    def time(self, sigma: float) -> float:
        """The time of a noise level."""

    @abstractmethod
    def level(self, t: float) -> float:
        """The noise level of a time."""

    @abstractmethod
    def rate(self, t: float, sigma: float) -> float:
        """The derivative of the noise level, at a time t and its noise level sigma > 0."""

    def scale(self, sigma: float) -> float:
        """s, at a noise level."""
        return 1 / math.sqrt(1 + sigma**2) if self.scaled else 1

    def scale_rate(self, sigma: float, rate: float) -> float:
        """s'/s, at a noise level with that derivative."""
        return -sigma * rate / (1 + sigma**2) if self.scaled else 0


@dataclass(frozen=True)
class NoiseLevel(Coordinates):
    """Time is the noise level itself, as in EDM."""

    scaled: bool = False

    def time(self, sigma: float) -> float:
        """As of the base class."""
        return sigma

    def level(self, t: float) -> float:
        """As of the base class."""
        return t

    def rate(self, t: float, sigma: float) -> float:
        """As of the base class; an integer, as proofs run this on symbols."""
        return 1


@dataclass(frozen=True)
class Variance(Coordinates):
    """Time is the variance of the noise, as in the variance-exploding process of Song et al."""

    scaled: bool = False

    def time(self, sigma: float) -> float:
        """As of the base class."""
        return sigma**2

    def level(self, t: float) -> float:
        """As of the base class."""
        return math.sqrt(t)

    def rate(self, t: float, sigma: float) -> float:
        """As of the base class."""
        return 0.5 / sigma


@dataclass(frozen=True)
class LinearBeta(Coordinates):
    r"""The time of the variance-preserving process with a linear :math:`\beta`.

    :math:`\sigma(t)^2 = e^{\beta_d t^2/2 + \beta_{min} t} - 1`, with the two constants such that
    ``sigma_max`` is reached at t = 1 and ``sigma_min`` at ``t_min``.
    """

    sigma_max: float
    sigma_min: float
    t_min: float = 1e-3
    scaled: bool = True

    @property
    def beta_d(self) -> float:
        """The slope of beta."""
        first, last = math.log1p(self.sigma_max**2), math.log1p(self.sigma_min**2)
        return 2 * (last / self.t_min - first) / (self.t_min - 1)

    @property
    def beta_min(self) -> float:
        """The value of beta at t = 0."""
        return math.log1p(self.sigma_max**2) - self.beta_d / 2

    def time(self, sigma: float) -> float:
        """As of the base class."""
        if sigma == 0:  # where beta_min < 0, as in EDM's own range, a second time has the level 0
            return 0.0
        root = math.sqrt(self.beta_min**2 + 2 * self.beta_d * math.log1p(sigma**2))
        return (root - self.beta_min) / self.beta_d

    def level(self, t: float) -> float:
        """As of the base class."""
        return math.sqrt(math.expm1(0.5 * self.beta_d * t**2 + self.beta_min * t))

    def rate(self, t: float, sigma: float) -> float:
        """As of the base class."""
        return 0.5 * (self.beta_min + self.beta_d * t) * (sigma + 1 / sigma)


def coordinates(name: str | Coordinates, sigmas: Sequence[float], scaled: bool) -> Coordinates:
    """Coordinates by name: "linear" (time is sigma), "ve" (its square) or "vp", for a grid's range.

    Raises
    ------
    UnknownNameError : another name.
    """
    if isinstance(name, Coordinates):
        return name
    if name == "linear":
        return NoiseLevel(scaled)
    if name == "ve":
        return Variance(scaled)
    if name == "vp":
        return LinearBeta(sigmas[0], min(s for s in sigmas if s > 0), scaled=scaled)
    raise UnknownNameError(f"EDM's schedules are 'linear', 've' and 'vp'; got {name!r}")

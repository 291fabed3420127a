r"""Noise schedules :math:`x_t = \alpha_t x_0 + \sigma_t \varepsilon`, with noise level :math:`\sigma/\alpha`.

Solvers live in the frame y = x / alpha, where the noise level is the only coordinate; a schedule is
needed only to make a grid, and to talk to a network in the coordinates it was trained in.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from seeds_theory.errors import ParameterError

Array = Any
"""A float or a numpy array: schedules work elementwise and return what they are given."""


def preserving_alpha(level: float) -> float:
    """Alpha at a noise level sigma/alpha of any variance-preserving schedule."""
    return 1.0 / math.hypot(1.0, level)


def flow_alpha(level: float) -> float:
    """Alpha at a noise level sigma/alpha of rectified flow."""
    return 1.0 / (1.0 + level)


class Schedule(ABC):
    """alpha, sigma, the noise level and its inverse, as functions of the schedule's own time."""

    t_min: float = 0.0
    t_max: float = 1.0

    @abstractmethod
    def alpha(self, t: Array) -> Array:
        """The signal coefficient at time t."""

    @abstractmethod
    def sigma(self, t: Array) -> Array:
        """The noise coefficient at time t."""

    @abstractmethod
    def time(self, level: Array) -> Array:
        """The time at which the noise level sigma/alpha has this value; infinity is a value."""

    def noise_level(self, t: Array) -> Array:
        """sigma/alpha at time t; infinite where alpha is 0."""
        with np.errstate(divide="ignore"):
            return np.divide(self.sigma(t), self.alpha(t))

    @property
    def highest_level(self) -> float:
        """The supremum of the noise levels that have a time, an infinite last one apart."""
        return float(self.noise_level(self.t_max))

    def log_snr(self, t: Array) -> Array:
        """Lambda = log(alpha/sigma) at time t: half the log of the signal-to-noise ratio."""
        with np.errstate(divide="ignore"):
            return -np.log(self.noise_level(t))


@dataclass(frozen=True)
class VarianceExploding(Schedule):
    """alpha = 1, sigma = t: EDM's schedule, in which time is the noise level."""

    t_max: float = math.inf

    def alpha(self, t: Array) -> Array:  # noqa: D102
        return np.ones_like(t, dtype=float) if np.ndim(t) else 1.0

    def sigma(self, t: Array) -> Array:  # noqa: D102
        return t

    def time(self, level: Array) -> Array:  # noqa: D102
        return level


@dataclass(frozen=True)
class VariancePreservingLinear(Schedule):
    r"""Linear beta (Song et al. 2021), or a constant one.

    :math:`\alpha_t = \exp(-\tfrac14 (\beta_1-\beta_0) t^2 - \tfrac12 \beta_0 t)`.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        if not (0 <= self.beta_min <= self.beta_max < math.inf and self.beta_max > 0):
            raise ParameterError(
                "a linear schedule needs 0 <= beta_min <= beta_max, and beta_max > 0; got "
                f"{self.beta_min}, {self.beta_max}"
            )

    def _integral(self, t: Array) -> Array:
        return 0.5 * (self.beta_max - self.beta_min) * t * t + self.beta_min * t

    def alpha(self, t: Array) -> Array:  # noqa: D102
        return np.exp(-0.5 * self._integral(t))

    def sigma(self, t: Array) -> Array:  # noqa: D102
        return np.sqrt(-np.expm1(-self._integral(t)))

    def noise_level(self, t: Array) -> Array:  # noqa: D102
        return np.sqrt(np.expm1(self._integral(t)))

    def time(self, level: Array) -> Array:  # noqa: D102
        integral = np.log1p(np.square(level))
        slope = self.beta_max - self.beta_min
        # The positive root without cancellation at small times; the level is infinite at t = inf.
        with np.errstate(invalid="ignore"):
            root = np.sqrt(self.beta_min**2 + 2 * slope * integral)
            return np.where(np.isinf(level), np.inf, 2 * integral / (self.beta_min + root))[()]


@dataclass(frozen=True)
class VariancePreservingCosine(Schedule):
    r"""The cosine schedule (Nichol and Dhariwal 2021).

    :math:`\alpha_t = \cos a_t / \cos a_0` with :math:`a_t = \frac{\pi}{2}\frac{t+o}{1+o}`. At t = 1
    alpha is 0 and the noise level infinite.
    """

    offset: float = 0.008

    def __post_init__(self) -> None:
        if not 0 <= self.offset < math.inf:
            raise ParameterError(
                f"the cosine schedule's offset is finite and >= 0; got {self.offset}"
            )

    def _angle(self, t: Array) -> Array:
        return 0.5 * math.pi * (t + self.offset) / (1 + self.offset)

    def alpha(self, t: Array) -> Array:  # noqa: D102
        # The complementary angle: exactly 0 at t = 1, and no cancellation before.
        remaining = 0.5 * math.pi * (1 - t) / (1 + self.offset)
        return np.sin(remaining) / math.cos(self._angle(0.0))

    def sigma(self, t: Array) -> Array:  # noqa: D102
        end, start = self._angle(t), self._angle(0.0)
        step = 0.5 * math.pi * t / (1 + self.offset)
        return np.sqrt(np.sin(step) * np.sin(end + start)) / math.cos(start)

    def time(self, level: Array) -> Array:  # noqa: D102
        # 1/(1 + level^2) = alpha^2 = cos^2(a_t)/cos^2(a_0); by the tangent, accurate at both ends.
        start = self._angle(0.0)
        square = np.square(level)
        with np.errstate(invalid="ignore"):
            tangent_sq = (square + math.sin(start) ** 2) / math.cos(start) ** 2
        angle = np.arctan(np.sqrt(tangent_sq))
        return np.clip((angle - start) * 2 * (1 + self.offset) / math.pi, 0.0, 1.0)


@dataclass(frozen=True)
class RectifiedFlow(Schedule):
    """alpha = 1 - t, sigma = t: flow matching on straight paths (Liu et al. 2022); t = 1 is pure noise."""

    def alpha(self, t: Array) -> Array:  # noqa: D102
        return 1.0 - t

    def sigma(self, t: Array) -> Array:  # noqa: D102
        return t

    def time(self, level: Array) -> Array:  # noqa: D102
        with np.errstate(divide="ignore"):
            return 1.0 / (1.0 + np.divide(1.0, level))


@dataclass(frozen=True)
class DiscreteSchedule(Schedule):
    r"""A table of :math:`\bar\alpha_i = \alpha_i^2`, for networks with integer timesteps.

    Between table entries the log of the noise level is interpolated linearly in the index; the last
    entry may be 0 (zero terminal SNR), where the noise level is infinite.

    Parameters
    ----------
    alphas_cumprod : strictly decreasing, in (0, 1), the last may be 0; index is time.
    """

    alphas_cumprod: Sequence[float]

    def __post_init__(self) -> None:
        try:
            table = np.asarray(self.alphas_cumprod, dtype=np.float64)
        except (TypeError, ValueError):
            table = np.empty(0)
        decreasing = table.ndim == 1 and len(table) > 1 and bool((np.diff(table) < 0).all())
        if not (decreasing and table[0] < 1 and table[-1] >= 0):
            raise ParameterError(
                "alphas_cumprod is a strictly decreasing table of 2 or more values in (0, 1), the "
                f"last possibly 0; got {self._offence(table)}"
            )
        object.__setattr__(self, "alphas_cumprod", tuple(table.tolist()))

    def _offence(self, table: np.ndarray) -> str:
        if table.ndim != 1:
            return f"shape {table.shape}"
        if len(table) < 2:
            return (
                f"{len(table)} values"
                if len(table) == len(self.alphas_cumprod)
                else repr(self.alphas_cumprod)
            )
        bad = ~((table >= 0) & (table < 1))
        bad[1:] |= ~(table[1:] < table[:-1])
        return f"{table[bad.argmax()]} at index {bad.argmax()}"

    @property
    def t_max(self) -> float:  # type: ignore[override]
        """The last index."""
        return float(len(self.alphas_cumprod) - 1)

    @cached_property
    def _log_levels(self) -> np.ndarray:
        table = np.asarray(self.alphas_cumprod)
        with np.errstate(divide="ignore"):
            return 0.5 * (np.log1p(-table) - np.log(table))

    @property
    def highest_level(self) -> float:
        """The last finite noise level of the table."""
        return float(np.exp(self._log_levels[np.isfinite(self._log_levels)][-1]))

    def noise_level(self, t: Array) -> Array:  # noqa: D102
        indices = np.arange(len(self._log_levels))
        finite = np.isfinite(self._log_levels)
        level = np.exp(np.interp(t, indices[finite], self._log_levels[finite]))
        return np.where(np.asarray(t) > indices[finite][-1], np.inf, level)[()]

    def alpha(self, t: Array) -> Array:  # noqa: D102
        return 1.0 / np.sqrt(1.0 + np.square(self.noise_level(t)))

    def sigma(self, t: Array) -> Array:  # noqa: D102
        with np.errstate(divide="ignore"):
            return 1.0 / np.sqrt(1.0 + 1.0 / np.square(self.noise_level(t)))

    def time(self, level: Array) -> Array:  # noqa: D102
        with np.errstate(divide="ignore"):
            log = np.log(level)
        finite = np.isfinite(self._log_levels)
        inside = np.interp(log, self._log_levels[finite], np.arange(finite.sum(), dtype=float))
        return np.where(np.isinf(level), self.t_max, inside)[()]

"""The coordinates of the two kinds of network that are served: samples, timesteps and sigmas.

Samples are variance-preserving, and a timestep is an index of a table of betas (`Table`); or they are of
rectified flow, and a timestep counts its time t (`Flow`). Users and pipelines write grids as *sigmas*: the
noise level sigma/alpha for the first kind, t for the second. All else here is in noise levels, as
everywhere in this library.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from seeds_theory.diffusers.training import alphas_cumprod, betas
from seeds_theory.errors import GridError, ParameterError
from seeds_theory.schedule import (
    DiscreteSchedule,
    RectifiedFlow,
    Schedule,
    flow_alpha,
    preserving_alpha,
)

_ROUNDED = 1e-3
"""Published lists of sigmas are rounded: their first may lie this much above the schedule's last."""


class Coordinates(ABC):
    """How a kind of network counts."""

    schedule: Schedule
    timesteps_per_time: float
    timestep_range: tuple[float, float]

    @property
    @abstractmethod
    def alpha(self) -> Callable[[float], float]:
        """Of a sample alpha y, as a function of the noise level."""

    @abstractmethod
    def levels(self, sigmas: np.ndarray) -> np.ndarray:
        """The noise levels of sigmas."""

    @abstractmethod
    def sigmas(self, levels: np.ndarray) -> np.ndarray:
        """The sigmas of noise levels."""

    @property
    @abstractmethod
    def sigma_range(self) -> tuple[float, float]:
        """The lowest and the highest sigma of the schedule, an infinite one apart."""

    @abstractmethod
    def even_starts(self, steps: int, spacing: str, offset: int, *, to_zero: bool) -> np.ndarray:
        """The sigmas at which steps that are even in time start."""

    def coefficients(self, level: float) -> tuple[float, float]:
        """Alpha and sigma of a sample alpha x_0 + sigma eps at this noise level."""
        alpha = self.alpha(level)
        return alpha, alpha * level if math.isfinite(level) else 1.0

    def unshifted(self, level: float) -> float:
        """The timestep at a noise level if there were no shift of the grid."""
        return self.timestep(level)

    def timestep(self, level: float) -> float:
        """What the network is told at a noise level; beyond the schedule, its nearest timestep."""
        return float(self.schedule.time(level)) * self.timesteps_per_time

    def level(self, timestep: float) -> float:
        """The noise level at a timestep.

        Raises
        ------
        GridError : the schedule has no such timestep.
        """
        low, high = self.timestep_range
        if not low <= timestep <= high:
            raise GridError(
                f"timesteps of this schedule lie between {low:g} and {high:g}; got {timestep:g}"
            )
        return float(self.schedule.noise_level(timestep / self.timesteps_per_time))


@dataclass(frozen=True)
class Table(Coordinates):
    """A variance-preserving network with a table of alphas_cumprod; a sigma is a noise level."""

    schedule: DiscreteSchedule
    timesteps_per_time: float = field(default=1.0, init=False)

    @property
    def timestep_range(self) -> tuple[float, float]:  # type: ignore[override]  # noqa: D102
        return 0.0, self.schedule.t_max

    @property
    def alpha(self) -> Callable[[float], float]:  # noqa: D102
        return preserving_alpha

    def levels(self, sigmas: np.ndarray) -> np.ndarray:  # noqa: D102
        highest = self.schedule.noise_level(self.schedule.t_max)
        if sigmas[0] > highest * (1 + _ROUNDED):
            raise GridError(
                f"sigmas of this schedule end at {highest:g}; got {sigmas[0]:g}: start the grid there"
            )
        return sigmas

    def sigmas(self, levels: np.ndarray) -> np.ndarray:  # noqa: D102
        return levels

    @property
    def sigma_range(self) -> tuple[float, float]:  # noqa: D102
        return float(self.schedule.noise_level(0.0)), self.schedule.highest_level

    def even_starts(  # noqa: D102
        self, steps: int, spacing: str, offset: int, *, to_zero: bool
    ) -> np.ndarray:
        last = self.schedule.t_max
        count = int(last) + 1
        timesteps: np.ndarray
        if spacing == "linspace":
            timesteps = np.linspace(0, last, steps + 1).round()[::-1][:-1]
        elif spacing == "leading":
            timesteps = np.arange(steps, 0, -1) * (count // (steps + 1)) + offset
            timesteps = np.minimum(timesteps, last)
        else:
            timesteps = np.arange(count, 0, -count / steps)[:steps].round() - 1
        if len(np.unique(timesteps)) < steps or (timesteps[-1] <= 0 and not to_zero):
            # More steps than whole timesteps, or none left for the last: equal ones between these.
            timesteps = np.linspace(0, last, steps + 1)[:0:-1]
        return np.array([self.level(timestep) for timestep in timesteps.tolist()])


@dataclass(frozen=True)
class Flow(Coordinates):
    """A network of rectified flow; a sigma is a time t, and a timestep t times their number.

    shift : s, of the map s t / (1 + (s - 1) t) that every grid takes.
    terminal : where the last of a grid's steps starts after it, if not None: 1 - t is scaled to end there.
    """

    timesteps_per_time: float
    shift: float = 1.0
    terminal: float | None = None
    schedule: RectifiedFlow = field(default_factory=RectifiedFlow, init=False)

    def __post_init__(self) -> None:
        if not 0 < self.shift < math.inf:
            raise ParameterError(
                f"a shift of flow times is positive and finite; got {self.shift!r}: 1 leaves them"
            )
        if self.terminal is not None and not 0 < self.terminal < 1:
            raise ParameterError(
                f"shift_terminal is a time between 0 and 1; got {self.terminal!r}: None leaves the grid"
            )

    @property
    def timestep_range(self) -> tuple[float, float]:  # type: ignore[override]  # noqa: D102
        return 0.0, self.timesteps_per_time

    def shifted(self, times: np.ndarray) -> np.ndarray:
        """Times after the shift."""
        return self.shift * times / (1 + (self.shift - 1) * times)

    def unshifted(self, level: float) -> float:  # noqa: D102
        time = float(self.schedule.time(level))
        return self.timesteps_per_time * time / (self.shift - (self.shift - 1) * time)

    def starts(self, times: np.ndarray) -> np.ndarray:
        """Where the steps of a grid start that is written with these times: after shift and scaling."""
        shifted = self.shifted(times)
        if self.terminal is None or shifted[-1] == 1:  # one step from 1 stays there
            return shifted
        return 1 - (1 - shifted) * ((1 - self.terminal) / (1 - shifted[-1]))

    @property
    def alpha(self) -> Callable[[float], float]:  # noqa: D102
        return flow_alpha

    def levels(self, sigmas: np.ndarray) -> np.ndarray:  # noqa: D102
        if sigmas[0] > 1 + _ROUNDED:
            raise GridError(f"sigmas of a flow are times in [0, 1]; got {sigmas[0]:g}")
        return self.schedule.noise_level(np.minimum(sigmas, 1.0))

    def sigmas(self, levels: np.ndarray) -> np.ndarray:  # noqa: D102
        return self.schedule.time(levels)

    @property
    def sigma_range(self) -> tuple[float, float]:  # noqa: D102
        return float(self.shifted(np.array(1 / self.timesteps_per_time))), 1.0

    def even_starts(  # noqa: D102
        self, steps: int, spacing: str, offset: int, *, to_zero: bool
    ) -> np.ndarray:
        end = 0.0 if to_zero else 1 / self.timesteps_per_time
        return self.starts(np.linspace(1.0, end, steps + 1)[:-1])


class Trained(Protocol):
    """The settings of a scheduler that say what its network was trained on."""

    num_train_timesteps: int
    beta_start: float
    beta_end: float
    beta_schedule: str
    trained_betas: Sequence[float] | np.ndarray | None
    rescale_betas_zero_snr: bool
    snr_shift_scale: float
    use_flow_sigmas: bool
    flow_shift: float
    shift_terminal: float | None


def coordinates_of(trained: Trained) -> Coordinates:
    """The coordinates of a network that was trained so.

    Raises
    ------
    ParameterError, UnknownNameError : there is no such schedule.
    """
    count = trained.num_train_timesteps
    if trained.use_flow_sigmas:
        return Flow(count, trained.flow_shift, trained.shift_terminal or None)
    if trained.trained_betas is None:
        table = betas(count, trained.beta_start, trained.beta_end, trained.beta_schedule)
    else:
        table = np.asarray(trained.trained_betas, dtype=np.float64)
    shift = trained.snr_shift_scale
    if not 0 < shift < math.inf:
        raise ParameterError(
            f"snr_shift_scale is positive and finite; got {shift!r}: 1 leaves the schedule"
        )
    products = alphas_cumprod(table, zero_snr=trained.rescale_betas_zero_snr, snr_shift=shift)
    return Table(DiscreteSchedule(products.tolist()))

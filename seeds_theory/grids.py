r"""Grids of noise levels :math:`\sigma/\alpha`, descending: a grid of N steps has N + 1 points.

With ``to_zero=True`` the last point is 0 and the remaining N points span sigma_max to sigma_min, as in
EDM and k-diffusion; otherwise the grid ends at sigma_min.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence

import numpy as np

from seeds_theory.errors import GridError, ParameterError
from seeds_theory.extras import optional_imports
from seeds_theory.schedule import Schedule

_MOST_STEPS = 100_000  # a plan keeps numbers for each


def uniform_log_snr(
    sigma_max: float, sigma_min: float, steps: int, *, to_zero: bool = False
) -> np.ndarray:
    """Equal steps in the log-SNR: a geometric sequence of noise levels."""
    _require_range(sigma_max, sigma_min)
    return _grid(lambda u: np.geomspace(sigma_max, sigma_min, len(u)), steps, to_zero)


def rho_grid(
    sigma_max: float, sigma_min: float, steps: int, *, rho: float = 7.0, to_zero: bool = False
) -> np.ndarray:
    r"""EDM's grid: equal steps in :math:`\sigma^{1/\rho}` (Karras et al. 2022, eq. 5)."""
    _require_range(sigma_max, sigma_min)
    if not 0 < rho < np.inf:
        raise ParameterError(f"rho is positive and finite; got {rho}: EDM uses 7")
    try:
        first, last = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    except (OverflowError, ZeroDivisionError):  # 1 / rho is infinite below 1e-308
        first = math.inf
    if not math.isfinite(first):
        raise ParameterError(
            f"rho = {rho:g} is too small for sigma_max = {sigma_max:g}: EDM uses 7"
        )
    return _grid(lambda u: (first + u * (last - first)) ** rho, steps, to_zero)


def beta_grid(
    sigma_max: float,
    sigma_min: float,
    steps: int,
    *,
    a: float = 0.6,
    b: float = 0.6,
    to_zero: bool = False,
) -> np.ndarray:
    """Levels at equal probabilities of a beta distribution, over the range (Lee et al. 2024, 2407.12173).

    a, b : its parameters; below 1 they put more levels near both ends.

    Raises
    ------
    LibraryError : scipy is not installed.
    """
    with optional_imports():
        from scipy.special import betaincinv

    _require_range(sigma_max, sigma_min)
    if not (0 < a < np.inf and 0 < b < np.inf):
        raise ParameterError(f"a and b are positive and finite; got {a} and {b}: 0.6 is usual")
    length = sigma_max - sigma_min
    return _grid(lambda u: sigma_min + length * betaincinv(a, b, 1 - u), steps, to_zero)


def time_grid(
    schedule: Schedule,
    steps: int,
    *,
    t_max: float | None = None,
    t_min: float = 1e-3,
    to_zero: bool = False,
) -> np.ndarray:
    """Equal steps in a schedule's own time, from t_max (default: its last time) to t_min.

    The first noise level is infinite where the schedule reaches alpha = 0.
    """
    if not isinstance(schedule, Schedule):
        raise ParameterError(
            f"a time grid starts with a schedule, as RectifiedFlow(); got {schedule!r}"
        )
    start = schedule.t_max if t_max is None else t_max
    if not schedule.t_min <= t_min < start <= schedule.t_max or np.isinf(start):
        raise GridError(
            f"times of this schedule satisfy {schedule.t_min:g} <= t_min < t_max <= "
            f"{schedule.t_max:g}; got t_min = {t_min}, t_max = {start}"
        )
    return _grid(lambda u: schedule.noise_level(start + u * (t_min - start)), steps, to_zero)


def _grid(levels: Callable[[np.ndarray], np.ndarray], steps: int, to_zero: bool) -> np.ndarray:
    least = 2 if to_zero else 1
    if not isinstance(steps, numbers.Real) or steps % 1 != 0 or steps < least:
        raise GridError(f"a grid needs a whole number of steps, {least} or more; got {steps!r}")
    if steps > _MOST_STEPS:
        raise GridError(f"a grid has at most {_MOST_STEPS} steps; got {steps!r}")
    points = int(steps) if to_zero else int(steps) + 1
    sigmas = levels(np.linspace(0.0, 1.0, points))
    return np.append(sigmas, 0.0) if to_zero else sigmas


def _require_range(sigma_max: float, sigma_min: float) -> None:
    levels = (sigma_max, sigma_min)
    real = all(isinstance(level, numbers.Real) for level in levels)
    if not real or not 0 < sigma_min < sigma_max < np.inf:
        raise GridError(
            f"a grid needs 0 < sigma_min < sigma_max < inf; got sigma_min = {sigma_min!r}, "
            f"sigma_max = {sigma_max!r}"
        )


def require_grid(
    sigmas: Sequence[float] | np.ndarray, *, repeats: bool = False, rises: bool = False
) -> np.ndarray:
    """The grid as float64, after checks.

    repeats : a level > 0 may come several times. rises : levels > 0 may go up, the last to infinity.

    Raises
    ------
    GridError : fewer than 2 points, NaN, negative, or not descending.
    """
    try:
        given = np.asarray(sigmas)
    except (TypeError, ValueError, RuntimeError):  # ragged rows, bfloat16 or CUDA tensors
        given = np.empty(0, dtype=object)
    if given.dtype.kind not in "fiu":
        raise GridError(f"a grid is a sequence of noise levels; got {sigmas!r}")
    grid = given.astype(np.float64)
    if grid.ndim != 1 or len(grid) < 2:
        raise GridError(
            f"a grid is a one-dimensional sequence of 2 or more noise levels; got shape {grid.shape}"
        )
    if np.isnan(grid).any():
        raise GridError(f"noise levels are numbers; got NaN at index {np.isnan(grid).argmax()}")
    if (grid < 0).any():
        raise GridError(f"noise levels are >= 0; got {grid.min()} at index {grid.argmin()}")
    extreme = (grid > 0) & np.isfinite(grid) & ((grid < 1e-100) | (grid > 1e100))
    if extreme.any():
        raise GridError(
            f"finite noise levels lie between 1e-100 and 1e100; got {grid[extreme][0]:g}: "
            "use 0 and infinity for the ends"
        )
    # Not np.diff: inf - inf is nan, and two infinite levels must be caught here as well.
    start, end = grid[:-1], grid[1:]
    again = (end == start) & np.isfinite(end) & (end > 0)
    up = (end > start) & (start > 0) & (np.isfinite(end) | (np.arange(len(end)) == len(end) - 1))
    stuck = ~((end < start) | (again & repeats) | (up & rises))
    if stuck.any():
        i = int(stuck.argmax())
        raise GridError(
            f"noise levels descend strictly; got {start[i]:g} then {end[i]:g} at index {i + 1}: "
            "reverse the grid or drop repeated points"
        )
    return grid

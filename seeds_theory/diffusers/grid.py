"""The grid of a run: the noise levels at which its steps start, from the settings or from a pipeline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from torch import Tensor

from seeds_theory.diffusers.coordinates import Coordinates, Flow
from seeds_theory.errors import GridError, ParameterError
from seeds_theory.grids import beta_grid, require_grid, rho_grid, uniform_log_snr

Numbers = Sequence[float] | np.ndarray | Tensor

SPACED = ("use_karras_sigmas", "use_exponential_sigmas", "use_lu_lambdas", "use_beta_sigmas")
"""Settings that make steps equal in a function of sigma."""

_SINGLE = 1e-6
"""Relative difference of levels that may be one, as pipelines hand them on in single precision."""


class Spacing(Protocol):
    """The settings of a scheduler that say where steps start and where the last one ends."""

    num_train_timesteps: int
    timestep_spacing: str
    steps_offset: int
    use_karras_sigmas: bool
    use_exponential_sigmas: bool
    use_beta_sigmas: bool
    use_lu_lambdas: bool
    use_dynamic_shifting: bool
    time_shift_type: str
    final_sigmas_type: str
    sigma_min: float | None
    sigma_max: float | None
    rho: float


def step_levels(
    coordinates: Coordinates,
    spacing: Spacing,
    steps: int | None = None,
    sigmas: Numbers | None = None,
    timesteps: Numbers | None = None,
    mu: float | None = None,
) -> np.ndarray:
    """The noise levels at which steps start, and the one at which the last of them ends.

    Parameters
    ----------
    coordinates, spacing : the network's, and the scheduler's settings.
    steps : their number; not needed with a list.
    sigmas, timesteps : where steps start, instead; of both, sigmas.
    mu : the shift of a flow's times, where the settings leave it to the pipeline.

    Raises
    ------
    GridError, ParameterError : no grid, or one that the schedule does not reach.
    """
    coordinates = _shifted(coordinates, spacing, mu)
    if sigmas is None and timesteps is None:
        starts_and_end = _own(coordinates, spacing, steps)
    else:
        starts_and_end = _given(coordinates, spacing, sigmas, timesteps)
    grid = require_grid(coordinates.levels(starts_and_end))
    if steps is not None and steps != len(grid) - 1:
        raise ParameterError(
            f"the given grid has {len(grid) - 1} steps; got num_inference_steps = {steps}: leave one "
            "of the two out"
        )
    return grid


def told_timesteps(
    coordinates: Coordinates,
    spacing: Spacing,
    grid: np.ndarray,
    levels: Sequence[float],
    sigmas: Numbers | None = None,
    timesteps: Numbers | None = None,
    mu: float | None = None,
) -> list[float]:
    """What the network is told at these levels: their timesteps, unless a pipeline gives others with sigmas.

    Then it is told these where steps start, and between them in proportion to the time before the shift.

    grid : where steps start, and the end.

    Raises
    ------
    GridError : not as many timesteps as sigmas, or they do not descend with them.
    """
    if sigmas is None or timesteps is None:
        return [coordinates.timestep(level) for level in levels]
    coordinates, given = _shifted(coordinates, spacing, mu), _row(timesteps)
    if len(given) != len(_row(sigmas)) or (np.diff(given) >= 0).any():
        raise GridError(
            "timesteps that are given with sigmas are as many, and descend; got "
            f"{len(_row(sigmas))} sigmas and {timesteps!r}: leave the timesteps out"
        )
    starts = [coordinates.unshifted(level) for level in grid[: len(given)].tolist()]
    places = [coordinates.unshifted(level) for level in levels]
    found: list[float] = np.interp(places, starts[::-1], given[::-1]).tolist()
    return found


def _shifted(coordinates: Coordinates, spacing: Spacing, mu: float | None) -> Coordinates:
    """The coordinates with the shift that a pipeline gives."""
    if not (isinstance(coordinates, Flow) and spacing.use_dynamic_shifting):
        return coordinates
    if mu is None:
        raise ParameterError(
            "use_dynamic_shifting takes the shift from set_timesteps(..., mu=...), which pipelines "
            "give: give it, or a flow_shift with use_dynamic_shifting=False"
        )
    return replace(
        coordinates, shift=math.exp(mu) if spacing.time_shift_type == "exponential" else mu
    )


def _spaced(spacing: Spacing) -> bool:
    """Whether steps are equal in a function of sigma, and not in time."""
    return any(getattr(spacing, name) for name in SPACED)


def _own(coordinates: Coordinates, spacing: Spacing, steps: int | None) -> np.ndarray:
    """The sigmas of the grid of that many steps which the settings describe."""
    if steps is None or steps < 1 or steps % 1 != 0:
        raise ParameterError(f"a grid has a whole number of steps, 1 or more; got {steps!r}")
    to_zero = spacing.final_sigmas_type == "zero"
    if _spaced(spacing):
        lowest, highest = coordinates.sigma_range
        lowest, highest = spacing.sigma_min or lowest, spacing.sigma_max or highest
        if to_zero and steps == 1:
            return np.array([highest, 0.0])
        if spacing.use_karras_sigmas:
            return rho_grid(highest, lowest, steps, rho=spacing.rho, to_zero=to_zero)
        if spacing.use_beta_sigmas:
            return beta_grid(highest, lowest, steps, to_zero=to_zero)
        return uniform_log_snr(highest, lowest, steps, to_zero=to_zero)
    starts = coordinates.even_starts(
        steps, spacing.timestep_spacing, spacing.steps_offset, to_zero=to_zero
    )
    return _ended(coordinates, spacing, starts)


def _given(
    coordinates: Coordinates,
    spacing: Spacing,
    sigmas: Numbers | None,
    timesteps: Numbers | None,
) -> np.ndarray:
    """The sigmas of a grid whose steps start where the lists say."""
    if _spaced(spacing):
        raise ParameterError(
            "sigmas or timesteps are a grid of their own: give them with "
            + ", ".join(f"{name}=False" for name in SPACED)
        )
    if sigmas is None:
        told = _row(timesteps).tolist()
        starts = coordinates.sigmas(np.array([coordinates.level(timestep) for timestep in told]))
    else:
        starts = _row(sigmas)
        if isinstance(coordinates, Flow):
            starts = coordinates.starts(starts)
    return _ended(coordinates, spacing, starts)


def _ended(coordinates: Coordinates, spacing: Spacing, starts: np.ndarray) -> np.ndarray:
    """With the end of the last step, unless that is there already, in single precision."""
    end = 0.0 if spacing.final_sigmas_type == "zero" else coordinates.sigma_range[0]
    return starts if starts[-1] <= end * (1 + _SINGLE) else np.append(starts, end)


def _row(values: Numbers | None) -> np.ndarray:
    listed = values.tolist() if isinstance(values, Tensor) else values
    try:
        row = np.array(listed, dtype=np.float64)
    except (TypeError, ValueError):
        row = np.empty((0, 0))
    if row.ndim != 1 or not len(row):
        raise GridError(f"sigmas and timesteps are lists of numbers; got {values!r}")
    return row

"""One Brownian motion for the runs of many samplers: what they end at differs by the samplers alone.

`gpu_runs.generation.sampler.ImageSampler` draws the noise of each step by itself, which is all that images
need. To compare samplers with a fine solution, seed by seed, their noise has to come from one path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from seeds_theory.brownian import BrownianPath, distinct_levels
from seeds_theory.eta_schedule import require_eta
from seeds_theory.plan import Interval
from seeds_theory.solver import Solver
from seeds_theory.sources import SeededNoise
from toy_models.response import asked_intervals


def _asked(solver: Solver, sigmas: Sequence[float] | np.ndarray) -> tuple[Interval, ...]:
    """All that a run of a solver on that grid asks of its noise source, in time order."""
    return asked_intervals(lambda D, x, noise: solver(D, x, sigmas, noise))


PARTS = 4
"""Into how many parts, equal in log-SNR, each stretch of a fine run is cut."""


def levels_of(solver: Solver, sigmas: Sequence[float] | np.ndarray) -> tuple[float, ...]:
    """The levels of the Brownian motion of a fine run, descending; none for one without noise.

    They are those between which the run asks for noise, and `PARTS` - 1 between any two of them. Between two
    levels, a run whose grid has other points draws noise of its own: with the levels of the fine run alone
    that would make more of a difference than the error of a good sampler.
    """
    intervals = _asked(solver, sigmas)
    if not intervals:
        return ()
    ends = distinct_levels(level for i in intervals for level in (i.sigma, i.sigma_next))
    places = np.arange(PARTS * (len(ends) - 1) + 1) / PARTS
    return tuple(np.exp(np.interp(places, np.arange(len(ends)), np.log(ends))).tolist())


@dataclass(frozen=True)
class SharedPath:
    """The noise of a run, from the Brownian motion that others of the same levels and eta have.

    levels : between which the motion is common. intervals : what the run asks for.
    """

    levels: tuple[float, ...]
    intervals: tuple[Interval, ...]

    @classmethod
    def of(
        cls, levels: Sequence[float], solver: Solver, sigmas: Sequence[float] | np.ndarray
    ) -> SharedPath | None:
        """That of a solver's run; None if it does not follow one path of its eta within these levels."""
        asked = _asked(solver, sigmas) if levels else ()
        eta = require_eta(solver.eta)
        on_path = all(
            interval.path == 0
            and interval.eta == eta
            and _within(levels, interval)
            and not any(form.parameter for form, _, _ in interval.parts)
            for interval in asked
        )
        return cls(tuple(levels), asked) if asked and on_path else None

    def source(self, noise: SeededNoise, like: Tensor) -> BrownianPath:
        """The noise for the states `like` of these seeds; the path has single precision."""
        return BrownianPath.refining(self.levels, self.intervals, like.float(), noise)


_ROUNDING = 1e-9


def _within(levels: Sequence[float], interval: Interval) -> bool:
    low, high = levels[-1] * (1 - _ROUNDING), levels[0] * (1 + _ROUNDING)
    return low <= interval.sigma_next < interval.sigma <= high

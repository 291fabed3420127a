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
from seeds_theory.plan import Interval
from seeds_theory.solver import Solver
from seeds_theory.sources import SeededNoise
from toy_models.response import asked_intervals


def _asked(solver: Solver, sigmas: Sequence[float] | np.ndarray) -> tuple[Interval, ...]:
    """All that a run of a solver on that grid asks of its noise source, in time order."""
    return asked_intervals(lambda D, x, noise: solver(D, x, sigmas, noise))


def levels_of(solver: Solver, sigmas: Sequence[float] | np.ndarray) -> tuple[float, ...]:
    """The noise levels between which a run asks for noise, descending; none for one without noise."""
    intervals = _asked(solver, sigmas)
    ends = (level for i in intervals for level in (i.sigma, i.sigma_next))
    return tuple(distinct_levels(ends).tolist()) if intervals else ()


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
        on_path = all(
            interval.path == 0
            and interval.eta == solver.eta
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

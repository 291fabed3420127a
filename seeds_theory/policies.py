r"""Published samplers of reinforcement learning on flow models, as members of the eta family.

They are two steps and four etas. For states :math:`X = (1-\tau)\,x_0 + \tau\,\varepsilon`, and a step
between the noise levels :math:`s = \tau/(1-\tau)` and :math:`t < s`, with :math:`h = \log(s/t)`:

=========  =======================  ==========================================
name       step                     eta of the step
=========  =======================  ==========================================
flow-sde   Euler-Maruyama in tau    :math:`a^2/2`
dance-sde  Euler-Maruyama in tau    :math:`a^2/(2s)`
precise    ``seeds-1``              :math:`a^2/2`
cps        ``seeds-1``              :math:`-\log\cos(\tfrac\pi2 a)/h`
=========  =======================  ==========================================

a is the level of noise of their papers. Euler-Maruyama in tau is the baseline ``flow-sde``. The eta of
``cps`` depends on the length of the step, so it has no SDE as its limit.

Their codes start at :math:`\tau = 1` and take a step to :math:`\tau = 0` too, each with an end of its own;
here the ends are those of all samplers, and a grid starts at a finite level.

References: Liu et al., Flow-GRPO, arXiv 2505.05470; Xue et al., DanceGRPO, arXiv 2505.07818; Precise, arXiv
2605.23522; CPS, arXiv 2509.05952.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from seeds_theory.baselines.run import log_ratio, require_option
from seeds_theory.errors import ParameterError, unknown
from seeds_theory.eta_schedule import EtaWindows, require_eta, step_etas
from seeds_theory.grids import require_grid
from seeds_theory.solver import Solver


@dataclass(frozen=True)
class Policy:
    """A published sampler.

    method : its step. level : of noise, the default. highest : the largest level there is.
    eta : of a step from s to t at a level.
    """

    method: str
    level: float
    eta: Callable[[float, float, float], float]
    highest: float = math.inf


POLICIES: dict[str, Policy] = {
    "flow-sde": Policy("flow-sde", 0.7, lambda a, s, t: a**2 / 2),
    "dance-sde": Policy("flow-sde", 0.3, lambda a, s, t: a**2 / (2 * s)),
    "precise": Policy("seeds-1", 1.5, lambda a, s, t: a**2 / 2),
    "cps": Policy(
        "seeds-1", 0.8, lambda a, s, t: -math.log(math.cos(a * math.pi / 2)) / log_ratio(s, t), 1.0
    ),
}
"""The published samplers by name."""


LevelAlong = float | tuple[float, ...] | EtaWindows
"""A level of noise along the way."""

Level = float | Sequence[float] | str | EtaWindows
"""A level of noise: a number, one for each step, or windows of noise levels with 0 elsewhere, as an eta."""


def policy(name: str, sigmas: Sequence[float] | np.ndarray, level: Level | None = None) -> Solver:
    """A published sampler on a grid, to be run or recorded.

    >>> record = rollout(model, x, policy("cps", sigmas).on(sigmas), SeededNoise(range(8)))

    Parameters
    ----------
    name : one of `POLICIES`. sigmas : descending, from a finite noise level; the last may be 0.
    level : of noise, the parameter of its paper; below 1 for "cps". Or one for each step, or windows as
        ``"0.7:0.3-5"``: a step that lies in one has that level, one outside of all is the ODE's.

    Raises
    ------
    UnknownNameError, ParameterError, GridError : each says what to change.
    """
    along = require_level(name, level)
    grid = require_grid(sigmas).tolist()
    if math.isinf(grid[0]):
        raise ParameterError(
            f"{name!r} starts at a finite noise level: published codes leave tau = 1 each in its own way"
        )
    return Solver(POLICIES[name].method, {"eta": policy_etas(name, grid, along)})


def require_level(name: str, level: Level | None) -> LevelAlong:
    """The level of noise of a published sampler, None for its own, in one of three forms.

    Raises
    ------
    UnknownNameError, ParameterError : no such sampler, or no such level.
    """
    if name not in POLICIES:
        raise unknown("policy", name, POLICIES)
    found = POLICIES[name]
    level = found.level if level is None else level
    if isinstance(level, str | Sequence | EtaWindows):
        along: LevelAlong = require_eta(level)
    else:
        require_option("level", level, 0, found.highest)
        along = float(level)
    if highest_level(along) >= found.highest:
        raise ParameterError(
            f"the level of {name!r} is below {found.highest:g}; got {highest_level(along):g}"
        )
    return along


def highest_level(along: LevelAlong) -> float:
    """The highest level that there is in any step."""
    if isinstance(along, EtaWindows):
        return max(level for level, _, _ in along.stretches)
    return max(along) if isinstance(along, tuple) else along


def policy_etas(name: str, sigmas: Sequence[float], along: LevelAlong) -> tuple[float, ...]:
    """The eta of each step: 0 to level 0, and 1 from an infinite one, where any above 0 is the same."""
    eta, pairs, each = POLICIES[name].eta, itertools.pairwise(sigmas), step_etas(along, sigmas)
    levels = each if isinstance(each, tuple) else itertools.repeat(each)

    def of_step(level: float, s: float, t: float) -> float:
        if level == 0 or t == 0:
            return 0.0
        return eta(level, s, t) if math.isfinite(s) else 1.0

    return tuple(of_step(level, s, t) for level, (s, t) in zip(levels, pairs, strict=False))

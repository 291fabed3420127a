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


def policy(name: str, sigmas: Sequence[float] | np.ndarray, level: float | None = None) -> Solver:
    """A published sampler on a grid, to be run or recorded.

    >>> record = rollout(model, x, policy("cps", sigmas).on(sigmas), SeededNoise(range(8)))

    Parameters
    ----------
    name : one of `POLICIES`. sigmas : descending, from a finite noise level; the last may be 0.
    level : of noise, the parameter of its paper; below 1 for "cps".

    Raises
    ------
    UnknownNameError, ParameterError, GridError : each says what to change.
    """
    level = require_level(name, level)
    grid = require_grid(sigmas).tolist()
    if math.isinf(grid[0]):
        raise ParameterError(
            f"{name!r} starts at a finite noise level: published codes leave tau = 1 each in its own way"
        )
    return Solver(POLICIES[name].method, {"eta": policy_etas(name, grid, level)})


def require_level(name: str, level: float | None) -> float:
    """The level of noise of a published sampler, None for its own.

    Raises
    ------
    UnknownNameError, ParameterError : no such sampler, or no such level.
    """
    if name not in POLICIES:
        raise unknown("policy", name, POLICIES)
    found = POLICIES[name]
    level = found.level if level is None else level
    require_option("level", level, 0, found.highest)
    if level >= found.highest:
        raise ParameterError(f"the level of {name!r} is below {found.highest:g}; got {level:g}")
    return level


def policy_etas(name: str, sigmas: Sequence[float], level: float) -> tuple[float, ...]:
    """The eta of each step of a grid of finite levels; 0 of a step to level 0."""
    eta, pairs = POLICIES[name].eta, itertools.pairwise(sigmas)
    return tuple(eta(level, s, t) if t > 0 else 0.0 for s, t in pairs)

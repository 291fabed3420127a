r"""What keeps a trained policy from the tilted law: a ladder of limits, each measured by W2 to that law.

Of the ends of a sampler, trained to a reward r with the weight :math:`\beta` of the divergence, each rung
knows one limit more than the one before:

=========  ================================================================================================
`tilted`   the sampler's own law, weighed by :math:`e^{r/\beta}`: what is left is its bias in law
`started`  weighed given the start: a policy does not choose its start
a policy   trained with large batches: its steps are normal with given deviations, its mean is a network
in fact    trained with small batches, whose gradients scatter
=========  ================================================================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seeds_theory.density import Record, chain_of, log_prob
from seeds_theory.plan import Plan
from seeds_theory.solver import LoopPlan, Solver
from seeds_theory.sources import GeneratorNoise
from toy_models.mixture import GaussianMixture
from toy_models.policy_gradient import (
    LearntMixture,
    LogProb,
    at_once,
    jackknife,
    runs,
    tilted,
    wasserstein,
)

AnyPlan = Plan | LoopPlan


# ------------------------------------------------------------------------------------------ the rungs


@dataclass(frozen=True)
class Weighed:
    """W2 to the tilted law of a sampler's own law, before training, and weighed.

    reach : the share of the reward's variance that is not due to the start.
    """

    before: float
    tilted: float
    started: float
    reach: float


def weighed(
    solver: Solver,
    grid: np.ndarray,
    law: GaussianMixture,
    beta: float = 1.0,
    starts: int = 250,
    each: int = 400,
) -> Weighed:
    """The first two rungs, from so many runs of each of the starts, which are quantiles of the noise."""
    shares = (torch.arange(starts, dtype=torch.float64) + 0.5) / starts
    start = float(grid[0]) * torch.special.ndtri(shares).repeat_interleave(each)[:, None]
    ends = solver(law, start, grid, GeneratorNoise(torch.Generator().manual_seed(0)))
    ends = ends.reshape(starts, each)
    goal = tilted(law, beta)
    by_chance = float(ends.var(1).mean())
    return Weighed(
        wasserstein(ends, goal),
        wasserstein(ends, goal, torch.softmax(ends.flatten() / beta, 0)),
        wasserstein(ends, goal, torch.softmax(ends / beta, 1)),
        by_chance / (by_chance + float(ends.mean(1).var(correction=0)) - by_chance / each),
    )


@dataclass(frozen=True)
class Outcome:
    """Of trained models' runs: W2 to the tilted law, mean reward, and divergence from the first runs; (copies,)."""

    distance: Tensor
    reward: Tensor
    divergence: Tensor

    def value(self, beta: float = 1.0) -> Tensor:
        """The objective that was to be trained for."""
        return self.reward - beta * self.divergence


def outcome(
    model: LearntMixture, law: GaussianMixture, plan: AnyPlan, beta: float = 1.0, count: int = 20_000
) -> Outcome:
    """What models do in so many runs each, by the right densities."""
    copies = len(model.means)
    record = runs(model, plan, copies * count, torch.Generator().manual_seed(10_000))
    goal = tilted(law, beta)
    with torch.no_grad():
        ratio = (record.log_prob - log_prob(LearntMixture(law), record)).sum(1)
    ends = record.x.unflatten(0, (copies, count))
    return Outcome(
        torch.tensor([wasserstein(own, goal) for own in ends]),
        ends.mean((1, 2)),
        ratio.unflatten(0, (copies, count)).mean(1),
    )


# ----------------------------------------------------------------------------- the gradient's scatter


def scores(law: GaussianMixture, record: Record, density: LogProb = at_once) -> Tensor:
    """The gradient of each run's log-density in the parameters, at the first ones: (batch, parameters)."""
    each = LearntMixture(law, len(record.x))
    density(each, record).sum().backward()
    return torch.cat([parameter.grad for parameter in each.parameters()], 1)  # type: ignore[misc]


@dataclass(frozen=True)
class Scatter:
    r"""How much a policy gradient scatters, before training.

    noise : tr Cov(g) / \|E g\|^2 of the gradient g of one run: of so many runs is the batch in which noise and
        signal are equal. error : its standard error.
    explained : the share of the reward's variance that is linear in the score: whatever the parameters are.
    """

    noise: float
    error: float
    explained: float


def scatter(
    law: GaussianMixture, plan: AnyPlan, count: int = 4000, groups: int = 10
) -> Scatter:
    """The scatter of the gradient of the expected reward, from groups of that many runs."""
    model, generator = LearntMixture(law), torch.Generator().manual_seed(0)
    rewards, slopes = [], []
    for _ in range(groups):
        record = runs(model, plan, count, generator)
        rewards.append(record.x[:, 0])
        slopes.append(scores(law, record))

    def noise(reward: Tensor, score: Tensor) -> float:
        gradient = (reward - reward.mean())[:, None] * score
        total = float(gradient.var(0).sum())
        return total / (float(gradient.mean(0).square().sum()) - total / len(gradient))

    reward, score = torch.cat(rewards), torch.cat(slopes)
    left_out = [
        noise(torch.cat(rewards[:n] + rewards[n + 1 :]), torch.cat(slopes[:n] + slopes[n + 1 :]))
        for n in range(groups)
    ]
    fit = torch.linalg.lstsq(score, (reward - reward.mean())[:, None], driver="gelsd").solution
    return Scatter(
        noise(reward, score), jackknife(left_out), float((score @ fit).var() / reward.var())
    )


# ------------------------------------------------------------------------------------ wrong densities


def forgotten_factor(level: float, sigmas: np.ndarray) -> LogProb:
    r"""CPS's log-density as some codes have it, :math:`-(X' - m)^2`, without the :math:`1/(2\delta^2)`.

    Up to a constant it is the right one times :math:`2\delta^2` in each step, for one element.
    """
    times = sigmas[1:] / (1 + sigmas[1:])
    deviations = times[times > 0] * math.sin(level * math.pi / 2)
    factors = torch.as_tensor(2 * deviations**2)
    return lambda model, record: at_once(model, record) * factors


def of_another_step(other: AnyPlan) -> LogProb:
    """The log-densities that a sampler of one call a step, on the same grid, gives to the ends of the steps."""
    chain = chain_of(other)

    def density(model: LearntMixture, record: Record) -> Tensor:
        own = chain_of(record.plan)
        ends = [record.states[0], *(record.states[block.targets[-1]] for block in own.blocks)]
        by_level = dict(zip(other.sigmas, ends, strict=True))
        states = tuple(by_level[level] for level in chain.levels)
        nothing = record.log_prob.new_empty(len(record.x), len(chain.with_density))
        moved = Record(
            other, states, chain.with_density, nothing, record.reduction, chain.key
        )
        return at_once(model, moved)

    return density

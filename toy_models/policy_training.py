r"""What training a sampler as a policy comes to: the price of a change, scatter, wrong densities.

The objective weighs the divergence of the runs, and that is not the divergence of the laws: a network that
has learnt the tilted law is charged by each sampler another multiple of it, the `Price`. So the same weight
of the divergence is another one for each sampler.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seeds_theory.chain import AnyPlan, chain_of
from seeds_theory.density import Record, kl, log_prob
from toy_models.mixture import GaussianMixture
from toy_models.policy_gradient import (
    LearntMixture,
    LogProb,
    at_once,
    held,
    jackknife,
    moments,
    runs,
    tilted,
    wasserstein,
)


def tilt_divergence(law: GaussianMixture, beta: float) -> float:
    r"""The divergence of `tilted` from the law, :math:`E'[x]/\beta - \log E[e^{x/\beta}]`; on the line."""
    means, variances = moments(law)
    moment = torch.logsumexp(law.weights.log() + means / beta + variances / (2 * beta**2), 0)
    return float(tilted(law, beta).mean / beta - moment)


@dataclass(frozen=True)
class Price:
    """What a sampler makes of a network that has learnt the tilted law.

    distance : W2 of its ends to that law: its bias.
    price : the divergence of its runs from the first ones, over that of the laws. error : its standard error.
    """

    distance: float
    price: float
    error: float


def price(law: GaussianMixture, plan: AnyPlan, beta: float = 1.0, count: int = 20_000) -> Price:
    """The price of the tilted law, from so many runs."""
    goal = tilted(law, beta)
    record = runs(goal, plan, count, torch.Generator().manual_seed(0))
    each = kl(goal, law, record).sum(1) / tilt_divergence(law, beta)
    return Price(
        wasserstein(record.x, goal), float(each.mean()), float(each.std()) / math.sqrt(count)
    )


@dataclass(frozen=True)
class Bound:
    r"""What no objective of a sampler exceeds that pays for all it does, and its standard error.

    value : :math:`\beta \log E_0[e^{r/\beta}]`, over its own runs of the first model.
    """

    value: float
    error: float


def bound(law: GaussianMixture, plan: AnyPlan, beta: float = 1.0, count: int = 100_000) -> Bound:
    """The bound of a sampler's objective, from so many runs."""
    record = runs(LearntMixture(law), plan, count, torch.Generator().manual_seed(0))
    weights = (record.x[:, 0] / beta).exp()
    mean = float(weights.mean())
    return Bound(beta * math.log(mean), beta * float(weights.std()) / (mean * math.sqrt(count)))


@dataclass(frozen=True)
class Outcome:
    """Of trained models' runs: W2 to the tilted law, mean reward, divergence from the first; (copies,).

    held_reward : the mean reward if all steps without noise are left to the first model.
    """

    distance: Tensor
    reward: Tensor
    held_reward: Tensor
    divergence: Tensor

    def value(self, beta: float = 1.0) -> Tensor:
        """The objective that was to be trained for; steps without noise move for nothing in it."""
        return self.reward - beta * self.divergence

    def held_value(self, beta: float = 1.0) -> Tensor:
        """The objective of what is paid for alone: at most the `Bound` of the sampler."""
        return self.held_reward - beta * self.divergence


def outcome(
    model: LearntMixture,
    law: GaussianMixture,
    plan: AnyPlan,
    beta: float = 1.0,
    count: int = 20_000,
) -> Outcome:
    """What models do in so many runs each, by the right densities."""
    copies = len(model.means)
    record = runs(model, plan, copies * count, torch.Generator().manual_seed(10_000))
    goal, first = tilted(law, beta), LearntMixture(law)
    with torch.no_grad():
        ratio = (record.log_prob - log_prob(first, record)).sum(1)
    ends = record.x.unflatten(0, (copies, count))
    return Outcome(
        torch.tensor([wasserstein(own, goal) for own in ends]),
        ends.mean((1, 2)),
        held(first, record, plan).unflatten(0, (copies, count)).mean((1, 2)),
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

    noise : tr Cov(g) / \|E g\|^2 of the gradient g of one run: in a batch of so many runs noise and signal
        are equal. error : its standard error.
    explained : the share of the reward's variance that is linear in the score.
    """

    noise: float
    error: float
    explained: float


def scatter(law: GaussianMixture, plan: AnyPlan, count: int = 2000, groups: int = 10) -> Scatter:
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
    """The log-densities that a sampler of one call a step gives to the ends of steps on the same grid."""
    chain = chain_of(other)

    def density(model: LearntMixture, record: Record) -> Tensor:
        own = chain_of(record.plan)
        ends = [record.states[0], *(record.states[block.targets[-1]] for block in own.blocks)]
        by_level = dict(zip(other.sigmas, ends, strict=True))
        states = tuple(by_level[level] for level in chain.levels)
        nothing = record.log_prob.new_empty(len(record.x), len(chain.with_density))
        moved = Record(other, states, chain.with_density, nothing, record.reduction, chain.key)
        return at_once(model, moved)

    return density


@dataclass(frozen=True)
class Belonging:
    """How a density belongs to a sampler's steps, before training.

    ratio : the mean of the ratio of two networks' densities of a run, 1 for the right one.
    angle : in degrees, between the gradient that it gives and that of the expected reward.
    ratio_error, angle_error : their standard errors.
    """

    ratio: float
    ratio_error: float
    angle: float
    angle_error: float


def belonging(
    law: GaussianMixture, plan: AnyPlan, density: LogProb, count: int = 2000, groups: int = 10
) -> Belonging:
    """How a density belongs to a plan's steps, from groups of runs; the other network is shifted by 0.2."""
    first, moved = LearntMixture(law), LearntMixture(law)
    moved.means.data += 0.2
    generator, ratios, gradients = torch.Generator().manual_seed(0), [], []
    for _ in range(groups):
        record = runs(first, plan, count, generator)
        with torch.no_grad():
            ratios.append((density(moved, record) - density(first, record)).sum(1).exp())
        advantage = record.x - record.x.mean()
        pair = [(advantage * scores(law, record, d)).mean(0) for d in (at_once, density)]
        gradients.append(torch.stack(pair))

    def angle(pairs: Tensor) -> float:
        right, other = pairs.mean(0)
        return math.degrees(
            float(torch.arccos(torch.cosine_similarity(right, other, 0).clamp(max=1)))
        )

    ratio, pairs = torch.cat(ratios), torch.stack(gradients)
    left_out = [angle(torch.cat([pairs[:n], pairs[n + 1 :]])) for n in range(groups)]
    return Belonging(
        float(ratio.mean()),
        float(ratio.std()) / math.sqrt(len(ratio)),
        angle(pairs),
        jackknife(left_out),
    )

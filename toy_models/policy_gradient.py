r"""Policy gradients on data whose optimum is known: a mixture on the line, and the reward r(x) = x.

A sampler of noisy steps is a policy. The objective

.. math::  E[r(x_0)] - \beta\,\mathrm{KL}(\text{runs} \,\|\, \text{runs of the first model})

is, the last estimate held, at most :math:`\beta \log E_0[e^{r/\beta}]`, with equality where the runs are
those of the first model weighed by :math:`e^{r/\beta}`. Their ends then have the tilted law, density times
:math:`e^{x/\beta}`: for a mixture of Gaussians again one. A policy comes near to that and not quite: the law
of its start is given, which at large noise hardly differs from the weighed one. The last estimate is no noisy
step and costs no divergence, so the gradient through it is left out. The rest is that of
:math:`\sum_i A_i \log p(\text{run}_i)` with the advantage A: the reward minus beta times the log-ratio of the
run, minus the mean of that over the batch.
This is GRPO with one group, without dividing by a deviation, which would change beta.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from seeds_theory.density import Record, log_prob, rollout
from seeds_theory.plan import Plan
from seeds_theory.solver import LoopPlan
from seeds_theory.sources import GeneratorNoise
from toy_models.mixture import GaussianMixture

LogProb = Callable[["LearntMixture", Record], Tensor]
"""How a trainer computes the log-densities of a record's steps: (batch, steps)."""


def tilted(law: GaussianMixture, beta: float) -> GaussianMixture:
    """The law with density times exp(x / beta), of a mixture on the line."""
    means, variances = _moments(law)
    weights = law.weights * torch.exp(means / beta + variances / (2 * beta**2))
    shifted = means + variances / beta
    return GaussianMixture.scalar(weights.tolist(), shifted.tolist(), variances.sqrt().tolist())


def _moments(law: GaussianMixture) -> tuple[Tensor, Tensor]:
    """Means and variances of the components of a mixture on the line."""
    components = law.components
    return torch.cat([c.mean for c in components]), torch.cat([c.variances for c in components])


class LearntMixture(nn.Module):
    """The denoiser of a mixture on the line with learnt weights, means and deviations, at first given."""

    def __init__(self, law: GaussianMixture) -> None:
        super().__init__()
        means, variances = _moments(law)
        self.weights = nn.Parameter(law.weights.log())
        self.means = nn.Parameter(means)
        self.deviations = nn.Parameter(variances.sqrt().log())

    def forward(self, x: Tensor, sigma: float) -> Tensor:
        """The estimate of the data at a finite level, (batch, 1)."""
        variances = self.deviations.exp() ** 2
        total = variances + sigma**2
        offsets = x - self.means
        chosen = torch.softmax(self.weights - total.log() / 2 - offsets**2 / (2 * total), 1)
        return (chosen * (self.means + variances / total * offsets)).sum(1, keepdim=True)


def train(
    law: GaussianMixture,
    plan: Plan | LoopPlan,
    *,
    beta: float = 1.0,
    density: LogProb = log_prob,
    updates: int = 150,
    batch: int = 512,
    rate: float = 0.05,
    seed: int = 0,
) -> LearntMixture:
    """Train the denoiser of a law by policy gradients of the runs of a plan.

    density : of the gradient alone; the advantages have the right one.
    """
    generator = torch.Generator().manual_seed(seed)
    first, model = LearntMixture(law), LearntMixture(law)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates)
    for _ in range(updates):
        record = runs(model, plan, batch, generator)
        with torch.no_grad():
            ratio = (record.log_prob - log_prob(first, record)).sum(1)
            gain = record.x[:, 0] - beta * ratio
            advantage = gain - gain.mean()
        loss = -(advantage * density(model, record).sum(1)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model


def runs(model: nn.Module, plan: Plan | LoopPlan, count: int, generator: torch.Generator) -> Record:
    """Runs of a model from noise, recorded."""
    unit = torch.randn(count, 1, generator=generator, dtype=torch.float64)
    return rollout(model, plan.sigmas[0] * unit, plan, GeneratorNoise(generator))


def wasserstein(samples: Tensor, law: GaussianMixture) -> float:
    """W2 of n samples on the line to a law, by its quantiles at the middles of n equal shares."""
    count = samples.numel()
    shares = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return math.sqrt(
        float((samples.flatten().sort().values - law.quantile(shares)).square().mean())
    )

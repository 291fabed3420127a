r"""Policy gradients on data whose optimum is known: a mixture on the line, and the reward r(x) = x.

A sampler of noisy steps is a policy. The objective

.. math::  E[r(x_0)] - \beta\,\mathrm{KL}(\text{runs} \,\|\, \text{runs of the first model})

is at most :math:`\beta \log E_0[e^{r/\beta}]`, over the sampler's own runs of the first model, if all that
has no noise is *held*, left to the first model: see `held`. It is equal to it where the runs are those of the
first model weighed by :math:`e^{r/\beta}`. But for the sampler's bias their ends then have the tilted law,
density times :math:`e^{x/\beta}`: for a mixture of Gaussians again one. A policy comes near to that and not
quite: the law of its start is given, which at large noise hardly differs from the weighed one.

What is not held, the last estimate at least, costs no divergence and moves with the model for nothing: the
objective of runs as they are has no such bound. The gradient through it is left out. The rest is that of
:math:`\sum_i A_i \log p(\text{run}_i)` with the advantage A: the reward minus beta times the log-ratio of the
run, minus the mean of that over the batch.
This is GRPO with one group, without dividing by a deviation, which would change beta.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn

from seeds_theory.chain import AnyPlan
from seeds_theory.denoiser import Denoiser
from seeds_theory.density import Record, log_prob, rollout
from seeds_theory.inversion import invert
from seeds_theory.sources import GeneratorNoise
from toy_models.mixture import GaussianMixture

LogProb = Callable[["LearntMixture", Record], Tensor]
"""How a trainer computes the log-densities of a record's steps: (batch, steps)."""


def tilted(law: GaussianMixture, beta: float) -> GaussianMixture:
    """The law with density times exp(x / beta), of a mixture on the line."""
    means, variances = moments(law)
    weights = law.weights * torch.exp(means / beta + variances / (2 * beta**2))
    shifted = means + variances / beta
    return GaussianMixture.scalar(weights.tolist(), shifted.tolist(), variances.sqrt().tolist())


def moments(law: GaussianMixture) -> tuple[Tensor, Tensor]:
    """Means and variances of the components of a mixture on the line."""
    components = law.components
    return torch.cat([c.mean for c in components]), torch.cat([c.variances for c in components])


class LearntMixture(nn.Module):
    """Denoisers of mixtures on the line with learnt weights, means and deviations, at first the given ones.

    A batch is cut into as many equal parts, one for each of the copies.
    """

    def __init__(self, law: GaussianMixture, copies: int = 1) -> None:
        super().__init__()
        means, variances = moments(law)
        initial = (law.weights.log(), means, variances.sqrt().log())
        self.weights, self.means, self.deviations = (
            nn.Parameter(values.repeat(copies, 1)) for values in initial
        )

    def forward(self, x: Tensor, sigma: float) -> Tensor:
        """The estimate of the data at a finite level, (batch, 1)."""
        weights, means, deviations = (p.unsqueeze(1) for p in self.parameters())
        variances = deviations.exp() ** 2
        total = variances + sigma**2
        offsets = x.unflatten(0, (len(weights), -1)) - means
        chosen = torch.softmax(weights - total.log() / 2 - offsets**2 / (2 * total), -1)
        estimates = chosen * (means + variances / total * offsets)
        return estimates.sum(-1, keepdim=True).flatten(0, 1)


def at_once(model: LearntMixture, record: Record) -> Tensor:
    """The log-densities of a record's steps, all kept for the backward pass: they are small here."""
    return log_prob(model, record, checkpointing=False)


def train(
    law: GaussianMixture,
    plan: AnyPlan,
    *,
    beta: float = 1.0,
    density: LogProb = at_once,
    updates: int = 120,
    batch: int = 200,
    rate: float = 0.05,
    copies: int = 1,
    seed: int = 0,
) -> LearntMixture:
    """Train the denoiser of a law by policy gradients of the runs of a plan.

    Parameters
    ----------
    density : what the trainer takes for it, in the gradient and in the divergence alike.
    batch : of an update. copies : trained side by side, each on runs of its own.
    """
    generator = torch.Generator().manual_seed(seed)
    first, model = LearntMixture(law), LearntMixture(law, copies)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates)
    for _ in range(updates):
        record = runs(model, plan, copies * batch, generator)
        with torch.no_grad():
            start = density(first, record).sum(1)
        run = density(model, record).sum(1)
        gain = (record.x[:, 0] - beta * (run.detach() - start)).unflatten(0, (copies, batch))
        advantage = gain - gain.mean(1, keepdim=True)
        loss = -(advantage.flatten() * run).sum() / batch
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model


def runs(model: Denoiser, plan: AnyPlan, count: int, generator: torch.Generator) -> Record:
    """Runs of a model from noise, recorded."""
    unit = torch.randn(count, 1, generator=generator, dtype=torch.float64)
    return rollout(model, plan.sigmas[0] * unit, plan, GeneratorNoise(generator))


def held(first: Denoiser, record: Record, plan: AnyPlan) -> Tensor:
    """The ends of a plan's recorded runs if all steps without noise are left to a first model, (batch, 1).

    They are functions of the states that are paid for: what a method remembers is of the first model too.
    """
    return invert(first, record, plan).x


def wasserstein(samples: Tensor, law: GaussianMixture) -> float:
    """W2 of n samples on the line to a law, by its quantiles at the middles of n equal shares."""
    gaps = samples.flatten().sort().values - _middles(law, samples.numel())
    return math.sqrt(float(gaps.square().mean()))


@lru_cache(maxsize=8)
def _middles(law: GaussianMixture, count: int) -> Tensor:
    return law.quantile((torch.arange(count, dtype=torch.float64) + 0.5) / count)


def jackknife(left_out: Sequence[float]) -> float:
    """The standard error of a figure, from its values with each group left out."""
    values = torch.tensor(left_out, dtype=torch.float64)
    return float((len(left_out) - 1) * values.var(correction=0)) ** 0.5

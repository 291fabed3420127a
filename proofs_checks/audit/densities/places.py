"""All that is measured of a step, at one or more places."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from proofs_checks.audit.densities.measured import Claim, Draws
from proofs_checks.audit.densities.protocol import At
from proofs_checks.audit.densities.statistics import LIMIT, of_mean

Reduction = Literal["sum", "mean"]

ROUNDING = 1e-4
"""How far from a quadratic single precision leaves a log-density of few elements, of how much it varies."""
HALF = 0.03
"""And half precision."""
_SPREAD = 0.5
"""The deviation of the log-ratios by which a bent network is tried."""


@dataclass(frozen=True, eq=False)
class Place:
    """A step at one place: what it draws, and what its log-density says.

    at : the place. draws : what was drawn there.
    """

    at: At
    draws: Draws

    @property
    def elements(self) -> int:
        """The number n of elements of a state."""
        return self.draws.values.shape[1]

    @cached_property
    def claim(self) -> Claim:
        """What its log-density says."""
        return Claim.of(self.at, self.draws)

    @property
    def is_quadratic(self) -> bool:
        """Whether the log-density is one of independent normals, but for rounding."""
        return self.claim.scatter < HALF and bool((self.claim.precision > 0).all())

    @property
    def rounding(self) -> float:
        """How far from a quadratic single precision leaves it: its digits are those of the whole sum."""
        return ROUNDING + 2 * self.elements * torch.finfo(torch.float32).eps

    @cached_property
    def weight(self) -> float:
        """The log-density's precision times the variance of the draws: 1 for a sum, 1/n for a mean."""
        return float((self.claim.precision * self.draws.variance).mean())

    @property
    def weight_error(self) -> float:
        """The standard error of `weight`, relative."""
        return math.sqrt(2 / (self.elements * self.draws.number))

    def is_weighted(self, scale: float) -> bool:
        """Whether the log-density is `scale` times that of normals with the variance of the draws."""
        return abs(self.weight / scale - 1) < LIMIT * self.weight_error + ROUNDING

    def scales(self) -> dict[Reduction, float]:
        """By what a log-density of all elements is multiplied."""
        return {"sum": 1.0, "mean": 1 / self.elements}

    @cached_property
    def bend(self) -> float:
        """By how much the network is bent, so that log-ratios vary by about `_SPREAD`; 0 if none does."""
        first = self.draws.deviation
        spread = float((self._log_prob(first) - self._log_prob(0.0)).std())
        # Of a mean over elements n times as much: that is what its ratios are of.
        return first * _SPREAD / (spread / self.assumed) if spread > 0 else 0.0

    @cached_property
    def assumed(self) -> float:
        """The scale that fits best, for a log-density that may be a sum or a mean."""
        spread = float(self.draws.log_prob.flatten().double().std()) / math.sqrt(self.elements / 2)
        if not self.is_quadratic:
            return min(self.scales().values(), key=lambda s: abs(math.log((spread or s) / s)))
        return min(self.scales().values(), key=lambda s: abs(math.log(self.weight / s)))

    def _log_prob(self, bend: float) -> Tensor:
        return self.at.log_prob(self.draws.rows, bend).double()

    def log_ratios(self, bend: float) -> Tensor:
        """Of a bent network to the straight one, at the draws, (N,), for all elements together."""
        return (self._log_prob(bend) - self._log_prob(0.0)) / self.assumed

    @cached_property
    def ratio(self) -> tuple[float, float, float]:
        """The mean ratio of a bent network, its standard error, and how many of these it is from 1."""
        tried = [of_mean(self.log_ratios(b).exp(), 1.0) for b in (self.bend, -self.bend)]
        return max(tried, key=lambda found: abs(found[2]))

    @cached_property
    def score(self) -> tuple[float, float, float]:
        """The mean score, in deviations of it, its standard error, and how many of these it is from 0."""
        difference = (self.log_ratios(self.bend) - self.log_ratios(-self.bend)) / 2
        return of_mean(difference / difference.std(), 0.0)

    @cached_property
    def information(self) -> tuple[float, float, float]:
        """The mean of score^2 plus second derivative, in means of score^2, with its errors as of `ratio`."""
        up, down = self.log_ratios(self.bend), self.log_ratios(-self.bend)
        squares = ((up - down) / 2) ** 2
        return of_mean((squares + up + down) / squares.mean(), 0.0)

    @cached_property
    def again(self) -> float:
        """How far log-densities are, asked again of their own draws, of how much they vary."""
        told = self.draws.log_prob.flatten().double()
        spread = float(told.std())
        error = float((self._log_prob(0.0) - told).square().mean().sqrt())
        return error / spread if spread > 0 else math.inf if error > 0 else 0.0


def places(step: At, times: list[tuple[float, float]], number: int) -> list[Place]:
    """A step at several pairs of times.

    step : at any of them. number : of draws at each.
    """
    found = []
    for t, t_next in times:
        at = At(step.step, step.network, step.x, t, t_next)
        found.append(Place(at, Draws.of(at, number)))
    return found


def same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are the same but for the rounding of the coarser one."""
    if a.shape != b.shape:
        return False
    unit = max(torch.finfo(v.dtype).eps for v in (a, b))
    return bool(((a.double() - b.double()).abs() <= 2 * unit * (1 + b.double().abs())).all())

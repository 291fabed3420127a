r"""What a step draws, and what its log-density says, both at one place.

The draws' mean and deviation of each element have standard errors. What the log-density says has none: where
it is

.. math::  \log p(x') = c - \tfrac12 \sum_i k_i (x'_i - m_i)^2 ,

three values along each element give :math:`k_i` and :math:`m_i`, and c, to rounding. Whether it is such a
quadratic, other draws tell. A log-density of independent normals has :math:`k_i = 1/d_i^2` and
:math:`c = -\sum_i \log d_i - \tfrac n2 \log 2\pi`; the mean over n elements has all of it divided by n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from proofs_checks.audit.densities.protocol import At

BATCHES = 4
_REACH = 4.0
"""How far from the middle the log-density is asked, in deviations of the draws."""
_EXTRA = 64


@dataclass(frozen=True, eq=False)
class Draws:
    """Next states that a step drew in several calls, and their log-densities.

    actions : as returned, (calls, rows, *event). log_prob : (calls, rows).
    """

    actions: Tensor
    log_prob: Tensor

    @classmethod
    def of(cls, at: At, number: int) -> Draws:
        """That many, in `BATCHES` calls."""
        calls = [at.drawn(number // BATCHES) for _ in range(BATCHES)]
        return cls(torch.stack([c[0] for c in calls]), torch.stack([c[1] for c in calls]))

    @property
    def rows(self) -> Tensor:
        """All of them, (N, *event)."""
        return self.actions.flatten(0, 1)

    @property
    def values(self) -> Tensor:
        """Float64 (N, n)."""
        return self.rows.double().flatten(1)

    @property
    def number(self) -> int:
        """N."""
        return len(self.rows)

    @property
    def mean(self) -> Tensor:
        """Of each element, (n,)."""
        return self.values.mean(0)

    @property
    def variance(self) -> Tensor:
        """Of each element, (n,)."""
        return self.values.var(0)

    @property
    def deviation(self) -> float:
        """The root mean square of the elements' deviations."""
        return float(self.variance.mean().sqrt())


@dataclass(frozen=True, eq=False)
class Claim:
    """What a log-density says of the next state.

    mean, precision : m and k of each element, (n,). top : c.
    scatter : how far it is from this quadratic, root mean square, of how much it varies over draws.
    """

    mean: Tensor
    precision: Tensor
    top: float
    scatter: float

    @classmethod
    def of(cls, at: At, draws: Draws, bend: float = 0.0) -> Claim:
        """By asking for it around the draws' mean, and then at `_EXTRA` of the draws."""
        shape, like = draws.rows.shape[1:], draws.rows
        middle, reach = draws.mean, _REACH * draws.variance.sqrt()
        moved = torch.diag(reach)
        points = torch.cat([middle[None], middle + moved, middle - moved])
        given = points.reshape(-1, *shape).to(like)
        values = at.log_prob(given, bend).double()
        n = len(middle)
        # The points as they are in the step's type of numbers, or rounding would pass for a shift.
        exact = given.double().flatten(1)
        up = (exact[1 : n + 1] - exact[0]).diagonal()
        down = (exact[0] - exact[n + 1 :]).diagonal()
        rise, fall = (values[1 : n + 1] - values[0]) / up, (values[0] - values[n + 1 :]) / down
        precision = 2 * (fall - rise) / (up + down)
        slope = (rise * down + fall * up) / (up + down)
        mean = exact[0] + slope / precision
        top = float(values[0] + (slope**2 / (2 * precision)).sum())
        some = draws.rows[:_EXTRA]
        told = at.log_prob(some, bend).double()
        expected = top - (precision * (some.double().flatten(1) - mean) ** 2).sum(1) / 2
        spread = max(float(told.std()), float(expected.std()))
        error = float((told - expected).square().mean().sqrt())
        return cls(mean, precision, top, error / spread if spread > 0 else math.inf)

    def deviation(self, scale: float) -> Tensor:
        """Of each element, (n,), if the log-density is `scale` times that of normals."""
        return (scale / self.precision).sqrt()

    def normaliser(self, scale: float) -> float:
        """The c that belongs to its precision, if the log-density is `scale` times that of normals."""
        logs = float(self.deviation(scale).log().sum())
        return -scale * (logs + len(self.mean) / 2 * math.log(2 * math.pi))

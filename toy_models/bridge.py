r"""A Brownian path that is refined on demand: each value is drawn given all that were drawn before.

In data prediction the noise of a stretch is an increment of one Brownian motion,

.. math::  N(s, t) = \sigma_t^{1+\eta}\,\big(B(\varsigma_t) - B(\varsigma_s)\big), \qquad
           \varsigma = \sigma^{-2\eta} = e^{2\eta\lambda},

so that a stretch is cut anywhere by the Brownian bridge in this clock, with one normal and no approximation.
The law of all values does not depend on the order, or on the reasons, in which they are asked for.
Claims: ``adaptive-clock``, ``adaptive-bridge``.
"""

from __future__ import annotations

import torch
from torch import Tensor


class RefinedPath:
    r"""The values B of Brownian paths, one for each sample, at clocks that may differ between samples.

    Parameters
    ----------
    grid : ascending clocks (k,) at which all paths are drawn at once; B is 0 at the first one. No clock
        before that is asked for. One clock is enough.
    shape : (batch, d), one path in R^d for each sample.
    generator : who draws.
    remembers : False for a path that forgets, whenever it is asked for a value, all its values at later
        clocks. So does a sampler that draws new noise after a rejected step; its noise has another law.
    """

    def __init__(
        self,
        grid: Tensor,
        shape: tuple[int, int],
        generator: torch.Generator | None = None,
        *,
        remembers: bool = True,
    ) -> None:
        self._generator, self._remembers = generator, remembers
        self._grid = torch.cat([grid.to(torch.float64), torch.tensor([torch.inf])])
        steps = self._normals(len(grid) - 1, *shape) * grid.diff().sqrt()[:, None, None]
        start = torch.zeros(1, *shape, dtype=torch.float64)
        self._on_grid = torch.cat([start, steps.cumsum(0), start])  # at infinity: not used
        self._clocks = torch.empty(0, shape[0], dtype=torch.float64)  # drawn later, in any order
        self._values = torch.empty(0, *shape, dtype=torch.float64)

    def _normals(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator, dtype=torch.float64)

    def __call__(self, clock: Tensor) -> Tensor:
        """B at these clocks (batch,): (batch, d). A clock known before gives the value it had."""
        if not self._remembers:
            self._clocks = self._clocks.masked_fill(self._clocks > clock, -torch.inf)
        left, before, right, after = self._neighbours(clock)
        share = ((clock - left) / (right - left))[:, None]  # 0 where no later value is known
        spread = (clock - left)[:, None] * (1 - share)
        drawn = before + share * (after - before) + spread.sqrt() * self._normals(*before.shape)
        self._clocks = torch.cat([self._clocks, clock[None]])
        self._values = torch.cat([self._values, drawn[None]])
        return drawn

    def _neighbours(self, clock: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The nearest known clocks, one not later and one later, each with its value."""
        samples, index = torch.arange(len(clock)), torch.searchsorted(self._grid, clock, right=True)
        left, before = self._grid[index - 1], self._on_grid[index - 1, samples]
        right, after = self._grid[index], self._on_grid[index, samples]
        for own, values in zip(self._clocks, self._values, strict=True):
            nearer, later = (left <= own) & (own <= clock), (clock < own) & (own < right)
            left, before = torch.where(nearer, own, left), _where(nearer, values, before)
            right, after = torch.where(later, own, right), _where(later, values, after)
        return left, before, right, after

    def forget_before(self, clock: Tensor) -> None:
        """Drop what was drawn between the grid's clocks and lies behind all samples."""
        kept = (self._clocks >= clock).any(1)
        self._clocks, self._values = self._clocks[kept], self._values[kept]

    def copy(self) -> RefinedPath:
        """A path with the same values so far; what either draws from now on, the other does not see."""
        twin = object.__new__(RefinedPath)
        twin.__dict__.update(self.__dict__)  # tensors are replaced, never written to
        return twin


def _where(condition: Tensor, values: Tensor, others: Tensor) -> Tensor:
    return torch.where(condition[:, None], values, others)

r"""Expectations of a sampler on the line, without sampling.

The mean of a test function after a run is carried back through the steps: as a function of the state it is
kept by its values at Chebyshev points, and the mean over the normals of a step is a Gauss-Hermite sum.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from toy_models.mixture import GaussianMixture

LineStep = Callable[[Tensor, float, float, Tensor], Tensor]
"""A step (y (batch, 1), sigma, sigma_next, normals (m, batch, 1)) -> y."""
FREQUENCIES = (0.4, 0.8, 1.3, 2.0, 3.0)
_STATES, _ROOTS, _REACH = 90, 8, 6.5


def wave_means(
    step: LineStep,
    normals: int,
    data: GaussianMixture,
    levels: Sequence[float],
    *,
    points_each: int = _ROOTS,
) -> Tensor:
    """E cos ky and E sin ky at the last level, k of `FREQUENCIES`, from the exact law at the first: (2, k).

    step : draws so many normals. levels : descending noise levels.
    points_each : points of the Gauss-Hermite rule for a normal. The rules with two and three are the laws of
        random numbers that are +-1, and that are 0 or +-sqrt(3): these are then the means with such noise.
    """
    nodes, masses = (torch.from_numpy(v) for v in np.polynomial.hermite_e.hermegauss(points_each))
    grid = torch.cartesian_prod(*[nodes] * normals).reshape(-1, normals)
    weights = torch.cartesian_prod(*[masses] * normals).reshape(-1, normals).prod(1)
    weights = weights / weights.sum()
    angles = math.pi * (torch.arange(_STATES, dtype=torch.float64) + 0.5) / _STATES
    points = torch.cos(angles)
    signs = torch.sin(angles) * (-1.0) ** torch.arange(_STATES)
    values: Tensor | None = None
    starts, masses_of_starts = law(data, levels[0])
    for sigma, sigma_next in reversed(list(itertools.pairwise(levels))):
        y = starts if sigma == levels[0] else _reach(data, sigma) * points
        pairs = y.repeat_interleave(len(grid))[:, None]
        ends = step(pairs, sigma, sigma_next, grid.T.repeat(1, len(y))[..., None])
        ends = ends.reshape(len(y), len(grid))
        if values is None:
            waves = ends[..., None] * torch.tensor(FREQUENCIES, dtype=torch.float64)
            ahead = torch.stack([torch.cos(waves), torch.sin(waves)], 2)
        else:
            gaps = (ends / _reach(data, sigma_next)).clamp(-1, 1)[..., None] - points
            gaps[gaps == 0] = 1e-300
            ratio = signs / gaps
            ahead = torch.einsum("ynp,pwk->ynwk", ratio, values) / ratio.sum(-1)[..., None, None]
        values = torch.einsum("n,ynwk->ywk", weights, ahead)
    assert values is not None
    return torch.einsum("y,ywk->wk", masses_of_starts, values)


def exact_wave_means(data: GaussianMixture, sigma: float) -> Tensor:
    """The same of the exact law at a noise level."""
    y, masses = law(data, sigma)
    waves = y[:, None] * torch.tensor(FREQUENCIES, dtype=torch.float64)
    return torch.stack([masses @ torch.cos(waves), masses @ torch.sin(waves)])


def law(data: GaussianMixture, sigma: float) -> tuple[Tensor, Tensor]:
    """Points and masses of a quadrature rule for the law at a noise level."""
    nodes, masses = (torch.from_numpy(v) for v in np.polynomial.hermite_e.hermegauss(40))
    points = [
        float(c.mean) + math.sqrt(float(c.variances) + sigma**2) * nodes for c in data.components
    ]
    shares = [w * masses / masses.sum() for w in data.weights]
    return torch.cat(points), torch.cat(shares)


def _reach(data: GaussianMixture, sigma: float) -> float:
    widest = max(abs(float(c.mean)) + 3.5 * math.sqrt(float(c.variances)) for c in data.components)
    return widest + _REACH * sigma

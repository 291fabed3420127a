r"""A sampler on Gaussian data as an affine map, found by running it on basis vectors.

.. math::  x_{end} = \mathrm{offset} + \mathrm{gain}\,x_T + \int \rho(u)\,dB_u + \sum_k w_k \xi_k .

One row of the batch carries the state, one each piece of a Brownian path B, one each other normal
:math:`\xi_k` that the sampler draws. B runs in the clock sigma, as k-diffusion's Brownian tree does: the
noise of the stretch (a, b) is :math:`(B_a - B_b)/\sqrt{a - b}`, so the density :math:`\rho` is constant
between consecutive levels. Nothing is random, and nothing is known of the method.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from torch import Tensor

from proofs_checks.audit.draws import RefusedDraw, require_answerable
from proofs_checks.audit.protocol import NotAffine, Target, call

_AFFINE, _AFFINE_PER_CALL = 1e-6, 2e-7
"""Tolerated misfit of a combination: the first, and the second times the square root of the model calls.

For samplers that work in single precision inside: their rounding, 6e-8 relative a step, adds up like a
random walk, to a misfit of 1e-6 on 512 steps. What is not affine is off by far more.
"""

_ROUNDING = 1e-9
"""Relative difference of noise levels that are computed to be the same."""


class Source(StrEnum):
    """Where a sampler's noise comes from in a run."""

    BROWNIAN = "brownian"  # a noise sampler on one path: overlapping stretches are correlated
    INDEPENDENT = "independent"  # a noise sampler that draws afresh at every call
    OWN = "own"  # none is given: the sampler's own draws


@dataclass(frozen=True)
class LinearModel:
    """The exact denoiser of independent Gaussian coordinates, one a channel of (batch, d, 1, 1).

    means, variances : (d,), of the data. levels : the noise levels it was called at, in order.
    """

    means: Tensor
    variances: Tensor
    levels: list[float] = field(default_factory=list)

    def __call__(self, x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        """E[x_0 | x] at the level sigma, a number or (batch,)."""
        level = torch.as_tensor(sigma, dtype=torch.float64)
        self.levels.append(float(level.reshape(-1)[0]))
        gain = self.variances / (self.variances + level.reshape(-1, 1).square())
        mean = self.means.to(x.dtype).reshape(1, -1, 1, 1)
        return mean + gain.to(x.dtype)[..., None, None] * (x - mean)


class Levels:
    """Distinct noise levels, descending; two that differ by rounding only are one."""

    def __init__(self, levels: Iterable[float]) -> None:
        ordered = sorted(levels, reverse=True)
        kept = ordered[:1] + [b for a, b in itertools.pairwise(ordered) if a - b > _ROUNDING * a]
        self.values = np.asarray(kept)

    def index(self, sigma: float) -> int | None:
        """The position of a level; None if it is not one of them."""
        position = int(np.searchsorted(-self.values, -sigma))
        for i in (position - 1, position):
            if 0 <= i < len(self.values) and abs(self.values[i] - sigma) <= 2 * _ROUNDING * sigma:
                return i
        return None


@dataclass(frozen=True)
class AffineMap:
    """What `probe` finds; d coordinates.

    offset, gain : (d,). levels : (pieces + 1,), descending. density : (pieces, d), of the response to
    the path on each piece. other : (draws, d), weights of normals outside the path. stretches : what the
    noise sampler was asked for. calls : the levels of the model calls.
    """

    offset: Tensor
    gain: Tensor
    levels: np.ndarray
    density: np.ndarray
    other: Tensor
    stretches: tuple[tuple[float, float], ...]
    calls: tuple[float, ...]

    @property
    def noise_variance(self) -> Tensor:
        """The variance (d,) that the noise adds."""
        pieces = -np.diff(self.levels)[:, None]
        return torch.from_numpy((self.density**2 * pieces).sum(0)) + self.other.square().sum(0)

    @property
    def deterministic(self) -> bool:
        """Whether the noise has no effect."""
        return bool((self.noise_variance == 0).all())

    def overlapping(self) -> bool:
        """Whether two stretches have an interior point in common: then their joint law matters."""
        ordered = sorted((min(pair), max(pair)) for pair in self.stretches)
        return any(
            second[0] < first[1] * (1 - _ROUNDING) for first, second in itertools.pairwise(ordered)
        )

    def along(self, sigmas: Sequence[float]) -> AffineMap | None:
        """The same map with its draws put on a path, if there is one draw a step; None if not."""
        if not len(self.other) or self.deterministic:
            return self
        if len(self.stretches) or len(self.other) != len(sigmas) - 1:
            return None
        levels = np.asarray(sigmas)
        density = self.other.numpy() / np.sqrt(-np.diff(levels))[:, None]
        none = torch.zeros(0, len(self.gain), dtype=torch.float64)
        return AffineMap(self.offset, self.gain, levels, density, none, self.stretches, self.calls)


class Recorder:
    """Answers every draw with zero, and writes down what was asked."""

    def __init__(self, source: Source = Source.BROWNIAN) -> None:
        self.injects = source is not Source.OWN
        self.stretches: list[tuple[float, float]] = []
        self.draws = 0

    def stretch(self, sigma: float, sigma_next: float, like: Tensor) -> Tensor:
        """Zero; a stretch has a length."""
        if sigma == sigma_next:
            raise RefusedDraw(f"asks for noise over an empty stretch, at sigma {sigma:g}")
        self.stretches.append((sigma, sigma_next))
        return torch.zeros_like(like)

    def draw(self, number: int, like: Tensor) -> Tensor:
        """Zero."""
        self.draws = max(self.draws, number + 1)
        return torch.zeros_like(like)


class _Rows:
    """Answers draws with basis vectors: rows 2, 3, ... of the batch, and a combination in the last.

    x : the states to start from. combined : the numbers that the last row combines with, the state's last.
    """

    def __init__(self, recorder: Recorder, source: Source, d: int) -> None:
        self.injects, self._source, self._asked = recorder.injects, source, 0
        on_path = recorder.stretches if source is Source.BROWNIAN else []
        self.levels = Levels(level for pair in on_path for level in pair)
        self.pieces = max(len(self.levels.values) - 1, 0)
        self._fresh = 0 if on_path else len(recorder.stretches)
        count = self.pieces + self._fresh + recorder.draws
        # Multiples of 1/8: exact in any precision that the sampler may draw in.
        generator = torch.Generator().manual_seed(0)
        self.combined = torch.randint(-8, 9, (count + 1, d), generator=generator).double() / 8
        self.x = torch.zeros(count + 3, d, 1, 1, dtype=torch.float64)
        self.x[1], self.x[-1] = 1.0, self.combined[-1][:, None, None]

    def stretch(self, sigma: float, sigma_next: float, like: Tensor) -> Tensor:
        self._asked += 1
        if self._source is Source.INDEPENDENT:
            if self._asked > self._fresh:
                raise NotAffine("asks for more noise when the states differ")
            return self._unit(self._asked - 1, like)
        start, stop = self.levels.index(sigma), self.levels.index(sigma_next)
        if start is None or stop is None:
            raise NotAffine("asks for noise at other levels when the states differ")
        first, last = sorted((start, stop))
        lengths = -np.diff(self.levels.values[first : last + 1])
        weights = torch.from_numpy(np.sqrt(lengths / lengths.sum()))[:, None]
        if sigma < sigma_next:
            weights = -weights
        answer = torch.zeros_like(like)
        answer[2 + first : 2 + last] = weights[..., None, None].to(like)
        answer[-1] = (weights * self.combined[first:last]).sum(0)[:, None, None].to(like)
        return answer

    def draw(self, number: int, like: Tensor) -> Tensor:
        require_answerable(number, like, self.x.shape)
        index = self.pieces + self._fresh + number
        if index >= len(self.combined) - 1:  # the last is the state's
            raise NotAffine("draws more noise when the states differ")
        return self._unit(index, like)

    def _unit(self, index: int, like: Tensor) -> Tensor:
        answer = torch.zeros_like(like)
        answer[2 + index] = 1.0
        answer[-1] = self.combined[index][:, None, None].to(like)
        return answer


def probe(
    target: Target,
    means: Tensor,
    variances: Tensor,
    sigmas: Sequence[float],
    source: Source = Source.BROWNIAN,
    **options: Any,
) -> AffineMap:
    """Find the affine map of a sampler on a grid.

    Raises
    ------
    NotAffine : a combination of inputs does not give that combination of outputs.
    SamplerFailure : from `call`.
    """
    grid = torch.tensor(sigmas, dtype=torch.float64)
    d = len(variances)
    recorder, model = Recorder(source), LinearModel(means, variances)
    zero = torch.zeros(2, d, 1, 1, dtype=torch.float64)
    call(target, model, zero, grid.clone(), recorder, **options)
    rows = _Rows(recorder, source, d)
    result = call(target, LinearModel(means, variances), rows.x, grid.clone(), rows, **options)
    result = result.double()[..., 0, 0]
    offset = result[0]
    linear = result[1:-1] - offset
    combined = rows.combined
    predicted = offset + combined[-1] * linear[0] + (combined[:-1] * linear[1:]).sum(0)
    size = offset.abs() + linear.abs().sum(0) + 1.0
    misfit = float(((predicted - result[-1]).abs() / size).max())
    if misfit > _AFFINE + _AFFINE_PER_CALL * len(model.levels) ** 0.5:
        raise NotAffine(
            "is not affine in state and noise on Gaussian data, off by "
            f"{misfit:.1g}: adaptive steps, thresholding, noise that is not Gaussian, or numbers that "
            "come neither from torch nor from the noise sampler"
        )
    weights, levels = linear[1:], rows.levels.values
    density = weights[: rows.pieces].numpy() / np.sqrt(-np.diff(levels))[:, None]
    return AffineMap(
        offset=offset,
        gain=linear[0],
        levels=levels,
        density=density,
        other=weights[rows.pieces :],
        stretches=tuple(recorder.stretches),
        calls=tuple(model.levels),
    )


def path_distance(first: AffineMap, second: AffineMap, means: Tensor, start: Tensor) -> Tensor:
    """RMS distances (d,) of two samplers on one path, from one initial state N(means, start)."""
    edges = np.unique(np.concatenate([first.levels, second.levels]))[::-1]
    difference = _on(first, edges) - _on(second, edges)
    noise = torch.from_numpy((difference**2 * -np.diff(edges)[:, None]).sum(0))
    gain = first.gain - second.gain
    mean = first.offset - second.offset + gain * means
    return (noise + gain.square() * start + mean.square()).sqrt()


def _on(response: AffineMap, edges: np.ndarray) -> np.ndarray:
    """The density on the pieces between finer edges; 0 where the path was not asked for."""
    middle = 0.5 * (edges[:-1] + edges[1:])
    if not len(response.density):
        return np.zeros((len(middle), len(response.gain)))
    index = np.searchsorted(-response.levels, -middle) - 1
    inside = (index >= 0) & (index < len(response.density))
    return np.where(inside[:, None], response.density[index.clip(0, len(response.density) - 1)], 0)

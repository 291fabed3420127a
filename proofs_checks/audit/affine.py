r"""A sampler on Gaussian data as an affine map, found by running it on basis vectors.

.. math::  x_{end} = \mathrm{offset} + \mathrm{gain}\,x_T + \int \rho(u)\,dB_u + \sum_k w_k \xi_k .

One row of the batch carries the state, one each piece of a Brownian path B, one each other normal
:math:`\xi_k` that the sampler draws. B runs in the clock sigma, as k-diffusion's Brownian tree does: the
noise of the stretch (a, b) is :math:`(B_a - B_b)/\sqrt{a - b}`, so the density :math:`\rho` is constant
between consecutive levels. Nothing is random, and nothing is known of the method.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from proofs_checks.audit.draws import require_answerable
from proofs_checks.audit.protocol import (
    Model,
    NotAffine,
    SamplerFailure,
    Target,
    call,
    level_of,
)

_AFFINE, _AFFINE_PER_CALL = 1e-6, 1e-6
"""Tolerated misfit of a combination: the first, and the second times the square root of the model calls.

For samplers that work in single precision inside: their rounding, 6e-8 relative a step, adds up to a misfit
of 2e-5 on 1024 steps. The combination is of states and normals as far out as four deviations, so that a clamp
or a threshold at less is off by far more.
"""

_ROUNDING = 1e-9
"""Relative difference of noise levels that are computed to be the same."""

_NO_NOISE = 1e-6
"""Of the final deviation: noise below it is rounding, of single precision at most, and no sampling."""


class BatchDependent(SamplerFailure):
    """A sampler whose result for one state depends on the other states of its batch."""

    def __init__(self, off: float) -> None:
        super().__init__(
            "the result for one sample depends on the others in its batch, by "
            f"{off:.2g} of its size: what a batch shows is no figure of the sampler"
        )


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
        self.levels.append(level_of(level))
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
    noise sampler was asked for. empty : how often it was asked for a stretch without length, the noise of
    which comes after that of stretches drawn afresh. draws : of torch's, the last of the others. calls : the
    levels of the model calls. ends : the first and the last level of the grid. misfit : (d,), relative, of a
    combination of states and normals.
    """

    offset: Tensor
    gain: Tensor
    levels: np.ndarray
    density: np.ndarray
    other: Tensor
    stretches: tuple[tuple[float, float], ...]
    empty: int
    draws: int
    calls: tuple[float, ...]
    ends: tuple[float, float]
    misfit: np.ndarray

    @property
    def empty_weight(self) -> Tensor:
        """The largest weight (d,) of noise of an empty stretch."""
        last = len(self.other) - self.draws
        return self.other[last - self.empty : last].abs().amax(0)

    @property
    def noise_variance(self) -> Tensor:
        """The variance (d,) that the noise adds."""
        pieces = -np.diff(self.levels)[:, None]
        return torch.from_numpy((self.density**2 * pieces).sum(0)) + self.other.square().sum(0)

    def deterministic(self, deviations: Tensor) -> bool:
        """Whether the noise has no effect beyond rounding, given the deviations (d,) of the final law."""
        return bool((self.noise_variance.sqrt() <= _NO_NOISE * deviations).all())

    def overlapping(self) -> bool:
        """Whether two stretches have an interior point in common: then their joint law matters."""
        ordered = sorted((min(pair), max(pair)) for pair in self.stretches)
        return any(
            second[0] < first[1] * (1 - _ROUNDING) for first, second in itertools.pairwise(ordered)
        )

    def along(self, sigmas: Sequence[float]) -> AffineMap | None:
        """The same map with its draws put on a path, if there is one draw a step; None if not."""
        if not (self.other != 0).any():
            return self
        if len(self.stretches) or len(self.other) != len(sigmas) - 1:
            return None
        levels = np.asarray(sigmas)
        density = self.other.numpy() / np.sqrt(-np.diff(levels))[:, None]
        none = torch.zeros(0, len(self.gain), dtype=torch.float64)
        return replace(self, levels=levels, density=density, other=none)


class Recorder:
    """Answers every draw with zero, and writes down what was asked."""

    def __init__(self, source: Source = Source.BROWNIAN) -> None:
        self.injects = source is not Source.OWN
        self.stretches: list[tuple[float, float]] = []
        self.empty = 0
        self.draws = 0

    def stretch(self, sigma: float, sigma_next: float, like: Tensor) -> Tensor:
        """Zero; a stretch without length is counted apart."""
        if sigma == sigma_next:
            self.empty += 1
        else:
            self.stretches.append((sigma, sigma_next))
        return torch.zeros_like(like)

    def draw(self, number: int, like: Tensor) -> Tensor:
        """Zero."""
        self.draws = max(self.draws, number + 1)
        return torch.zeros_like(like)


class Normals:
    """The normals that a sampler asked for in a first run, and what each of them is in the rows of another.

    Numbered: the pieces of the path, then stretches drawn afresh, then empty stretches, then torch's draws.
    In a batch normal k is ``unit`` in row ``first + k``, a combination in the last row and 0 elsewhere.
    """

    def __init__(self, recorder: Recorder, source: Source) -> None:
        self.injects, self.source = recorder.injects, source
        on_path = recorder.stretches if source is Source.BROWNIAN else []
        self.stretches = tuple(recorder.stretches)
        self.levels = Levels(level for pair in on_path for level in pair)
        self.pieces = max(len(self.levels.values) - 1, 0)
        self.fresh = 0 if on_path else len(recorder.stretches)
        self.empty, self.draws = recorder.empty, recorder.draws
        self.count = self.pieces + self.fresh + self.empty + self.draws

    def combination(self, d: int) -> Tensor:
        """Numbers (count, d) to combine with, as large as normals get: up to 4, exact in any precision."""
        generator = torch.Generator().manual_seed(0)
        return torch.randint(-8, 9, (self.count, d), generator=generator).double() / 2


@dataclass(frozen=True)
class Rows:
    """What the normals are in a batch: see `Normals`.

    normals. shape : of the batch, (rows, d, 1, 1). first : the row of the first normal. unit : (d,).
    combined : (count, d), in the last row.
    """

    normals: Normals
    shape: torch.Size
    first: int
    unit: Tensor
    combined: Tensor

    def weighted(self, start: int, weights: Tensor) -> Tensor:
        """The sum of consecutive normals with these weights, in all rows."""
        answer = torch.zeros(self.shape, dtype=torch.float64)
        rows, stop = self.first + start, start + len(weights)
        answer[rows : rows + len(weights)] = (weights[:, None] * self.unit)[..., None, None]
        answer[-1] = (weights @ self.combined[start:stop])[:, None, None]
        return answer


class Answers:
    """Answers the draws of one run with some of the rows."""

    def __init__(self, rows: Rows, part: slice) -> None:
        self.injects = rows.normals.injects
        self._rows, self._part = rows, part
        self._shape = torch.Size((len(range(rows.shape[0])[part]), *rows.shape[1:]))
        self._asked = self._empty = 0

    def stretch(self, sigma: float, sigma_next: float, like: Tensor) -> Tensor:
        """The noise sampler's answer."""
        normals = self._rows.normals
        if sigma == sigma_next:
            self._empty += 1
            return self._one(normals.pieces + normals.fresh, self._empty, normals.empty, like)
        self._asked += 1
        if normals.source is Source.INDEPENDENT:
            return self._one(normals.pieces, self._asked, normals.fresh, like)
        start, stop = normals.levels.index(sigma), normals.levels.index(sigma_next)
        if start is None or stop is None:
            raise NotAffine("asks for noise at other levels when the states differ")
        first, last = sorted((start, stop))
        lengths = -np.diff(normals.levels.values[first : last + 1])
        weights = torch.from_numpy(np.sqrt(lengths / lengths.sum()))
        if sigma < sigma_next:
            weights = -weights
        return self._rows.weighted(first, weights)[self._part].to(like)

    def draw(self, number: int, like: Tensor) -> Tensor:
        """The answer to torch's own draw."""
        normals = self._rows.normals
        require_answerable(number, like, self._shape)
        return self._one(normals.count - normals.draws, number + 1, normals.draws, like)

    def _one(self, before: int, number: int, known: int, like: Tensor) -> Tensor:
        if number > known:
            raise NotAffine("asks for more noise when the states differ")
        one = torch.ones(1, dtype=torch.float64)
        return self._rows.weighted(before + number - 1, one)[self._part].to(like)


def run_rows(
    target: Target,
    model: Callable[[slice], Model],
    x: Tensor,
    sigmas: Tensor,
    rows: Rows,
    **options: Any,
) -> Tensor:
    """Run a batch; sample by sample if the target is `alone`. ``model`` is made for a part of the rows."""
    parts = [slice(i, i + 1) for i in range(len(x))] if target.alone else [slice(0, len(x))]
    ends = [
        call(target, model(part), x[part].clone(), sigmas.clone(), Answers(rows, part), **options)
        for part in parts
    ]
    return torch.cat(ends)


class Fit(Protocol):
    """What fits a sampler on basis vectors.

    calls : the levels of the model calls. misfit : of a combination, relative, by coordinates.
    """

    @property
    def calls(self) -> tuple[float, ...]:
        """(calls,)."""
        ...

    @property
    def misfit(self) -> np.ndarray:
        """(d,)."""
        ...


def require_affine(found: Fit) -> None:
    """Raise NotAffine for a misfit that is more than the rounding of well-conditioned steps."""
    misfit = float(np.abs(found.misfit).max())
    if misfit > _AFFINE + _AFFINE_PER_CALL * len(found.calls) ** 0.5:
        raise NotAffine(
            "is not affine in state, noise and estimates, off by "
            f"{misfit:.1g}: adaptive steps, thresholding, noise that is not Gaussian, numbers that come "
            "neither from torch nor from the noise sampler, or steps so unstable that rounding grows"
        )


def require_rowwise(off: float, calls: int) -> None:
    """Raise BatchDependent for the relative change of a result, alone and in a batch, beyond rounding."""
    if off > _AFFINE + _AFFINE_PER_CALL * calls**0.5:
        raise BatchDependent(off)


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
    BatchDependent : the result for one state is another one in another batch.
    NotAffine : a combination of inputs does not give that combination of outputs.
    SamplerFailure : from `call`.
    """
    found = fitted(target, means, variances, sigmas, source, **options)
    require_affine(found)
    return found


def fitted(
    target: Target,
    means: Tensor,
    variances: Tensor,
    sigmas: Sequence[float],
    source: Source = Source.BROWNIAN,
    **options: Any,
) -> AffineMap:
    """The affine map that fits a sampler on basis vectors, with its misfit, which may be any.

    Raises
    ------
    BatchDependent, SamplerFailure : as `probe`.
    """
    grid = torch.tensor(sigmas, dtype=torch.float64)
    d = len(variances)
    recorder, model = Recorder(source), LinearModel(means, variances)
    zero = torch.zeros(1 if target.alone else 2, d, 1, 1, dtype=torch.float64)
    at_zero = call(target, model, zero, grid.clone(), recorder, **options)
    normals = Normals(recorder, source)
    # Row 0 is the zero state, row 1 a unit state, then a normal each; the last combines all of them, with
    # a state as far out as one in thirty thousand.
    combined = normals.combination(d)
    highest = sigmas[0] if math.isfinite(sigmas[0]) else 0.0
    far = 4 * (variances + highest**2).sqrt().clamp(min=1.0)
    x = torch.zeros(normals.count + 3, d, 1, 1, dtype=torch.float64)
    x[1], x[-1] = 1.0, far[:, None, None]
    rows = Rows(normals, x.shape, 2, torch.ones(d, dtype=torch.float64), combined)
    result = run_rows(target, lambda _: LinearModel(means, variances), x, grid, rows, **options)
    result = result.double()[..., 0, 0]
    offset = result[0]
    linear = result[1:-1] - offset
    terms = torch.cat([far[None], combined]) * linear
    size = offset.abs() + terms.abs().sum(0) + 1.0
    alone = at_zero[0].double()[..., 0, 0]
    require_rowwise(float(((alone - offset).abs() / size).max()), len(model.levels))
    weights, levels = linear[1:], normals.levels.values
    density = weights[: normals.pieces].numpy() / np.sqrt(-np.diff(levels))[:, None]
    return AffineMap(
        offset=offset,
        gain=linear[0],
        levels=levels,
        density=density,
        other=weights[normals.pieces :],
        stretches=normals.stretches,
        empty=normals.empty,
        draws=normals.draws,
        calls=tuple(model.levels),
        ends=(sigmas[0], sigmas[-1]),
        misfit=((offset + terms.sum(0) - result[-1]) / size).numpy(),
    )


def path_distance(first: AffineMap, second: AffineMap, means: Tensor, start: Tensor) -> Tensor:
    """RMS distances (d,) of two samplers on one path, from one initial state N(means, start)."""
    edges = np.unique(np.concatenate([first.levels, second.levels]))[::-1]
    one, other = (on_pieces(found.density, found.levels, edges) for found in (first, second))
    difference = one - other
    noise = torch.from_numpy((difference**2 * -np.diff(edges)[:, None]).sum(0))
    gain = first.gain - second.gain
    mean = first.offset - second.offset + gain * means
    return (noise + gain.square() * start + mean.square()).sqrt()


def on_pieces(density: np.ndarray, levels: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """A density (pieces, k) between levels, on the pieces between finer edges; 0 where it is of none."""
    middle = 0.5 * (edges[:-1] + edges[1:])
    if not len(density):
        return np.zeros((len(middle), density.shape[1]))
    index = np.searchsorted(-levels, -middle) - 1
    inside = (index >= 0) & (index < len(density))
    return np.where(inside[:, None], density[index.clip(0, len(density) - 1)], 0)

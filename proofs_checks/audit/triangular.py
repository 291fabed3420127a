r"""Orders on curved data without sampling: a triangular problem on which every error is a finite sum.

The state has three coordinates, and the denoiser

.. math::  D_1 = a\,y_1, \qquad D_2 = g(y_1, \lambda), \qquad D_3 = y_2\,g_3(y_1),

with sines :math:`g = \sin(k y_1 + b + w\lambda)`. y1 is a Gaussian chain. A sampler that is affine in the
estimates and the noise gives y2 and y3 as sums of the estimates at its calls, with weights W that are
found by answering one call with 1 and all others with 0:

.. math::  y_2 = \sum_j W_j\,g(y_1^{(j)}) + \text{noise}, \qquad
           \mathbb{E}\,y_3 = \sum_{j,\, i<j} W_j W_{ji}\,\mathbb{E}\,g(y_1^{(i)})\,g_3(y_1^{(j)}).

Expectations of products of sines of Gaussian variables are closed. One run of the sampler finds the means
of y1 at the calls, its response to each normal, and all W; so nothing is known of the method, and nothing is
sampled. The last row is a run on the problem itself: what it ends at must be the sum.

Errors are distances of consecutive grids: of the expectations (weak), and on one path (strong). The
expectations' limit is compared with the exact one, by quadrature, where the SDE is known.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from proofs_checks.audit.affine import (
    Normals,
    Recorder,
    Rows,
    Source,
    on_pieces,
    require_affine,
    require_rowwise,
    run_rows,
)
from proofs_checks.audit.grids import Grid, shifted
from proofs_checks.audit.orders import Curve, curve, signed_norm
from proofs_checks.audit.protocol import NotAffine, SamplerFailure, Target, call, level_of
from proofs_checks.audit.runs import Runs

SIGMA_MAX, SIGMA_MIN = 1.5, 0.2
STEPS = (8, 16, 32, 64, 128, 256)
FINEST = 1024

START = 1.0
"""Of y1; y2 and y3 start at 0."""

GAIN = 0.45
"""The a of D_1."""


@dataclass(frozen=True)
class Sine:
    """sin(frequency y + phase + rate lambda)."""

    frequency: float
    phase: float
    rate: float = 0.0

    def __call__(self, y: Tensor, sigma: float) -> Tensor:
        """Of states y at a level."""
        return torch.sin(self.frequency * y + self._shift(sigma))

    def _shift(self, sigma: float) -> float:
        return self.phase - self.rate * math.log(sigma)

    def arguments(self, means: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """The argument at the mean, at each call."""
        return self.frequency * means + np.array([self._shift(sigma) for sigma in levels])


DRIVERS = (Sine(1.7, 0.4), Sine(0.8, -0.6, rate=0.9))
"""The g of D_2, one study each."""

THIRD = Sine(1.1, 0.9)
"""The g of D_3."""


@dataclass(frozen=True)
class Chain:
    """What one run shows: y1 at the calls and at the end (last), and the weights of the estimates.

    calls : their levels. means : (calls + 1,), of y1. response : (calls + 1, normals), of y1. edges, pieces :
    levels of the path and how many of the normals are its pieces. weights : (calls + 1, calls), of the
    estimate at each call in each later state. start, first_start : (calls + 1,), the weight of the initial
    state in y2, and in y1. misfit : (3,), the largest of each coordinate, of a run on the problem itself.
    """

    calls: tuple[float, ...]
    means: np.ndarray
    response: np.ndarray
    edges: np.ndarray
    pieces: int
    weights: np.ndarray
    start: np.ndarray
    first_start: np.ndarray
    misfit: np.ndarray

    @cached_property
    def covariance(self) -> np.ndarray:
        """Of y1 at the calls and the end."""
        return self.response @ self.response.T

    @cached_property
    def expectations(self) -> np.ndarray:
        """E of y1, y1^2, and for each driver of y2, y1 y2, y2^2 (without its own noise) and y3."""
        m, c, end = self.means, self.covariance, self.weights[-1]
        v = np.diag(c)
        found = [m[-1], v[-1] + m[-1] ** 2]
        for driver in DRIVERS:
            k, theta = driver.frequency, driver.arguments(m[:-1], self.calls)
            damping = np.exp(-0.5 * k**2 * v[:-1])
            mean = damping * np.sin(theta)
            with_end = m[-1] * mean + k * c[-1, :-1] * damping * np.cos(theta)
            squares = _pairs(driver, theta, driver, theta, c[:-1, :-1])
            phi = THIRD.arguments(m[:-1], self.calls)
            chained = _pairs(THIRD, phi, driver, theta, c[:-1, :-1])
            found += [
                end @ mean,
                end @ with_end,
                end @ squares @ end,
                end @ (self.weights[:-1] * chained).sum(1),
            ]
        return np.array(found)

    def on_path(self, sigmas: Sequence[float]) -> Chain | None:
        """The same with one draw a step put on a path; None if the noise cannot be."""
        other = self.response[:, self.pieces :]
        if not (other != 0).any():
            return self
        if self.pieces or other.shape[1] != len(sigmas) - 1:
            return None
        return replace(self, edges=np.asarray(sigmas), pieces=other.shape[1])

    def density(self, edges: np.ndarray) -> np.ndarray:
        """The response per root of length on the pieces between finer edges, (calls + 1, pieces)."""
        own = self.response[:, : self.pieces] / np.sqrt(-np.diff(self.edges))
        return on_pieces(own.T, self.edges, edges).T

    @property
    def estimates_a_step(self) -> int:
        """The most estimates that the way from one call's state to the next, or to the end, depends on.

        The state before counts for what it holds: what is left is what the way itself uses, of this step and
        of earlier ones.
        """
        most = 0
        for before, after in itertools.pairwise(range(len(self.means))):
            # A sampler that forgets its state, as one for consistency models, has nothing to carry on.
            ratio = self.start[after] / self.start[before] if self.start[before] else 0.0
            used = np.abs(self.weights[after] - ratio * self.weights[before]) > 1e-9
            most = max(most, int(used.sum()))
        return most


def _product(
    first: Sine,
    theta: np.ndarray,
    v: np.ndarray,
    second: Sine,
    phi: np.ndarray,
    u: np.ndarray,
    c: np.ndarray,
) -> np.ndarray:
    """E of products of sines at arguments with means theta and phi; y of variances v, u, covariances c."""
    k, q = first.frequency, second.frequency
    base = k**2 * v + q**2 * u
    apart = np.exp(-0.5 * (base - 2 * k * q * c)) * np.cos(theta - phi)
    return 0.5 * (apart - np.exp(-0.5 * (base + 2 * k * q * c)) * np.cos(theta + phi))


def _pairs(
    first: Sine, theta: np.ndarray, second: Sine, phi: np.ndarray, c: np.ndarray
) -> np.ndarray:
    """The same of all pairs of calls, whose y have the covariance matrix c."""
    v = np.diag(c)
    return _product(first, theta[:, None], v[:, None], second, phi[None], v[None], c)


@dataclass(frozen=True)
class Problem:
    """A triangular problem: y1 linear, y2 driven by a function of it, y3 by y2 and another function.

    gain : of D_1 = gain(sigma) y1. feedback : of what D_2 and D_3 hold of y2 and y3 themselves. driver :
    (y1, sigma) to the rest of D_2. start : of y1.
    """

    gain: Callable[[float], float]
    feedback: Callable[[float], float]
    driver: Callable[[Tensor, float], Tensor]
    start: float


def curved(driver: Sine) -> Problem:
    """That of the module's formulas."""
    return Problem(lambda sigma: GAIN, lambda sigma: 0.0, driver, START)


@dataclass
class _Model:
    """The denoiser by rows: y1 linear; y2 answered with units; the problem itself in the last row.

    rows : the numbers of those that run, of a batch whose last has the number `last`. Row ``2 + j`` is
    answered with 1 at call j. calls : the levels it was called at. states : (calls, rows, 3), of these calls.
    """

    rows: Tensor
    last: int
    problem: Problem
    calls: list[float] = field(default_factory=list)
    states: list[Tensor] = field(default_factory=list)

    def __call__(self, x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        level = level_of(sigma)
        number = len(self.calls)
        self.calls.append(level)
        y = x.double()[..., 0, 0]
        self.states.append(y.clone())
        last = self.rows == self.last
        unit = (self.rows == 2 + number).to(y)
        answer = self.problem.feedback(level) * y
        answer[:, 0] = self.problem.gain(level) * y[:, 0]
        answer[:, 1] += torch.where(last, self.problem.driver(y[:, 0], level), unit)
        answer[:, 2] += torch.where(last, y[:, 1] * THIRD(y[:, 0], level), 0.0)
        return answer[..., None, None].to(x)


def chain(
    target: Target,
    sigmas: Sequence[float],
    source: Source,
    problem: Problem | None = None,
    **options: Any,
) -> Chain:
    """Run the sampler once on the problem, the curved one with its first driver or another, by rows.

    Raises
    ------
    BatchDependent, NotAffine, SamplerFailure : as `affine.probe`.
    """
    found = fitted_chain(target, sigmas, source, problem, **options)
    require_affine(found)
    return found


def fitted_chain(
    target: Target,
    sigmas: Sequence[float],
    source: Source,
    problem: Problem | None = None,
    **options: Any,
) -> Chain:
    """The same with its misfit, which may be any.

    Raises
    ------
    BatchDependent, SamplerFailure : as `affine.probe`.
    NotAffine : the levels of its calls depend on the states.
    """
    problem = problem or curved(DRIVERS[0])
    grid = torch.tensor(sigmas, dtype=torch.float64)
    recorder = Recorder(source)
    # Rows 0 and 1 of the first run are those of the second: its means, and its responses to the start.
    x = torch.zeros(2, 3, 1, 1, dtype=torch.float64)
    x[0, 0], x[1, :2] = problem.start, 1.0
    together = 1 if target.alone else 2
    dry = _Model(torch.arange(together), -1, problem)
    dry_end = call(target, dry, x[:together].clone(), grid.clone(), recorder, **options)
    calls = len(dry.calls)
    if not calls:
        raise SamplerFailure("never calls the model")
    normals = Normals(recorder, source)
    rows_count = 2 + max(normals.count, calls) + 1
    start = torch.zeros(rows_count, 3, 1, 1, dtype=torch.float64)
    start[:2], start[-1, 0] = x, problem.start
    combined = normals.combination(3)
    combined[:, 1:] = 0.0
    unit = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    rows = Rows(normals, start.shape, 2, unit, combined)
    models: list[_Model] = []

    def model(part: slice) -> _Model:
        models.append(_Model(torch.arange(rows_count)[part], rows_count - 1, problem))
        return models[-1]

    ends = run_rows(target, model, start, grid, rows, **options).double()[..., 0, 0]
    if any(found.calls != dry.calls for found in models):
        raise NotAffine("calls the model at other levels when the states differ")
    states = torch.cat([torch.stack(found.states) for found in models], dim=1)
    y = torch.cat([states, ends[None]]).numpy()  # (calls + 1, rows, 3)
    means = y[:, 0, 0]
    first = y[-1, :together]
    off = np.abs(dry_end.double()[..., 0, 0].numpy() - first).max() / (1 + np.abs(first).max())
    require_rowwise(float(off), calls)
    found = Chain(
        misfit=np.zeros(3),
        calls=tuple(dry.calls),
        means=means,
        response=y[:, 2 : 2 + normals.count, 0],  # these start at 0, and y1 is linear
        edges=normals.levels.values,
        pieces=normals.pieces,
        weights=y[:, 2 : 2 + calls, 1],
        start=y[:, 1, 1],
        first_start=y[:, 1, 0],
    )
    return replace(found, misfit=_misfit(found, y[:, -1], combined[:, 0].numpy(), problem.driver))


def _misfit(
    found: Chain, run: np.ndarray, combined: np.ndarray, driver: Callable[[Tensor, float], Tensor]
) -> np.ndarray:
    """What the run on the problem itself, (calls + 1, 3), is off the sums by: the largest, relative."""
    levels = found.calls
    first = found.means + found.response @ combined
    estimates = _values(driver, run[:-1, 0], levels)
    second = found.weights @ estimates
    third = run[:-1, 1] * _values(THIRD, run[:-1, 0], levels)
    expected = np.stack([first, second, found.weights @ third], axis=1)
    size = 1 + np.abs(found.response * combined).sum(1, keepdims=True)
    off = (expected - run) / size
    return off[np.abs(off).argmax(0), range(3)]


def _values(
    driver: Callable[[Tensor, float], Tensor], y: np.ndarray, levels: Sequence[float]
) -> np.ndarray:
    return np.array([float(driver(torch.tensor(a), s)) for a, s in zip(y, levels, strict=True)])


def distance(first: Chain, second: Chain) -> float:
    """The RMS distance of y1 and of the curved part of y2, for all drivers, on one path."""
    edges = np.unique(np.concatenate([first.edges, second.edges, [SIGMA_MIN, SIGMA_MAX]]))[::-1]
    lengths = -np.diff(edges)
    response = np.concatenate([first.density(edges), second.density(edges)]) * np.sqrt(lengths)
    n = len(first.means)
    ends = response[n - 1] - response[-1]
    total = float(ends @ ends) + float(first.means[-1] - second.means[-1]) ** 2
    inner = np.r_[0 : n - 1, n : len(response) - 1]
    covariance = (response @ response.T)[np.ix_(inner, inner)]
    weights = np.concatenate([first.weights[-1], -second.weights[-1]])
    for driver in DRIVERS:
        theta = np.concatenate([driver.arguments(c.means[:-1], c.calls) for c in (first, second)])
        total += float(weights @ _pairs(driver, theta, driver, theta, covariance) @ weights)
    return math.sqrt(max(total, 0.0))


def exact(eta: float) -> np.ndarray:
    """The expectations of the solution of the SDE with this eta, by Gauss-Legendre quadrature.

    As `Chain.expectations`, with the kernel of the drift for the weights and the exact y1 for the chain.
    """
    nodes, weights = np.polynomial.legendre.leggauss(40)
    start, end = -math.log(SIGMA_MAX), -math.log(SIGMA_MIN)
    beta = (1 + eta) * (1 - GAIN)

    def mean(at: np.ndarray) -> np.ndarray:
        return START * np.exp(-beta * (at - start))

    def variance(at: np.ndarray) -> np.ndarray:
        # The integral of exp(power u) from the start, also for power = 0.
        power = 2 * beta - 2
        length = at - start
        growth = np.exp(power * start) * (length if not power else np.expm1(power * length) / power)
        return 2 * eta * np.exp(-2 * beta * at) * growth

    def product(first: Sine, at: np.ndarray, second: Sine, before: np.ndarray) -> np.ndarray:
        """E of first(y1) at one time and second(y1) at times before it; at : (n,), before : (n, m)."""
        theta = (first.frequency * mean(at) + first.phase + first.rate * at)[:, None]
        phi = second.frequency * mean(before) + second.phase + second.rate * before
        c = np.exp(-beta * (at[:, None] - before)) * variance(before)
        return _product(first, theta, variance(at)[:, None], second, phi, variance(before), c)

    half = 0.5 * (end - start)
    at = start + half * (1 + nodes)
    outer = half * weights * (1 + eta) * np.exp(-(1 + eta) * (end - at))
    before = start + 0.5 * (at - start)[:, None] * (1 + nodes)
    lengths = 0.5 * (at - start)[:, None] * weights
    inner = lengths * (1 + eta) * np.exp(-(1 + eta) * (at[:, None] - before))
    to_end = lengths * (1 + eta) * np.exp(-(1 + eta) * (end - before))
    last = np.array([end])
    m, v = mean(last)[0], variance(last)[0]
    found = [m, v + m**2]
    for driver in DRIVERS:
        k = driver.frequency
        theta = k * mean(at) + driver.phase + driver.rate * at
        damping = np.exp(-0.5 * k**2 * variance(at))
        with_end = m * np.sin(theta) + k * np.exp(-beta * (end - at)) * variance(at) * np.cos(theta)
        found += [
            outer @ (damping * np.sin(theta)),
            outer @ (damping * with_end),
            2 * outer @ (to_end * product(driver, at, driver, before)).sum(1),
            outer @ (inner * product(THIRD, at, driver, before)).sum(1),
        ]
    return np.array(found)


class Chains(Runs[Chain]):
    """The chains of one problem on several grids, found when first needed."""

    def __init__(
        self,
        target: Target,
        source: Source,
        steps: Sequence[int],
        levels: Grid,
        problem: Problem | None = None,
    ) -> None:
        super().__init__(target)
        self.steps = tuple(steps)
        self._source, self._levels, self._problem = source, levels, problem

    def chain(self, steps: int) -> Chain:
        """What the sampler does on a grid of that many steps."""
        return self.kept(steps, lambda: self.judged(partial(self.shifted_chain, steps)))

    def shifted_chain(self, steps: int, shift: float) -> Chain:
        """The same with all levels shifted, whatever its misfit."""

        def run() -> Chain:
            levels = shifted(self._grid(steps), shift)
            return fitted_chain(self.target, levels, self._source, self._problem)

        return self.kept((steps, shift), run)

    def _grid(self, steps: int) -> list[float]:
        return self._levels(SIGMA_MAX, SIGMA_MIN, steps)


class TriangularStudy(Chains):
    """The curved problem on several grids: what orders a sampler has there, and what it tends to."""

    @cached_property
    def weak_curve(self) -> Curve:
        """Distances of the expectations on consecutive grids."""

        def on_grids(steps: Sequence[int]) -> Curve:
            values = [self.chain(n).expectations for n in steps]
            errors = [signed_norm(a - b) for a, b in itertools.pairwise(values)]
            following = dict(itertools.pairwise(steps))

            def explains(n: int, error: float) -> bool:
                return self.explains(error, partial(self._shifted_distance, n, following[n]))

            return curve(steps[:-1], errors, self.rounding, explains)

        return self.followed(on_grids, self.steps, FINEST)

    def _shifted_distance(self, few: int, many: int, shift: float) -> np.ndarray:
        first, second = (self.shifted_chain(n, shift).expectations for n in (few, many))
        return first - second

    @cached_property
    def strong_curve(self) -> Curve | None:
        """RMS distances of consecutive grids on one path; None where no path is known."""
        if any(self._on_path(n) is None for n in self.steps):
            return None

        def on_grids(steps: Sequence[int]) -> Curve:
            chains = [found for n in steps if (found := self._on_path(n)) is not None]
            distances = [distance(a, b) for a, b in itertools.pairwise(chains)]
            return curve(steps[:-1], distances, self.rounding)

        return self.followed(on_grids, self.steps, FINEST)

    def _on_path(self, steps: int) -> Chain | None:
        return self.chain(steps).on_path(self._grid(steps))

    @property
    def estimates_a_step(self) -> int:
        """The most estimates that one step uses, of its own calls and of those before."""
        return self.chain(self.steps[1]).estimates_a_step

    def etas(self) -> list[float]:
        """The eta whose SDE has the gain of a state that no estimate drives, e^(-(1 + eta) log-range)."""
        log_range = math.log(SIGMA_MAX / SIGMA_MIN)
        gains = [abs(float(self.chain(n).start[-1])) for n in self.steps]
        return [-math.log(gain) / log_range - 1 if gain else math.inf for gain in gains]

    def expectations(self) -> list[np.ndarray]:
        """The expectations on each grid."""
        return [self.chain(n).expectations for n in self.steps]

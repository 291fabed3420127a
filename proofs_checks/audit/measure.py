r"""What a sampler converges to and how fast, on Gaussian data of five variances at once, without sampling.

Kept apart, as they should be: the order at which the sampler approaches *its own* limit (strong, from
the distances of consecutive grids on one path), the error against the *exact* law (weak), and whether
that limit is the law and the path of the SDE, at which eta.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from proofs_checks.audit.affine import AffineMap, Source, fitted, path_distance
from proofs_checks.audit.findings import finite
from proofs_checks.audit.grids import even, shifted
from proofs_checks.audit.orders import Curve, curve, signed_norm
from proofs_checks.audit.protocol import Target
from proofs_checks.audit.runs import Runs

VARIANCES = torch.tensor([0.01, 0.1, 1.0, 10.0, 100.0], dtype=torch.float64)
"""Of the data: from nearly a point to wider than most noise levels, so that no scale decides alone."""

MEANS = torch.tensor([0.1, -0.3, 1.0, -3.0, 10.0], dtype=torch.float64)
"""Of the data, one standard deviation each."""

SIGMA_MAX, SIGMA_MIN = 20.0, 0.02
STEPS = (16, 32, 64, 128, 256)
ALONE_STEPS = (16, 32, 64, 128)
"""Of a sampler that is run on one sample at a time."""

COSTLY_STEPS = (8, 16, 32, 64, 128, 256)
"""Of a costly target, for which no finer grids are tried."""

SHIPPED_STEPS = (8, 16, 32)
"""Fewer for a sampler's own noise source: a Brownian tree draws tens of numbers a step."""

_ROUGH = 1e-5  # below this an error may be rounding of single-precision coefficients

_ETA_DOUBT = 0.1
"""No eta is told that is not known better."""

FINEST = 2048


def grid(steps: int) -> list[float]:
    """Equal steps in log-SNR between the audit's ends."""
    return even(SIGMA_MAX, SIGMA_MIN, steps)


@dataclass(frozen=True)
class Limit:
    """What the sampler tends to as the steps shrink.

    law_error : extrapolated relative error of the final standard deviations and means, the largest.
    law : whether that is 0 as far as can be told. eta : of the SDE whose gain it has, at all variances;
    None if there is no one eta. etas : the value at each variance. path_error : extrapolated distance to
    that SDE's solution on the same path, relative; None where no path is known. path : whether it is 0.
    """

    law_error: float
    law: bool
    eta: float | None
    etas: tuple[float, ...]
    path_error: float | None
    path: bool | None

    def __str__(self) -> str:
        if not self.law:
            return f"another law, off by {self.law_error:.1e}"
        if self.eta is None:
            return f"right law; eta varies, {min(self.etas):.2f} to {max(self.etas):.2f}"
        if self.eta == 0:
            return "ODE"
        path = "; not on its path" if self.path is False else ""
        return f"SDE, eta {self.eta:.3g}{path}"

    def to_json(self) -> dict[str, Any]:
        """The record in a report."""
        return {
            "text": str(self),
            "law": self.law,
            "law_error": finite(self.law_error),
            "eta": self.eta,
            "path": self.path,
        }


class Measurement(Runs[AffineMap]):
    """The affine maps of one sampler, found when first needed, and what follows from them."""

    def __init__(
        self,
        target: Target,
        steps: Sequence[int] = STEPS,
        levels: Callable[[int], list[float]] = grid,
    ) -> None:
        super().__init__(target)
        self.steps, self._grid = tuple(steps), target.levels or levels

    @property
    def source(self) -> Source:
        """The source whose paths can be shared by different grids, if the sampler lets it be given."""
        return Source.BROWNIAN if self.target.takes_noise_sampler else Source.OWN

    def map(self, steps: int, source: Source | None = None) -> AffineMap:
        """The affine map on a grid of that many steps."""
        source = source or self.source

        def run() -> AffineMap:
            return self.judged(lambda shift: self._shifted_map(steps, shift, source))

        return self.kept((steps, source), run)

    def _shifted_map(self, steps: int, shift: float, source: Source | None = None) -> AffineMap:
        """The same with all levels shifted, whatever its misfit."""
        source = source or self.source

        def run() -> AffineMap:
            levels = shifted(self._grid(steps), shift)
            return fitted(self.target, MEANS, VARIANCES, levels, source)

        return self.kept((steps, source, shift), run)

    def probe(
        self, sigmas: Sequence[float], variances: Tensor = VARIANCES, **options: Any
    ) -> AffineMap:
        """The affine map on other levels, of other data, or with options.

        Raises
        ------
        BatchDependent, NotAffine, SamplerFailure : as `affine.probe`.
        """

        def run(shift: float) -> AffineMap:
            levels = shifted(sigmas, shift)
            return fitted(self.target, MEANS, variances, levels, self.source, **options)

        return self.judged(run)

    def explains_law(self, steps: int, error: float, source: Source | None = None) -> bool:
        """Whether rounding explains an error of the law on that many steps."""

        def errors(shift: float) -> np.ndarray:
            return self.law_errors(self._shifted_map(steps, shift, source)).numpy()

        return self.explains(error, errors)

    def _explains_limit(self, steps: Sequence[int], error: float) -> bool:
        """Whether rounding explains what errors of the law on these numbers of steps tend to."""

        def limit(shift: float) -> np.ndarray:
            maps = [self._shifted_map(n, shift) for n in steps]
            return extrapolated([self.law_errors(response) for response in maps])[0].numpy()

        return self.explains(error, limit)

    def law_errors(self, response: AffineMap) -> Tensor:
        """Relative errors of the final law: of the deviations and of the means, (2, d)."""
        start, end = _variances(response)
        exact = end.sqrt()
        variance = response.gain.square() * start + response.noise_variance
        mean = response.offset + (response.gain - 1) * MEANS
        return torch.stack([variance.sqrt() / exact - 1, mean / exact])

    def weak(self, source: Source | None = None) -> Curve:
        """Relative W2 distances of the final law to the exact one, norm over the variances."""

        def errors(steps: Sequence[int]) -> list[float]:
            return [
                signed_norm(self.law_errors(self.map(n, source)).numpy().ravel()) for n in steps
            ]

        def on_grids(steps: Sequence[int]) -> Curve:
            return curve(
                steps,
                errors(steps),
                self.rounding,
                lambda n, error: self.explains_law(n, error, source),
            )

        return self.followed(on_grids, self.steps, FINEST)

    @cached_property
    def weak_curve(self) -> Curve:
        """With noise on one path, or the sampler's own where none can be given."""
        return self.weak()

    @cached_property
    def independent_curve(self) -> Curve:
        """With a noise sampler that draws afresh at every call."""
        if not self.target.takes_noise_sampler or not self.map(self.steps[-1]).overlapping():
            return self.weak_curve
        return self.weak(Source.INDEPENDENT)

    def on_path(self, steps: int) -> AffineMap | None:
        """The map on a path; None if the draws cannot be put on one."""
        return self.map(steps).along(self._grid(steps))

    @cached_property
    def strong_curve(self) -> Curve | None:
        """Distances of consecutive grids on one path, relative; None where no path is known."""
        if any(self.on_path(n) is None for n in self.steps):
            return None
        starts_differ = len({self.map(n).ends for n in self.steps}) > 1  # of levels of its own
        if starts_differ:
            return None

        def on_grids(steps: Sequence[int]) -> Curve:
            maps = [found for n in steps if (found := self.on_path(n)) is not None]
            distances = [self._distance(a, b) for a, b in itertools.pairwise(maps)]
            return curve(steps[:-1], distances, self.rounding)

        return self.followed(on_grids, self.steps, FINEST)

    def _distance(self, first: AffineMap, second: AffineMap) -> float:
        start, end = _variances(second)
        return float((path_distance(first, second, MEANS, start) / end.sqrt()).norm())

    @property
    def deterministic(self) -> bool:
        """Whether noise has no effect."""
        response = self.map(self.steps[-1])
        return response.deterministic(_variances(response)[1].sqrt())

    @cached_property
    def nfe_per_step(self) -> float:
        """Model calls added by each further step."""
        few, many = self.steps[1], self.steps[2]
        return (len(self.map(many).calls) - len(self.map(few).calls)) / (many - few)

    @cached_property
    def limit(self) -> Limit:
        """See `Limit`."""
        counts = self.steps[-4:]
        maps = [self.map(n) for n in counts]
        law_error, law = vanishes([self.law_errors(response) for response in maps])
        law = law or self._explains_limit(counts, law_error)
        if (
            not law and not self.target.costly
        ):  # a method in blocks of three follows one order on multiples
            thirds = [self.map(n + n // 2) for n in counts]
            law_error, law = vanishes([self.law_errors(response) for response in thirds])
        etas, doubt = extrapolated([self._etas(response) for response in maps])
        spread = float(etas.max() - etas.min())
        eta = None
        if law and spread < 0.02 + 2 * float(doubt.min()) and float(doubt.min()) < _ETA_DOUBT:
            eta = 0.0 if self.deterministic else round(float(etas[doubt.argmin()]), 4) + 0.0
        path_error = path = None
        if eta and self.on_path(counts[-1]) is not None:
            distances = [self._to_solution(self.on_path(n), eta) for n in counts]
            path_error, path = vanishes([torch.tensor(d) for d in distances], share=0.25)
        return Limit(law_error, law, eta, tuple(etas.tolist()), path_error, path)

    def _etas(self, response: AffineMap) -> Tensor:
        """The eta whose SDE has this gain, at each variance: gain = ((c + t^2)/(c + s^2))^((1+eta)/2)."""
        start, end = _variances(response)
        return 2 * response.gain.abs().log() / (end / start).log() - 1

    def _to_solution(self, response: AffineMap | None, eta: float) -> float:
        """The relative RMS distance to the exact solution of the SDE on the same path."""
        assert response is not None
        nodes, weights = np.polynomial.legendre.leggauss(8)
        edges = response.levels
        middle, half = 0.5 * (edges[:-1] + edges[1:]), -0.5 * np.diff(edges)
        points = middle[:, None] + half[:, None] * nodes
        start, end = _variances(response)
        power = 0.5 * (1 + eta)
        flow = (end.numpy() / (VARIANCES.numpy() + points[..., None] ** 2)) ** power
        exact = flow * np.sqrt(2 * eta * points)[..., None]
        # The path's sign is a convention of the sampler: take the nearer one.
        squares = [
            np.einsum(
                "pn,pnd->d",
                half[:, None] * weights,
                (sign * response.density[:, None] - exact) ** 2,
            )
            for sign in (1, -1)
        ]
        gain = (response.gain - (end / start) ** power).square() * start
        return min(float(((torch.from_numpy(s) + gain) / end).sum().sqrt()) for s in squares)


def _variances(response: AffineMap) -> tuple[Tensor, Tensor]:
    """Of the states at the first and the last level of its grid, (d,) each."""
    start, end = response.ends
    return VARIANCES + start**2, VARIANCES + end**2


def extrapolated(values: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Richardson's limit of values on grids of n, 2n, 4n, ... steps, and how well it is known.

    Polynomial in the step through all of them. The doubt is three times what the first of them changes,
    or what the first two change together if that is more.
    """
    rows = [list(values)]
    for k in range(1, len(values)):
        rows.append([(2**k * b - a) / (2**k - 1) for a, b in itertools.pairwise(rows[-1])])
    limit, without_first, without_two = rows[-1][0], rows[-2][1], rows[-3][2]
    doubt = torch.maximum(3 * (limit - without_first).abs(), (limit - without_two).abs())
    return limit, doubt


def vanishes(values: Sequence[Tensor], share: float = 0.005) -> tuple[float, bool]:
    """The limit of values, its largest entry, and whether it is 0.

    That is not told apart from a share of the last value, the doubt, or rounding.
    """
    limit, doubt = extrapolated(values)
    largest, last = float(limit.abs().max()), float(values[-1].abs().max())
    return largest, largest < max(float(doubt.max()), share * last, _ROUGH)

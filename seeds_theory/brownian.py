r"""One Brownian path for every step size and every form: coupled solutions, the same sample at more steps.

The path is drawn on a fine grid, as the noises of the forms asked for on each of its intervals, jointly,
and as their moments of higher power where a method asks for averages of the path. Coarser noises are joined
from fine ones, :math:`N(s,t) = \Phi(t,m) N(s,m) + N(m,t)`, and moments by the rule of
`seeds_theory.noise`, which is exact: a plan whose points and nodes lie on the fine grid sees the very same
Brownian motion as any other.

Where eta differs from step to step, the Brownian motion that all share is that of the log-SNR: a noise of
another eta on the same interval is another integral of the same :math:`dW`, carried as one more form.

Joint law on one interval: the Gram matrix of the noise kernels. It is factored without forming it, by a
QR decomposition of the kernels at Gauss-Legendre points, so that nearly equal kernels (short
intervals) lose nothing.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import factorial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from seeds_theory.errors import NoiseError, ParameterError
from seeds_theory.eta_schedule import Eta, step_etas
from seeds_theory.forms import DATA, Form, numbers_of
from seeds_theory.grids import require_grid
from seeds_theory.plan import Interval, Plan
from seeds_theory.sources import GeneratorNoise, NoiseSource, require_normals

if TYPE_CHECKING:
    from seeds_theory.exact import SemilinearForm

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_LONGEST = 1.0  # length times (1 + eta) of a piece on which that many points are exact to rounding
_SAME_POINT = 1e-9  # in log-SNR: points closer than this are one point of the path

Carried = tuple[Form, float, int]
"""What is kept of the path on an interval: the noise of a form at an eta, or its moment of that power."""


@dataclass(frozen=True)
class _Piece:
    """Consecutive intervals of the fine grid that carry the same.

    first, last : the points where they begin and end.
    normal : the number of their first normal.
    factors : lower triangular, of their joint covariances, (intervals, carried, carried, [*event]).
    """

    first: int
    last: int
    normal: int
    carried: tuple[Carried, ...]
    factors: np.ndarray


class BrownianPath:
    r"""A noise source that serves any interval between points of its grid, always from the same path.

    Parameters
    ----------
    sigmas : the fine grid, descending; see `path_points` for the union over several plans, and
        `BrownianPath.serving` for whatever has to be served.
    eta : the path's :math:`\eta`, > 0; or one that differs between intervals of the grid, as in `make_plan`.
    like : a tensor with the states' shape, dtype and device.
    source : who draws the normals of the path; default, torch's global generator. With `SeededNoise`
        each sample has its own path.
    forms : the forms whose noise will be asked for, of `seeds_theory.forms` or in symbols; data prediction by
        default.
    parameters : value of the parameter of a form that has one, e.g. ``{GAUSSIAN: c}`` with c a number
        or an array that broadcasts over the event shape.
    degree : the highest `Interval.degree` that will be asked for, of any form without a parameter.

    It keeps all its normals, one state for each interval of its grid and form, as long as it lives. A noise
    is one sum over the normals of its stretch, and waits for no device.

    Raises
    ------
    ParameterError, GridError : eta or grid not admissible.
    NoiseError : when asked for a form it does not carry, or a point that is not on its grid.
    """

    def __init__(
        self,
        sigmas: Sequence[float] | np.ndarray,
        eta: Eta,
        like: Tensor,
        source: NoiseSource | None = None,
        forms: Sequence[Form | SemilinearForm] = (DATA,),
        parameters: Mapping[Form | SemilinearForm, Any] | None = None,
        degree: int = 0,
    ) -> None:
        grid = require_grid(sigmas)
        along = step_etas(eta, grid.tolist())
        if along == 0:
            raise ParameterError(f"a path needs a finite eta > 0; got {eta}")
        each = np.broadcast_to(np.array(along), len(grid) - 1).tolist()
        self._draw(
            grid,
            [(value,) if value else () for value in each],
            like,
            source,
            forms,
            parameters,
            degree,
        )
        self.eta = along

    def _draw(
        self,
        grid: np.ndarray,
        etas: Sequence[tuple[float, ...]],
        like: Tensor,
        source: NoiseSource | None,
        forms: Sequence[Form | SemilinearForm],
        parameters: Mapping[Form | SemilinearForm, Any] | None = None,
        degree: int = 0,
    ) -> None:
        """Draw the path, with the noises of these etas on each interval."""
        if grid[-1] == 0 or (np.isinf(grid[0]) and tuple(map(numbers_of, forms)) != (DATA,)):
            raise NoiseError(
                "a path ends at a positive noise level, and starts at a finite one unless it serves "
                "data prediction alone"
            )
        if np.isinf(grid[0]) and len(etas[0]) > 1:
            raise NoiseError(
                f"from an infinite level a path serves one eta; got {etas[0]}: start at a finite one"
            )
        self.forms = tuple(map(numbers_of, forms))
        given = {numbers_of(form): value for form, value in (parameters or {}).items()}
        self._parameters = {
            form: _over_event(form, value, tuple(like.shape[1:])) for form, value in given.items()
        }
        for form in self.forms:
            if form.parameter and form not in self._parameters:
                raise ParameterError(
                    f"the form {form.name!r} needs a value: parameters={{form: {form.parameter}}}"
                )
        self._log_snr = -np.log(grid)
        carried = [
            tuple(
                (form, eta, power)
                for eta in here
                for form in self.forms
                for power in range(1 + (0 if form.parameter else degree))
            )
            for here in etas
        ]
        pairs = zip(grid.tolist(), grid[1:].tolist(), carried, strict=False)
        fine = [
            Interval(a, b, form, eta, degree=power)
            for a, b, here in pairs
            for form, eta, power in here
        ]
        drawn = (source or GeneratorNoise())(fine, like)
        normals = require_normals(drawn, len(fine), like, "the path")
        wide = torch.promote_types(like.dtype, torch.float32)  # sums need the digits
        self._normals = normals.to(wide).unbind()
        self._pieces: list[_Piece] = []
        first = normal = 0
        for here, same in itertools.groupby(carried):
            last = first + len(list(same))
            self._pieces.append(_Piece(first, last, normal, here, self._factor(first, last, here)))
            first, normal = last, normal + (last - first) * len(here)

    @classmethod
    def serving(
        cls, intervals: Iterable[Interval], like: Tensor, source: NoiseSource | None = None
    ) -> BrownianPath:
        """A path that serves these intervals, of any etas: their ends are its points.

        Raises
        ------
        ParameterError : no interval.
        NoiseError : an infinite first level, and more than one eta from there.
        """
        asked = list(intervals)
        if not asked:
            raise ParameterError("a path serves intervals; got none: at eta = 0 there is no noise")
        forms, degree = _forms(asked), max(interval.degree for interval in asked)
        etas = {interval.eta for interval in asked}
        grid = _ends(asked)
        if len(etas) == 1:
            return cls(grid, etas.pop(), like, source, forms, degree=degree)
        path = cls.__new__(cls)
        rising, here = grid[::-1], [set[float]() for _ in grid[1:]]
        for interval in asked:
            ends = (interval.sigma_next, interval.sigma)
            low, high = (bisect.bisect_left(rising, e * (1 - _SAME_POINT)) for e in ends)
            for served in here[len(here) - high : len(here) - low]:
                served.add(interval.eta)
        path._draw(
            grid, [tuple(sorted(served)) for served in here], like, source, forms, degree=degree
        )
        path.eta = tuple(sorted(etas))
        return path

    @classmethod
    def refining(
        cls,
        levels: Sequence[float] | np.ndarray,
        intervals: Iterable[Interval],
        like: Tensor,
        source: NoiseSource,
    ) -> BrownianPath:
        r"""A path that serves these intervals and has, between `levels`, the noise that others have.

        The noise of data prediction on each stretch of the levels is drawn first, as normals v that depend
        on the source and the levels only. The normals z of the finer grid, on which all ends are points, are
        then drawn given those: v = M z with orthonormal rows M, so

        .. math::  z = u + M^T (v - M u), \qquad u \sim N(0, 1),

        has the law of z given v. So runs that ask for different intervals share one Brownian motion as far as
        the levels resolve it, and none needs to know of the others.

        Parameters
        ----------
        levels : descending, finite and positive; the intervals lie between the first and the last.
        source : such as `SeededNoise`, whose first answer is the same in all runs.

        Raises
        ------
        ParameterError, GridError : no interval, more than one eta, or no such levels.
        """
        asked = list(intervals)
        etas = sorted({interval.eta for interval in asked})
        if len(etas) != 1:
            raise ParameterError(
                f"a path refines another for intervals of one eta; these have {etas}"
            )
        (eta,) = etas
        coarse = [
            Interval(a, b, DATA, eta) for a, b in itertools.pairwise(require_grid(levels).tolist())
        ]
        given = require_normals(source(coarse, like), len(coarse), like, "the levels of the path")
        points = distinct_levels([*_ends(coarse), *_ends(asked)])
        forms = tuple(dict.fromkeys((DATA, *_forms(asked))))
        degree = max(interval.degree for interval in asked)
        path = cls(points, eta, like, source, forms, degree=degree)
        path._agree_with(coarse, given)
        return path

    def _agree_with(self, coarse: Sequence[Interval], given: Tensor) -> None:
        """Make the normals of a path of one eta those that give these noises: see `refining`."""
        (piece,), normals = self._pieces, list(self._normals)
        count = len(piece.carried)
        for interval, value in zip(coarse, given.to(normals[0]), strict=True):
            first, last = self._index(interval.sigma), self._index(interval.sigma_next)
            weights = self._weights(DATA, interval.eta, 0, piece, first, last, last)
            row = (weights / interval.deviation).ravel().tolist()
            places = range(first * count, last * count)
            missing = value.clone()
            for place, weight in zip(places, row, strict=True):
                missing.sub_(normals[place], alpha=weight)
            for place, weight in zip(places, row, strict=True):
                normals[place] = normals[place].add(missing, alpha=weight)
        self._normals = tuple(normals)

    def _factor(self, first: int, last: int, carried: Sequence[Carried]) -> np.ndarray:
        """Lower triangular factors of the joint covariances: (intervals, carried, carried, [*event])."""
        if not carried:
            return np.empty((last - first, 0, 0))
        extra = max((np.ndim(value) for value in self._parameters.values()), default=0)
        levels = self._log_snr[first : last + 1]
        start, stop = (levels[part].reshape(-1, *(1,) * extra, 1) for part in np.s_[:-1, 1:])
        start = np.where(np.isinf(start), stop, start)  # an infinite interval is treated below
        sharpest = 1 + max(eta for _, eta, _ in carried)
        count = max(1, int(np.ceil((stop - start).max() * sharpest / _LONGEST)))
        piece = (stop - start) / (2 * count)
        within = (2 * np.arange(count)[:, None] + 1 + _NODES).ravel()
        points = start + piece * within
        kernels = [
            np.sqrt(2 * eta * piece * np.tile(_WEIGHTS, count))
            * np.exp(-points)
            * self._per_point(form, eta, stop, points)
            * (stop - points) ** power
            / factorial(power)
            for form, eta, power in carried
        ]
        upper = np.linalg.qr(np.stack(np.broadcast_arrays(*kernels), axis=-1), mode="r")
        signs = np.where(np.diagonal(upper, axis1=-2, axis2=-1) < 0, -1.0, 1.0)
        lower = np.swapaxes(upper * signs[..., None], -1, -2)
        if np.isinf(levels[0]):  # data prediction: all of the state is this noise
            lower[0, ..., 0, 0] = np.exp(-levels[1])
        return np.moveaxis(lower, (-2, -1), (1, 2))

    def _per_point(self, form: Form, eta: float, t: Any, s: Any) -> np.ndarray:
        parameter = np.asarray(self._parameters.get(form, np.nan))[..., None]
        return np.asarray(form.propagator(t, s, eta, parameter))

    def _index(self, sigma: float) -> int:
        position = -math.log(sigma) if sigma > 0 else math.inf
        index = bisect.bisect_left(self._log_snr, position - _SAME_POINT)
        if index == len(self._log_snr) or self._log_snr[index] > position + _SAME_POINT:
            raise NoiseError(
                f"the path has no point at sigma = {sigma:g}: draw it on the union of all points, "
                "path_points(plans), or by BrownianPath.serving of all their intervals"
            )
        return index

    @property
    def one_eta(self) -> float:
        """The eta of a path of one.

        Raises
        ------
        NoiseError : it has several.
        """
        if isinstance(self.eta, tuple):
            raise NoiseError("a path of several etas is asked by intervals, which have their own")
        return self.eta

    def noise(self, form: Form | SemilinearForm, sigma: float, sigma_next: float) -> Tensor:
        """The noise of a form between two points of the grid, of a path of one eta: like the states."""
        total = torch.zeros_like(self._normals[0])
        self._add(total, ((numbers_of(form), 0, 1.0),), self.one_eta, sigma, sigma_next)
        return total

    def __call__(self, intervals: Sequence[Interval], like: Tensor) -> Tensor:
        """The standardised noises of these intervals."""
        draws = self._normals[0].new_zeros((len(intervals), *like.shape))
        for index, interval in enumerate(intervals):
            if interval.path != 0:
                raise NoiseError("a path serves one Brownian motion; the method asks for several")
            self._add(
                draws[index], interval.parts, interval.eta, interval.sigma, interval.sigma_next
            )
        return draws.to(like)

    def _add(
        self,
        total: Tensor,
        parts: Sequence[tuple[Form, int, float]],
        eta: float,
        sigma: float,
        sigma_next: float,
    ) -> None:
        """Add moments of forms' noises over a stretch, as `Interval.parts` lists them, to a tensor."""
        first, last = self._index(sigma), self._index(sigma_next)
        if first == last and sigma != sigma_next:
            raise NoiseError(
                f"sigma = {sigma!r} and {sigma_next!r} are one point of the path: steps in log-SNR are "
                f"longer than {_SAME_POINT:g}"
            )
        if first > last:
            raise NoiseError(
                f"a stretch of the path goes to lower noise; got {sigma:g} to {sigma_next:g}"
            )
        for piece in self._pieces:
            start, stop = max(first, piece.first), min(last, piece.last)
            if start < stop:
                weights = sum(
                    weight * self._weights(form, eta, power, piece, start, stop, last)
                    for form, power, weight in parts
                )
                self._add_normals(total, np.asarray(weights), piece, start, stop)

    def _add_normals(
        self, total: Tensor, weights: np.ndarray, piece: _Piece, start: int, stop: int
    ) -> None:
        count = len(piece.carried)
        begin = piece.normal + (start - piece.first) * count
        normals = self._normals[begin : begin + (stop - start) * count]
        if weights.ndim == 2:
            for number, normal in zip(weights.ravel().tolist(), normals, strict=True):
                if number:
                    total.add_(normal, alpha=number)
        else:
            fields = torch.tensor(weights).flatten(0, 1).to(total)
            total.add_((torch.stack(normals) * fields.unsqueeze(1)).sum(0))

    def _weights(
        self, form: Form, eta: float, power: int, piece: _Piece, start: int, stop: int, last: int
    ) -> np.ndarray:
        """A moment up to a point, in the normals of a piece's intervals: (intervals, carried, [*event])."""
        if form not in self.forms:
            names = ", ".join(f.name for f in self.forms)
            raise NoiseError(f"the path carries the noise of {names}; asked for {form.name!r}")
        own = {carried for _, carried, _ in piece.carried}
        if eta not in own:
            listed = ", ".join(f"{value:g}" for value in sorted(own)) or "0"
            raise NoiseError(
                f"the path is for eta = {listed} at sigma = {math.exp(-self._log_snr[start]):g}; asked for "
                f"{eta:g}: BrownianPath.serving of all intervals carries every eta"
            )
        if (form, eta, power) not in piece.carried or (power and np.isinf(self._log_snr[start])):
            raise NoiseError(
                f"the path carries no moment of power {power} from sigma = "
                f"{math.exp(-self._log_snr[start]):g}: draw it with degree={power}, for steps from "
                "finite noise levels"
            )
        row = piece.carried.index((form, eta, power))
        factors = piece.factors[start - piece.first : stop - piece.first]
        if last == start + 1:  # nothing to join
            return np.asarray(factors[:, row])
        axes = (-1, *(1,) * (factors.ndim - 2))
        ends, end = self._log_snr[start + 1 : stop + 1].reshape(axes), self._log_snr[last]
        parameter = self._parameters.get(form, np.nan)
        carried = form.propagator(end, ends, eta, parameter)
        weights = carried * factors[:, row]
        for k in range(1, power + 1):
            carried = carried * (end - ends) / k
            weights = weights + carried * factors[:, row - k]
        return np.asarray(weights)


def _over_event(form: Form, value: Any, shape: tuple[int, ...]) -> Any:
    try:
        return np.broadcast_to(value, shape) if np.ndim(value) else value
    except ValueError:
        raise ParameterError(
            f"the parameter of {form.name!r} broadcasts over the event {shape}; got {np.shape(value)}"
        ) from None


def _forms(intervals: Iterable[Interval]) -> tuple[Form, ...]:
    return tuple(dict.fromkeys(form for interval in intervals for form, _, _ in interval.parts))


def path_points(plans: Iterable[Plan]) -> np.ndarray:
    """The union of all points that these plans ask noise at: the fine grid of their common path."""
    return _ends(interval for plan in plans for interval in plan.intervals)


def _ends(intervals: Iterable[Interval]) -> np.ndarray:
    return distinct_levels(level for i in intervals for level in (i.sigma, i.sigma_next))


def distinct_levels(levels: Iterable[float]) -> np.ndarray:
    """Noise levels in descending order; those that differ by rounding only are one."""
    points = np.array(sorted(set(levels), reverse=True))
    distinct = np.ones(len(points), dtype=bool)
    distinct[1:] = ~np.isclose(points[1:], points[:-1], rtol=_SAME_POINT, atol=0)
    return points[distinct]

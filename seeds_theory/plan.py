r"""Plan: a method on a grid, as float64 numbers computed once on the host.

Each row of a step, one per stage and one for the result, is

.. math::  u = \mathrm{state} \cdot y_s + \sum_i \mathrm{drift}_i F_i + \sum_m \mathrm{noise}_m z_m,

with standard normals :math:`z_m`. `seeds_theory.formula.step_formula` is that step in symbols; `make_plan`
runs the code that was emitted from it: the formula that the book prints is the formula that runs.

Two steps have no finite length h: from an infinite noise level, and to noise level 0. They are the
limits of the one-stage step in data prediction, y = D + sigma_t z (eta > 0) and y = D. At eta = 0 there is a
third, back to an infinite level, where the state is the unit noise (y - D) / sigma_s.
"""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from seeds_theory.clocks import ClockForm
from seeds_theory.emitted import moments
from seeds_theory.errors import ParameterError, TableauError
from seeds_theory.eta_schedule import Eta, require_eta, step_etas
from seeds_theory.forms import (
    CLOCK,
    DATA,
    FORM_NUMBERS,
    Form,
    numbers_of,
    require_prediction,
    skip_and_out,
)
from seeds_theory.grids import require_grid
from seeds_theory.orders import Orders
from seeds_theory.row import Row
from seeds_theory.scheme import Scheme, scheme_of

if TYPE_CHECKING:
    from seeds_theory.tableau import Tableau


@dataclass(frozen=True)
class Interval:
    r"""A stretch of the path, from one noise level down to another, and the form its noise is for.

    A noise source returns the noise of that form over that stretch, divided by its exact standard
    deviation: a standard normal. path 0 is the solution's own Brownian motion; the others, which some
    methods outside the family ask for, are independent of it and of each other. degree 0 is the noise
    itself; degree k is the normal that the path's moment of power k adds to those of lower powers, which
    it is independent of (`seeds_theory.noise.moment_factor`). With `area`, of data prediction and degree 0,
    it is the space-time Levy area of the noise in its own clock :math:`\varsigma = e^{2\eta\lambda}`, in
    which it is a Brownian motion B: the normal :math:`\sqrt{12}\,\int (B - \tfrac{\varsigma -
    \varsigma_s}{\Delta\varsigma} \Delta B)\,d\varsigma` over :math:`\Delta\varsigma^{3/2}`.
    """

    sigma: float
    sigma_next: float
    form: Form
    eta: float
    path: int = 0
    degree: int = 0
    area: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "form", numbers_of(self.form))
        if self.area and (self.form != DATA or self.degree or self.sigma == math.inf):
            raise ParameterError(
                "an area is of data prediction, of degree 0, from a finite noise level; got "
                f"{self.form.name!r}, degree {self.degree}, sigma = {self.sigma}"
            )

    @property
    def length(self) -> float:
        """The length in log-SNR."""
        return float(_log_ratio(self.sigma, self.sigma_next))

    @cached_property
    def deviation(self) -> float:
        """The exact standard deviation of the form's noise."""
        if math.isinf(self.sigma) and self.form == DATA:
            return self.sigma_next
        return self.form.deviation(self.sigma_next, self.length, self.eta)

    @cached_property
    def parts(self) -> tuple[tuple[Form, int, float], ...]:
        """What the normal is made of: moments of forms' noises, in the frame's unit, and their weights."""
        if self.area:
            clock, unit = -math.expm1(-2 * self.eta * self.length), math.sqrt(12) / self.deviation
            return (self.form, 0, unit * (1 / clock - 0.5)), (CLOCK, 0, -unit / clock)
        if self.degree == 0:
            return ((self.form, 0, 1 / self.deviation),)
        factor = self.form.moment_factor(self.degree + 1, self.length, self.eta)
        last = np.eye(self.degree + 1)[-1]
        weights = np.linalg.solve(factor.T, last) / (math.sqrt(2 * self.eta) * self.sigma_next)
        return tuple((self.form, power, weight) for power, weight in enumerate(weights.tolist()))

    def kernel(self, log_snr: np.ndarray) -> np.ndarray:
        """The weight of dW in the normal, at log-SNRs within the stretch."""
        stop = -math.log(self.sigma_next)
        return np.asarray(
            sum(
                weight
                * form.noise_kernel(stop, log_snr, self.eta, np.nan)
                * ((stop - log_snr) ** power / math.factorial(power))
                for form, power, weight in self.parts
            )
        )


def _log_ratio(sigma: Any, sigma_next: Any) -> Any:
    """log(sigma / sigma_next) with full relative accuracy: the difference of close levels is exact."""
    return np.log1p((sigma - sigma_next) / sigma_next)


@lru_cache(maxsize=1024)
def average_weights(length: float, eta: float) -> tuple[tuple[float, ...], ...]:
    """The numbers of `seeds_theory.formula.average_formula`, kept for the next run on the same grid."""
    return tuple(tuple(map(float, row)) for row in moments.average(length, eta))


@dataclass(frozen=True)
class Step:
    """One step of a plan: its rows, its intervals, and (skip, out) of each model call."""

    sigma: float
    rows: tuple[Row[float], ...]
    intervals: tuple[Interval, ...]
    integrands: tuple[tuple[float, float], ...]

    @property
    def sigma_next(self) -> float:
        """The noise level at the end of the step."""
        return self.rows[-1].sigma

    @property
    def levels(self) -> tuple[float, ...]:
        """The noise level of each model call."""
        return (self.sigma, *(row.sigma for row in self.rows[:-1]))


@dataclass(frozen=True)
class Plan:
    """A method in one prediction, on one grid, at one eta: everything a sampler needs but the model.

    method : its name. declared : the orders it declares, if it is not a registered one.
    eta : one number, or one for each step.
    initial_scale : what to multiply unit noise with, to start: the first noise level, or 1 if that is
        infinite.
    """

    method: str
    form: Form
    eta: float | tuple[float, ...]
    sigmas: tuple[float, ...]
    steps: tuple[Step, ...]
    initial_scale: float
    declared: Orders | None = None

    @property
    def orders(self) -> Orders:
        """The orders that the method declares."""
        if self.declared is not None:
            return self.declared
        from seeds_theory.methods import method

        return method(self.method).orders

    @property
    def nfe(self) -> int:
        """Number of model calls of one run."""
        return sum(len(step.rows) for step in self.steps)

    @property
    def normals(self) -> int:
        """Number of state-sized standard normals of one run."""
        return len(self.intervals)

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """All that it asks of its noise source, in time order."""
        return tuple(interval for step in self.steps for interval in step.intervals)

    @property
    def of_samples(self) -> bool:
        """Whether its states are scaled ones, and not those of the frame x / alpha."""
        if math.isinf(self.sigmas[0]):
            return not math.isclose(self.steps[0].rows[0].drift[0], 1.0)
        return not math.isclose(self.initial_scale, self.sigmas[0])

    def scaled(self, alpha: Callable[[float], float]) -> Plan:
        r"""The same plan for states :math:`x = \alpha y`, as a schedule's own network has them.

        alpha : as a function of the noise level, such as `seeds_theory.schedule.preserving_alpha`. An
            infinite level, whose state is unit noise, is left out.
        """

        def scale(sigma: float) -> float:
            return alpha(sigma) if math.isfinite(sigma) else 1.0

        steps = []
        for step in self.steps:
            levels = (step.sigma, *(row.sigma for row in step.rows[:-1]))
            rows = tuple(
                Row(
                    sigma=row.sigma,
                    state=row.state * (scale(row.sigma) / scale(step.sigma)),
                    drift=tuple(weight * scale(row.sigma) for weight in row.drift),
                    noise=tuple(weight * scale(row.sigma) for weight in row.noise),
                )
                for row in step.rows
            )
            integrands = tuple(
                (skip / scale(level), out)
                for level, (skip, out) in zip(levels, step.integrands, strict=True)
            )
            steps.append(replace(step, rows=rows, integrands=integrands))
        start = self.initial_scale * scale(self.sigmas[0])
        return replace(self, steps=tuple(steps), initial_scale=start)


def make_plan(
    method: str | Tableau,
    sigmas: Sequence[float] | np.ndarray,
    *,
    eta: Eta = 1.0,
    prediction: str = "data",
    sigma_data: float = 1.0,
) -> Plan:
    """Compute the coefficients of a method on a grid.

    Parameters
    ----------
    method : a registered name, nodes allowed (``"seeds-2@0.7"``), or a `Tableau` with numeric nodes.
    sigmas : descending noise levels sigma/alpha, two or more. The first may be infinite, the last 0. At
        eta = 0 others may go up too: the ODE has two directions.
    eta : >= 0; 1 is the reverse SDE, 0 the probability-flow ODE. Also one number for each step, the last one
        to 0 included; windows of noise levels as text, ``"1:0.3-5"``, with 0 outside of them; or a function
        of the noise level, whose mean over a step in log-SNR is the step's. A step at 0 draws nothing.
    prediction : what the method integrates: "data" or "noise", or "F", "v", "flow" or "score", which run in
        clocks of their own (`seeds_theory.clocks`). The model stays a denoiser.
    sigma_data : the standard deviation of the data in an F prediction, as of `EDMDenoiser`.

    Raises
    ------
    UnknownNameError, TableauError, GridError, ParameterError : each names the rule and the value.
    """
    require_prediction(prediction)
    if not isinstance(sigma_data, numbers.Real) or not 0 < sigma_data < math.inf:
        raise ParameterError(f"sigma_data is positive and finite; got {sigma_data!r}")
    if prediction in ("data", "noise"):
        scheme, form = scheme_of(method, prediction), FORM_NUMBERS[prediction]
    else:
        from seeds_theory.clock_plan import clock_form, clock_scheme

        scheme, form = clock_scheme(method, prediction), clock_form(prediction, sigma_data)
    grid, etas = grid_and_etas(sigmas, eta)
    return _plan(scheme, form, etas, tuple(grid.tolist()))


def grid_and_etas(
    sigmas: Sequence[float] | np.ndarray, eta: Eta, *, repeats: bool = False
) -> tuple[np.ndarray, float | tuple[float, ...]]:
    """A grid, checked, and the eta of its steps: one number if it is the same in all.

    Raises
    ------
    GridError, ParameterError : as of `require_grid` and `step_etas`.
    """
    along = require_eta(eta)
    never = along == 0 or (isinstance(along, tuple) and not any(along))
    grid = require_grid(sigmas, repeats=repeats, rises=never)
    return grid, step_etas(along, grid.tolist())


@lru_cache(maxsize=64)
def _plan(
    scheme: Scheme, form: Form, eta: float | tuple[float, ...], sigmas: tuple[float, ...]
) -> Plan:
    """A plan, kept for the next run: its numbers take as long as a small model's calls."""
    grid = np.array(sigmas)
    steps: list[Step] = []
    etas = np.broadcast_to(np.array(eta), len(grid) - 1)
    if math.isinf(grid[0]) and grid[1] > 0:
        steps.append(_step_from_infinity(grid[1], float(etas[0])))
    inside = np.isfinite(grid) & (grid > 0)
    within = etas[inside[:-1] & inside[1:]]
    if isinstance(form, ClockForm):
        from seeds_theory.clock_plan import clock_steps

        steps.extend(clock_steps(scheme, form, grid[inside].tolist(), within.tolist()))
    else:
        steps.extend(
            _finite_steps(scheme, form, grid[inside], eta if isinstance(eta, float) else within)
        )
    if grid[-1] == 0:
        steps.append(_step_to_zero(sigmas[-2]))
    if math.isinf(grid[-1]):
        steps.append(_step_to_infinity(sigmas[-2]))
    start = sigmas[0] if math.isfinite(sigmas[0]) else 1.0
    return Plan(scheme.name, form, eta, sigmas, tuple(steps), start, scheme.orders)


def _finite_steps(
    scheme: Scheme, form: Form, sigmas: np.ndarray, eta: float | np.ndarray
) -> list[Step]:
    """The steps between levels (n + 1,), at one eta or at one for each, (n,)."""
    start, end = sigmas[:-1], sigmas[1:]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        emitted = scheme.rows(start, end, eta)
    etas = np.broadcast_to(eta, start.shape)
    stretches = list(itertools.product(scheme.paths, itertools.pairwise(scheme.cuts)))
    normals = len(stretches) * scheme.degrees

    def numbers(values: Any) -> list[float]:
        values = np.broadcast_to(values, start.shape)
        if not np.isfinite(values).all():
            n = int(np.argmin(np.isfinite(values)))
            raise _no_coefficients(scheme, float(start[n]), float(end[n]), float(etas[n]))
        return values.tolist()

    columns: list[Row[Any]] = [  # each entry a list, over the steps
        Row(
            sigma=numbers(sigma),
            state=numbers(state),
            drift=tuple(map(numbers, drift)),
            # Where a node is 1, the stretch after it is empty, and so is what follows.
            noise=tuple(numbers(np.where(etas > 0, w, 0.0)) for w in noise[:normals]),
        )
        for sigma, state, drift, noise in emitted
    ]
    for node, column in zip(scheme.nodes, columns, strict=True):
        if node == 1:
            column.sigma[:] = end.tolist()  # the grid's own numbers, not exp(log(...))
    levels = {0.0: start.tolist(), 1.0: end.tolist()}
    levels |= {node: column.sigma for node, column in zip(scheme.nodes, columns, strict=True)}
    steps = []
    for n, (sigma, eta_n) in enumerate(zip(start.tolist(), etas.tolist(), strict=True)):
        rows = tuple(
            Row(
                sigma=column.sigma[n],
                state=column.state[n],
                drift=tuple(w[n] for w in column.drift),
                noise=tuple(w[n] for w in column.noise) if eta_n > 0 else (),
            )
            for column in columns
        )
        intervals = tuple(
            Interval(levels[first][n], levels[last][n], form, eta_n, path, degree)
            for path, (first, last) in stretches
            for degree in range(scheme.degrees)
        )
        integrands = tuple(
            skip_and_out(scheme.prediction, 1.0, level)
            for level in (sigma, *(row.sigma for row in rows[:-1]))
        )
        steps.append(Step(sigma, rows, intervals if eta_n > 0 else (), integrands))
    return steps


def _no_coefficients(scheme: Scheme, start: float, end: float, eta: float) -> TableauError:
    """The error for a step without finite coefficients; a shorter one is advised only if it has them."""
    length = float(_log_ratio(start, end))
    short = length / 1000
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        emitted = scheme.rows(np.array(start), np.array(start * math.exp(-short)), eta)
    entries = [
        entry
        for sigma, state, drift, noise in emitted
        for entry in (sigma, state, *drift, *(noise if eta > 0 else ()))
    ]
    way_out = (
        ": take shorter steps"
        if np.isfinite(entries).all()
        else f", nor for one of {short:.3g}: a coefficient has no real value there"
    )
    return TableauError(
        f"{scheme.name!r} has no coefficients for a step of {length:.3g} in log-SNR at eta = {eta:g}"
        + way_out
    )


def _step_from_infinity(sigma_next: float, eta: float) -> Step:
    if eta == 0:
        return Step(math.inf, (Row(sigma_next, sigma_next, (1.0,), ()),), (), ((0.0, 1.0),))
    intervals = (Interval(math.inf, sigma_next, DATA, eta),)
    return Step(math.inf, (Row(sigma_next, 0.0, (1.0,), (sigma_next,)),), intervals, ((0.0, 1.0),))


def _step_to_infinity(sigma: float) -> Step:
    return Step(sigma, (Row(math.inf, 1 / sigma, (-1 / sigma,), ()),), (), ((0.0, 1.0),))


def _step_to_zero(sigma: float) -> Step:
    return Step(sigma, (Row(0.0, 0.0, (1.0,), ()),), (), ((0.0, 1.0),))

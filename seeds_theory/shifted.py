r"""The shifted clock: the frame's SDE again, with another linear part, for every :math:`\eta`.

For any :math:`c \ge 0` let

.. math::  \tau^2 = c + \sigma^2, \qquad G = y + \frac{\tau^2}{\sigma^2}\,(D - y), \qquad u = -\log \tau .

Then :math:`dy = (1+\eta)(D - y)\,d\lambda + \sqrt{2\eta}\,e^{-\lambda}\,dW_\lambda` is

.. math::  dy = (1+\eta)(G - y)\,du + \sqrt{2\eta}\,e^{-u}\,dW_u,

the same equation: any sampler serves, of the denoiser G at the level :math:`\tau`. G is Tweedie's formula
with :math:`\tau` for :math:`\sigma`, so it is the denoiser of data that have c less of variance, if there are
such; on data N(m, c) it is m. c = 0 is data prediction. Claims: ``linear-shift-*``.
"""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from seeds_theory.clocks import ClockForm
from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import ParameterError
from seeds_theory.eta_schedule import Eta
from seeds_theory.forms import NOISE, Form
from seeds_theory.loop import require_denoiser
from seeds_theory.plan import Interval, Plan, Step, grid_and_etas, make_plan

if TYPE_CHECKING:
    from seeds_theory.tableau import Tableau


def shifted_estimate(x: Any, estimate: Any, sigma: Any, c: Any) -> Any:
    r"""The G of states x and estimates D of the data at a level sigma > 0."""
    return x + (c + sigma**2) / sigma**2 * (estimate - x)


@dataclass(frozen=True)
class Shifted:
    """A denoiser in the shifted clock: G at the level tau, for any sampler that takes a denoiser.

    >>> samples = Solver("er-sde-3")(Shifted(model, 0.2), x, shifted_levels(sigmas, 0.2))

    The grid ends at level 0 of the model where tau is the root of c: there G is not defined, and a sampler
    that calls its model at the end is refused.

    Parameters
    ----------
    denoiser : ``D(x, sigma)``. c : the variance that is taken out, finite and >= 0.
    """

    denoiser: Denoiser
    c: float

    def __post_init__(self) -> None:
        require_denoiser(self.denoiser)
        _require_shift(self.c)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """G of states ``(batch, *event)`` at the level tau = sigma; at an infinite level it is D."""
        if self.c == 0 or math.isinf(sigma):
            return self.denoiser(x, sigma)
        level = _below(sigma, self.c)
        return shifted_estimate(x, self.denoiser(x, level), level, self.c)


def shifted_levels(sigmas: Sequence[float] | np.ndarray, c: float) -> np.ndarray:
    """The levels tau of a grid of noise levels, for `Shifted`."""
    _require_shift(c)
    levels = np.asarray(sigmas, dtype=float)
    if not (levels >= 0).all():
        raise ParameterError("noise levels are numbers >= 0; got others")
    return np.hypot(levels, math.sqrt(c))


def matching_shift(error: Any, sigma: Any) -> Any:
    r"""The c of Gaussian data whose denoiser errs by this at sigma: :math:`c = \sigma^2 m/(\sigma^2 - m)`.

    error : the mean square m of :math:`D - x_0` per coordinate, below :math:`\sigma^2`.
    """
    return sigma**2 * error / (sigma**2 - error)


def matching_shifts(
    error: Callable[[float], float], sigmas: Sequence[float] | np.ndarray
) -> list[float]:
    """The c of each step for `shifted_plan`, (steps,): that of its geometric middle, 0 in a step to 0.

    error : the denoiser's mean square error per coordinate at a level, as of `matching_shift`.
    """
    middles = [math.sqrt(s * t) for s, t in itertools.pairwise(sigmas)]
    return [matching_shift(error(middle), middle) if middle else 0.0 for middle in middles]


def shifted_plan(
    method: str | Tableau,
    sigmas: Sequence[float] | np.ndarray,
    c: float | Sequence[float],
    *,
    eta: Eta = 1.0,
    prediction: str = "data",
) -> Plan:
    """A method in the shifted clock as a plan of the noise levels themselves: the model stays as it is.

    Numbers are good to about 1e-16 times c / sigma^2, for the differences of tau that they are made of.

    Parameters
    ----------
    method, sigmas, eta, prediction : as of `make_plan`; data or noise prediction.
    c : >= 0; or one for each step, the last one to 0 included. As an estimate is multiplied with up to
        c / sigma, take 0 in the step to 0 unless the data have that variance in all directions.

    Raises
    ------
    ParameterError : another prediction; a c that is negative or not finite, or not one for each step; a
        stage at level 0.
    UnknownNameError, TableauError, GridError : as of `make_plan`.
    """
    if prediction not in ("data", "noise"):
        raise ParameterError(
            f"a shifted clock serves 'data' or 'noise' prediction; got {prediction!r}: take one of these"
        )
    grid, along = grid_and_etas(sigmas, eta)
    count = len(grid) - 1
    shifts = np.asarray(c, dtype=float).tolist()
    shifts = shifts if isinstance(shifts, list) else [shifts] * count
    if len(shifts) != count:
        raise ParameterError(
            f"c is one number, or one for each of {count} steps; got {len(shifts)}"
        )
    etas = np.broadcast_to(np.array(along), count).tolist()
    ends = list(itertools.pairwise(grid.tolist()))
    plans = [
        make_plan(method, shifted_levels(pair, shift), eta=value, prediction=prediction)
        for pair, shift, value in zip(ends, shifts, etas, strict=True)
    ]
    first = plans[0]
    return Plan(
        method=f"{first.method} (shifted)",
        form=first.form,
        eta=along,
        sigmas=tuple(grid.tolist()),
        steps=tuple(
            _unshifted(plan.steps[0], s, t, shift) if shift else plan.steps[0]
            for plan, (s, t), shift in zip(plans, ends, shifts, strict=True)
        ),
        initial_scale=float(grid[0]) if math.isfinite(grid[0]) else 1.0,
        declared=first.orders,
    )


def _unshifted(step: Step, s: float, t: float, c: float) -> Step:
    """A step between levels tau as one between s and t, of D instead of G."""
    ends = {step.sigma: s, step.sigma_next: t}

    def level(tau: float) -> float:
        return ends[tau] if tau in ends else _below(tau, c)

    integrands = []
    for tau, (skip, out) in zip(step.levels, step.integrands, strict=True):
        if level(tau) == 0:
            raise ParameterError(
                "a stage at level 0 has no estimate in a shifted clock: take c = 0 in the step to 0"
            )
        share = 0.0 if math.isinf(tau) else c / tau**2  # D = (1 - share) G + share y
        integrands.append(((1 - share) * skip + share, (1 - share) * out))
    return Step(
        sigma=s,
        rows=tuple(replace(row, sigma=level(row.sigma)) for row in step.rows),
        intervals=tuple(_moved(interval, level, c) for interval in step.intervals),
        integrands=tuple(integrands),
    )


def _moved(interval: Interval, level: Any, c: float) -> Interval:
    """An interval in levels of the model: the noise of data prediction there is that of F prediction here."""
    form: Form = NOISE if interval.form == NOISE else ClockForm("F", sigma_data=math.sqrt(c))
    ends = {"sigma": level(interval.sigma), "sigma_next": level(interval.sigma_next)}
    return replace(interval, form=form, **ends)


def _below(tau: float, c: float) -> float:
    """The sigma of a level tau."""
    root = math.sqrt(c)
    if tau <= root:
        raise ParameterError(
            f"a level of the shifted clock is above the root of c, {root:g}; got {tau:g}: there G is not "
            "defined"
        )
    return math.sqrt((tau - root) * (tau + root))


def _require_shift(c: float) -> None:
    if not isinstance(c, numbers.Real) or not 0 <= c < math.inf:
        raise ParameterError(f"a shift c is a variance, finite and >= 0; got {c}")

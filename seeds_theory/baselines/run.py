r"""What every baseline shares: the conventions of `seeds_theory.follow`, around a loop of its own.

A baseline is an algorithm ``f(run, **options)`` that fits on a screen and repeats the symbols of its
paper. The `Run` gives it the grid, the checked denoiser, the noise of each stretch and the callback:

.. code-block:: python

    def euler(run):
        x = run.x
        for s, t in run.steps:
            D = run.denoise(x, s)
            x = run.step(x + (t - s) * (x - D) / s, s, t, D)
        return run.to_zero(x)

States are in the frame x / alpha, so every formula is in its variance-exploding form; a noise level is
the only coordinate, and log(s / t) is the step in log-SNR. ``eta`` always is that of the reverse SDE (1)
and the probability-flow ODE (0); an algorithm with a parameter of its own says how it depends on eta.
"""

from __future__ import annotations

import inspect
import itertools
import math
import numbers
import reprlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import ParameterError
from seeds_theory.forms import DATA
from seeds_theory.grids import require_grid
from seeds_theory.loop import (
    Callback,
    FiniteWatch,
    StepInfo,
    not_finite,
    require_denoiser,
    require_estimate,
    require_state,
)
from seeds_theory.orders import Orders
from seeds_theory.plan import Interval, average_weights, require_eta
from seeds_theory.progress import with_bar
from seeds_theory.sources import NoiseSource, require_normals, require_source, silent


class Run:
    """One run of a baseline: what it starts from, and what it may ask for.

    Attributes
    ----------
    x : the initial states; an algorithm never changes them in place.
    sigmas : the grid, descending, as floats.
    eta : the SDE's eta.
    calls : number of model calls so far.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        x: Tensor,
        sigmas: Sequence[float],
        eta: float,
        source: NoiseSource,
        callback: Callback | None,
        progress: bool,
        name: str,
    ) -> None:
        self.x, self.sigmas, self.eta, self.calls = x, tuple(sigmas), eta, 0
        self._denoiser, self._source, self._callback = denoiser, source, callback
        self._progress, self._name, self._index = progress, name, 0
        self._watch = FiniteWatch(x)

    @property
    def steps(self) -> Iterator[tuple[float, float]]:
        """The steps (s, t) from one noise level down to the next, t > 0."""
        levels = [sigma for sigma in self.sigmas if sigma > 0]
        pairs = list(itertools.pairwise(levels))
        yield from with_bar(pairs, show=self._progress, desc=self._name, unit="step")

    def leave_infinity(self) -> None:
        """The step from an infinite level, where the state is unit noise: the limit of ``seeds-1``."""
        s, t, *_ = self.sigmas
        D = self.denoise(self.x, s)
        noise = self.normals(s, t)[0] if self.eta > 0 else self.x
        self.x, self.sigmas = self.step(D + t * noise, s, t, D), self.sigmas[1:]

    def reach_infinity(self, x: Tensor) -> Tensor:
        """The step of the ODE back to an infinite level, to the unit noise that the estimate leaves."""
        s = self.sigmas[-1]
        D = self.denoise(x, s)
        return self.step((x - D) / s, s, math.inf, D)

    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        """The model's estimate of the data."""
        self.calls += 1
        estimate = self._denoiser(x, sigma)
        require_estimate(estimate, x, sigma, self._index)
        if not self._watch.passes(estimate, self._index, sigma):
            raise not_finite(self._index, sigma, estimated=bool(x.isfinite().all()))
        return estimate

    def normals(
        self, *levels: float, path: int = 0, eta: float | None = None
    ) -> tuple[Tensor, ...]:
        """Standard normals, one for each stretch between consecutive levels, descending.

        They belong to the path that drives the solution; another `path` is independent of it. At
        eta = 0, and on a stretch of no length, they are zero, and the source is not asked. `eta` is the
        run's, except where an algorithm has an option of its own for the amount of noise.
        """
        eta = self.eta if eta is None else eta
        pairs = list(itertools.pairwise(levels))
        return self.draw(*(Interval(a, b, DATA, eta, path) for a, b in pairs))

    def draw(self, *intervals: Interval) -> tuple[Tensor, ...]:
        """The normals of these intervals: of other forms than data prediction, or of averages of the path.

        They are zero at eta = 0 and on a stretch of no length, and the source is not asked.
        """
        drawn = [
            interval.eta > 0 and interval.sigma > interval.sigma_next for interval in intervals
        ]
        asked = list(itertools.compress(intervals, drawn))
        if not asked:
            return tuple(torch.zeros_like(self.x) for _ in intervals)
        normals = self._source(asked, self.x)
        found = iter(require_normals(normals, len(asked), self.x, f"step {self._index}"))
        return tuple(next(found) if has_noise else torch.zeros_like(self.x) for has_noise in drawn)

    def noises(self, *levels: float) -> tuple[Tensor, ...]:
        r"""The exact noise of data prediction that starts at the first level, at each of the others.

        .. math::  N_t = e^{-(1+\eta) h} N_m + t \sqrt{1 - e^{-2 \eta h}}\,z, \qquad h = \log(m/t) .
        """
        noise, values = torch.zeros_like(self.x), []
        for (m, t), z in zip(itertools.pairwise(levels), self.normals(*levels), strict=True):
            h = log_ratio(m, t)
            decay, spread = math.exp(-(1 + self.eta) * h), math.sqrt(-math.expm1(-2 * self.eta * h))
            noise = decay * noise + t * spread * z
            values.append(noise)
        return tuple(values)

    def pair(self, s: float, t: float) -> tuple[Tensor, ...]:
        """The two normals that the exact noise of a step and its average are made of."""
        return self.draw(*(Interval(s, t, DATA, self.eta, degree=degree) for degree in range(2)))

    def averages(self, s: float, t: float) -> tuple[Tensor, Tensor]:
        r"""The exact noise N of data prediction over a step and the average :math:`M = \int E N_l\,dl`."""
        z_0, z_1 = self.pair(s, t)
        (n_0, _), (m_0, m_1) = average_weights(log_ratio(s, t), self.eta)
        scale = math.sqrt(2 * self.eta) * t
        return scale * n_0 * z_0, scale * (m_0 * z_0 + m_1 * z_1)

    def step(self, x: Tensor, s: float, t: float, denoised: Tensor) -> Tensor:
        """Call the callback at the end of a step; returns x."""
        if not self._watch.passes(x, self._index, s):
            raise not_finite(self._index, t, estimated=False)
        if self._callback is not None:
            self._callback(StepInfo(self._index, s, t, x, denoised))
        self._index += 1
        return x

    def to_zero(
        self,
        x: Tensor,
        level: float | None = None,
        last: Callable[[Tensor, float], tuple[Tensor, Tensor]] | None = None,
    ) -> Tensor:
        """The last step if the grid ends at 0: there the limit of most methods is the estimate itself.

        level : that of x, for an algorithm that has raised it above the grid's.
        last : another last step, from x and its level to the result and the estimate.
        """
        if self.sigmas[-1] == 0:
            s = self.sigmas[-2]
            start = s if level is None else level
            if last is None:
                end = denoised = self.denoise(x, start)
            else:
                end, denoised = last(x, start)
            x = self.step(end, s, 0.0, denoised)
        self._watch.check()
        return x


def log_ratio(s: float, t: float) -> float:
    """The step h = log(s / t) in log-SNR, as accurate for close levels: their difference is exact."""
    return math.log1p((s - t) / t)


def require_option(
    name: str, value: object, low: float, high: float = math.inf, *, closed: bool = False
) -> None:
    """An algorithm's option is a number in (low, high], or in [low, high] if closed.

    Raises
    ------
    ParameterError : it is not.
    """
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # a whole number beyond 1e308
            number = math.nan
        if low < number <= high or (closed and number == low):
            return
    sign = "<=" if closed else "<"
    raise ParameterError(
        f"{name} is a number, {low:g} {sign} {name} <= {high:g}; got {reprlib.repr(value)}"
    )


def require_options(name: str, options: Iterable[str], known: Sequence[str]) -> None:
    """All options are known ones; raises ParameterError for the first that is not, listing them."""
    for option in options:
        if option not in known:
            listed = ", ".join(known) or "none"
            raise ParameterError(f"{name!r} has no option {option!r}; known: {listed}")


@dataclass(frozen=True)
class Declared:
    """Orders a baseline declares: strong and weak for eta > 0, and of the ODE, eta = 0.

    None where it has no such mode, or converges to something else; then the reference says so.

    linear : strong and weak order where D is linear in the state, as on Gaussian data, if higher there.
    """

    strong: float | None
    weak: float | None
    ode: float | None
    linear: tuple[float, float] | None = None

    @classmethod
    def of(cls, orders: Orders) -> Declared:
        """What a tableau declares."""
        linear = orders.linear and (float(orders.linear[0]), orders.linear[1])
        return cls(float(orders.strong), orders.weak, orders.ode, linear)

    @property
    def gaussian(self) -> Declared:
        """The orders on Gaussian data."""
        strong, weak = self.linear or (self.strong, self.weak)
        return Declared(strong, weak, self.ode)


@dataclass(frozen=True)
class Baseline:
    """A sampler that is a loop of its own, run like `seeds_theory.follow`.

    Parameters
    ----------
    name : its name in `BASELINES`.
    algorithm : ``f(run, **options)``, returns the final states.
    declared : its orders, confirmed by the audit.
    reference : where the formula is from.
    eta : the default.
    only_eta : the only eta it has, if so: 0 for an algorithm without noise.
    noise_options : options that set themselves where and how much noise there is.
    order_options : options with which it has other orders than declared.
    repeats : whether it takes a grid with repeated levels.
    averages : whether it draws averages of the path, not its values alone.
    """

    name: str
    algorithm: Callable[..., Tensor]
    declared: Declared
    reference: str
    eta: float = 1.0
    only_eta: float | None = None
    noise_options: tuple[str, ...] = ()
    order_options: tuple[str, ...] = ()
    repeats: bool = False
    averages: bool = False

    def __post_init__(self) -> None:
        if self.only_eta is not None:
            object.__setattr__(self, "eta", self.only_eta)

    def __str__(self) -> str:
        return self.name

    @property
    def stochastic(self) -> bool:
        """Whether it draws noise at some eta."""
        return self.only_eta != 0

    def __call__(
        self,
        denoiser: Denoiser,
        x: Tensor,
        sigmas: Sequence[float] | np.ndarray,
        noise: NoiseSource | None = None,
        *,
        eta: float | None = None,
        callback: Callback | None = None,
        progress: bool = False,
        **options: Any,
    ) -> Tensor:
        """Sample from the states x at ``sigmas[0]``; arguments as of `seeds_theory.follow`.

        Returns
        -------
        The states at ``sigmas[-1]``, shaped like x.

        Raises
        ------
        ParameterError : eta < 0 or not for this method, an unknown option, x not floating point.
        GridError : a grid that is not descending.
        DenoiserError, NoiseError : the model or the source broke its protocol.
        """
        return self._start(denoiser, x, sigmas, noise, eta, callback, progress, options)[0]

    def nfe(
        self, sigmas: Sequence[float] | np.ndarray, *, eta: float | None = None, **options: Any
    ) -> int:
        """Number of model calls of one run on that grid, counted on a model that returns 0."""
        zero = torch.zeros(1, 1, dtype=torch.float64)

        def still(x: Tensor, sigma: float) -> Tensor:
            return torch.zeros_like(x)

        return self._start(still, zero, sigmas, silent, eta, None, False, options)[1]

    def _start(
        self,
        denoiser: Denoiser,
        x: Tensor,
        sigmas: Sequence[float] | np.ndarray,
        noise: NoiseSource | None,
        eta: float | None,
        callback: Callback | None,
        progress: bool,
        options: dict[str, Any],
    ) -> tuple[Tensor, int]:
        require_state(x)
        require_denoiser(denoiser)
        source = require_source(noise)
        value = require_eta(self.eta if eta is None else eta)
        grid = require_grid(sigmas, repeats=self.repeats, rises=value == 0)
        if self.only_eta is not None and value != self.only_eta:
            raise ParameterError(
                f"{self.name!r} has eta = {self.only_eta:g} only; got {eta!r}: give that"
            )
        known = [p for p in inspect.signature(self.algorithm).parameters if p != "run"]
        require_options(self.name, options, known)
        to_infinity = math.isinf(grid[-1])  # at eta = 0
        levels = grid[:-1] if to_infinity else grid
        run = Run(denoiser, x, levels.tolist(), value, source, callback, progress, self.name)
        with torch.no_grad():
            if math.isinf(grid[0]) and grid[1] > 0:
                run.leave_infinity()
            alone = len(run.sigmas) == 1 or math.isinf(run.sigmas[0])  # that step is all
            end = run.to_zero(run.x) if alone else self.algorithm(run, **options)
            return run.reach_infinity(end) if to_infinity else end, run.calls

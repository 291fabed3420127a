r"""Clocks of predictions that have no exponential kernel in log-SNR: F, v, flow and score.

Where :math:`D = \mathrm{skip}\,y + \mathrm{out}\,F`, let :math:`\phi(\sigma)` be a solution of the frame's
SDE without F and without noise, and :math:`x = y / \phi`. Then, for every :math:`\eta`,

.. math::  dx = \mp(1+\eta)\,F\,dw(\sigma) + \text{noise}, \qquad
           w(\sigma) = \int_0^\sigma \frac{|\mathrm{out}(l)|}{l\,\phi(l)}\,dl,

and the noise of x is a Brownian motion in the time q, :math:`dq = -2\eta\,\sigma\,\phi^{-2}\,d\sigma`. For
noise prediction :math:`w = \sigma`: so a tableau of noise prediction serves any of these, with w for the
level. Only the noise is another one, and it is known exactly at all nodes jointly.

A `Clock` has these functions of sigma, eta and sigma_data as plain code, of numbers or arrays; the claims
``linear-clock-*`` run the same code on symbols.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import expm1, log1p

from seeds_theory.errors import ParameterError
from seeds_theory.forms import Form, skip_and_out
from seeds_theory.schedule import flow_alpha, preserving_alpha
from seeds_theory.special_functions import arc

Formula = Callable[[Any, Any, Any], Any]
"""A function of sigma, eta and sigma_data."""


@dataclass(frozen=True)
class Clock:
    r"""What a prediction integrates in.

    Parameters
    ----------
    alpha : of the schedule whose outputs these are, as a function of the noise level.
    sign : of out.
    growth : :math:`\phi`. speed : :math:`dw/d\sigma`. level : w, which is 0 at 0. noise : q.
    """

    alpha: Callable[[float], float]
    sign: int
    growth: Formula
    speed: Formula
    level: Formula
    noise: Formula

    def node(self, level: float, eta: float, sigma_data: float, below: float) -> float:
        """The sigma at which w is this level, to rounding; `below` is a smaller sigma.

        Newton's method: w is concave or convex, so that from the second step on it comes from one side.
        """
        sigma = below
        for _ in range(100):
            gap = level - float(self.level(sigma, eta, sigma_data))
            step = gap / float(self.speed(sigma, eta, sigma_data))
            sigma += step
            if abs(step) <= 1e-15 * sigma:
                break
        return sigma


def _plain_growth(sigma: Any, eta: Any, sigma_data: Any) -> Any:
    return 1 + 0 * sigma


def _score_speed(sigma: Any, eta: Any, sigma_data: Any) -> Any:
    return sigma


def _score_level(sigma: Any, eta: Any, sigma_data: Any) -> Any:
    return sigma**2 / 2


def _plain_noise(sigma: Any, eta: Any, sigma_data: Any) -> Any:
    return -eta * sigma**2


def _root_growth(sigma: Any, eta: Any, sigma_data: Any) -> Any:
    return (sigma**2 + sigma_data**2) ** ((1 + eta) / 2)


def _root_speed(sigma: Any, eta: Any, sigma_data: Any) -> Any:
    return sigma_data * (sigma**2 + sigma_data**2) ** (-1 - eta / 2)


def _root_level(sigma: Any, eta: Any, sigma_data: Any) -> Any:
    return sigma_data ** (-eta) * arc(eta, sigma / sigma_data)


def _root_noise(sigma: Any, eta: Any, sigma_data: Any) -> Any:
    return (sigma**2 + sigma_data**2) ** (-eta)


def _flow_growth(sigma: Any, eta: Any, sigma_data: Any) -> Any:
    return (1 + sigma) ** (1 + eta)


def _flow_speed(sigma: Any, eta: Any, sigma_data: Any) -> Any:
    return (1 + sigma) ** (-2 - eta)


def _flow_level(sigma: Any, eta: Any, sigma_data: Any) -> Any:
    return -expm1(-(1 + eta) * log1p(sigma)) / (1 + eta)


def _flow_noise(sigma: Any, eta: Any, sigma_data: Any) -> Any:
    return (1 + sigma) ** (-2 * eta) * (1 - 2 * eta / ((1 + 2 * eta) * (1 + sigma)))


def _one(level: float) -> float:
    return 1.0


CLOCKS: dict[str, Clock] = {
    "score": Clock(_one, 1, _plain_growth, _score_speed, _score_level, _plain_noise),
    "v": Clock(preserving_alpha, -1, _root_growth, _root_speed, _root_level, _root_noise),
    "flow": Clock(flow_alpha, -1, _flow_growth, _flow_speed, _flow_level, _flow_noise),
    "F": Clock(_one, 1, _root_growth, _root_speed, _root_level, _root_noise),
}
"""By prediction. v is that of a variance-preserving schedule, which is -F with sigma_data = 1; the score is
that of the frame, alpha = 1; flow is the velocity of rectified flow."""


def frame_coefficients(name: str, sigma: float, sigma_data: float) -> tuple[float, float]:
    """(skip, out) of states of the frame, y = x / alpha, at a finite noise level."""
    alpha = CLOCKS[name].alpha(sigma)
    skip, out = skip_and_out(name, alpha, alpha * sigma, sigma_data)
    return skip * alpha, out


@dataclass(frozen=True)
class ClockForm(Form):
    """The `Form` of a prediction that has a clock, at one sigma_data: no parameter is left.

    It has no noise rate: its noise serves path values, and no averages of the path.
    """

    sigma_data: float = 1.0

    @property
    def propagator(self) -> Callable[..., Any]:
        """As that of a `Form`; the parameter is not used."""
        growth = CLOCKS[self.name].growth

        def ratio(t: Any, s: Any, eta: float, parameter: Any = None) -> Any:
            end, start = (growth(np.exp(-time), eta, self.sigma_data) for time in (t, s))
            return end / start

        return ratio

    @property
    def noise_kernel(self) -> Callable[..., Any]:
        """As that of a `Form`; the parameter is not used."""
        ratio = self.propagator

        def kernel(t: Any, s: Any, eta: float, parameter: Any = None) -> Any:
            return ratio(t, s, eta) * math.sqrt(2 * eta) * np.exp(-np.asarray(s))

        return kernel

    def rate(self, eta: float) -> float:
        """It has none: raises ParameterError."""
        raise ParameterError(
            f"the noise of {self.name!r} prediction has no rate in log-SNR: it serves the path's values, and "
            "no averages of it"
        )

    def deviation(self, sigma_next: float, length: float, eta: float) -> float:
        """The standard deviation of its noise after a stretch of that length, which may be infinite."""
        clock, start = CLOCKS[self.name], sigma_next * math.exp(length)
        q, before = (float(clock.noise(s, eta, self.sigma_data)) for s in (sigma_next, start))
        return float(clock.growth(sigma_next, eta, self.sigma_data)) * math.sqrt(q - before)

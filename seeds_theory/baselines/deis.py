r"""DEIS, tAB: Adams-Bashforth on the noise prediction, with exact weights.

Zhang and Chen 2022, arXiv 2204.13902. The probability-flow ODE in the frame x / alpha is

.. math::  \frac{dx}{d\sigma} = \varepsilon(x, \sigma), \qquad \varepsilon = \frac{x - D}{\sigma},

an exponential integrator whose linear part is already gone. tAB-r puts the polynomial P of degree r
through :math:`\varepsilon` at s and at the r levels before, and integrates it exactly:

.. math::  x_t = x_s + \int_s^t P(\sigma)\,d\sigma
               = x_s + (t - s) \sum_{j=0}^{r} w_j\,\varepsilon_j .

A polynomial in time depends on what time is. Here it is :math:`\sigma`, the time of the
variance-exploding process; so tAB is the paper's rhoAB too, :math:`\rho = \sigma/\alpha`.

r past values and the present one make the order r + 1. Memory is built up without losing it: the first
r - 1 steps are taken by the paper's rho-Runge-Kutta method of order r (Heun's or Kutta's in
:math:`\rho`), and the one after them by tAB-(r-1).
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from seeds_theory.baselines.adams import Values, adams_weights, combine
from seeds_theory.baselines.run import Baseline, Declared, Run


def deis_tab(r: int, run: Run) -> Tensor:
    """tAB-r in the time sigma, r = 2 or 3: see the module's formula."""
    start_up = {2: _heun, 3: _kutta}[r]
    x = run.x
    past: Values = []  # (sigma, eps)
    for n, (s, t) in enumerate(run.steps):
        D = run.denoise(x, s)
        past = [(s, (x - D) / s), *past][: r + 1]
        if n < r - 1:
            slope = start_up(run, x, s, t, past[0][1])
        else:
            nodes = [(level - s) / (t - s) for level, _ in past]
            slope = combine(adams_weights(nodes), [eps for _, eps in past])
        x = run.step(x + (t - s) * slope, s, t, D)
    return run.to_zero(x)


def _heun(run: Run, x: Tensor, s: float, t: float, eps: Tensor) -> Tensor:
    """The mean of eps over a step by Heun's method, order 2."""
    return (eps + _eps(run, x + (t - s) * eps, t)) / 2


def _kutta(run: Run, x: Tensor, s: float, t: float, eps: Tensor) -> Tensor:
    """The mean of eps over a step by Kutta's method, order 3."""
    m = s + (t - s) / 2
    middle = _eps(run, x + (m - s) * eps, m)
    last = _eps(run, x + (t - s) * (2 * middle - eps), t)
    return (eps + 4 * middle + last) / 6


def _eps(run: Run, x: Tensor, sigma: float) -> Tensor:
    return (x - run.denoise(x, sigma)) / sigma


_REFERENCE = "Zhang and Chen 2022, arXiv 2204.13902"

DEIS_TAB2 = Baseline(
    "deis-tab2",
    partial(deis_tab, 2),
    Declared(strong=None, weak=None, ode=3),
    _REFERENCE,
    only_eta=0.0,
)
DEIS_TAB3 = Baseline(
    "deis-tab3",
    partial(deis_tab, 3),
    Declared(strong=None, weak=None, ode=4),
    _REFERENCE,
    only_eta=0.0,
)

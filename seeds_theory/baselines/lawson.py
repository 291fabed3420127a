r"""Lawson's methods: Runge-Kutta in the variables in which the linear part stands still.

With :math:`k = 1 + \eta` the SDE is :math:`dx = k (D - x)\,d\lambda + g\,dW`, and
:math:`v = e^{k\lambda} x` obeys :math:`dv = k\,e^{k\lambda} D\,d\lambda + e^{k\lambda} g\,dW`. A Runge-Kutta
method for v, its noise integrated exactly along one path, is in x, with h = log(s/t) and a stage at the
fraction c,

.. math::  \text{Euler:}\quad x_t &= e^{-kh} (x + k h D_0) + N_t, \\
           \text{order 2:}\quad u &= e^{-c k h} (x + c k h D_0) + N_c, \\
           x_t &= e^{-kh} \Big[x + \Big(1 - \frac1{2c}\Big) k h D_0\Big]
                  + \frac{k h}{2c}\,e^{-(1-c) k h} D_c + N_t ;

c = 1/2 is the midpoint rule, c = 1 Heun's method; and at eta = 0 the classical method of order 4, with
:math:`E = e^{-h/2}` and m the middle of the step in log-SNR,

.. math::  u_2 = E \Big(x + \frac h2 D_1\Big), \quad u_3 = E x + \frac h2 D_2, \quad
           u_4 = E^2 x + h E D_3, \quad
           x_t = E^2 x + \frac h6 \big[E^2 D_1 + 2 E (D_2 + D_3) + D_4\big] .

The exponential weight inside the integral is interpolated as well, where exponential Runge-Kutta methods
integrate it: so a constant D is not integrated exactly, and is no fixed point.

Reference: Lawson, SIAM J. Numer. Anal. 4 (1967); Hochbruck and Ostermann, Acta Numerica 19 (2010).
"""

from __future__ import annotations

import math

from torch import Tensor

from seeds_theory.baselines.dpm_solver import node
from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio, require_option


def lawson_euler(run: Run) -> Tensor:
    """Lawson-Euler, for any eta."""
    x = run.x
    for s, t in run.steps:
        kh = (1 + run.eta) * log_ratio(s, t)
        (n_t,) = run.noises(s, t)
        D = run.denoise(x, s)
        x = run.step(math.exp(-kh) * (x + kh * D) + n_t, s, t, D)
    return run.to_zero(x)


def lawson_2(run: Run, c: float = 0.5) -> Tensor:
    """The two-stage Lawson methods, for any eta, with the node c in (0, 1]."""
    require_option("c", c, 0, 1)
    x = run.x
    for s, t in run.steps:
        kh, m = (1 + run.eta) * log_ratio(s, t), node(s, t, c)
        n_c, n_t = run.noises(s, m, t)
        D = run.denoise(x, s)
        u = math.exp(-c * kh) * (x + c * kh * D) + n_c
        later = kh / (2 * c) * math.exp(-(1 - c) * kh) * run.denoise(u, m)
        x = math.exp(-kh) * (x + (1 - 0.5 / c) * kh * D) + later + n_t
        x = run.step(x, s, t, D)
    return run.to_zero(x)


def lawson_rk4(run: Run) -> Tensor:
    """Lawson's form of the classical Runge-Kutta method, eta = 0."""
    x = run.x
    for s, t in run.steps:
        h, m = log_ratio(s, t), node(s, t, 0.5)
        E = math.exp(-h / 2)
        D_1 = run.denoise(x, s)
        D_2 = run.denoise(E * (x + h / 2 * D_1), m)
        D_3 = run.denoise(E * x + h / 2 * D_2, m)
        D_4 = run.denoise(E**2 * x + h * E * D_3, t)
        x = E**2 * x + h / 6 * (E**2 * D_1 + 2 * E * (D_2 + D_3) + D_4)
        x = run.step(x, s, t, D_1)
    return run.to_zero(x)


_LAWSON = "Lawson (1967)"

LAWSON_EULER = Baseline("lawson-euler", lawson_euler, Declared(strong=1, weak=1, ode=1), _LAWSON)
LAWSON_2 = Baseline("lawson-2", lawson_2, Declared(strong=1, weak=2, ode=2), _LAWSON)
LAWSON_RK4 = Baseline(
    "lawson-rk4", lawson_rk4, Declared(strong=None, weak=None, ode=4), _LAWSON, only_eta=0.0
)

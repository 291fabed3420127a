r"""ShARK: a Runge-Kutta method for additive noise, shifted by the path's area; and Lawson's form of it.

Over a step of length h let W be the increment of the path, and H its space-time Levy area,
:math:`H = \frac1h \int_0^h (W_u - \frac uh W)\,du`, independent of W. For :math:`dx = f\,d\lambda + g\,dW`
with :math:`h = \log(s/t)`, :math:`f = (1+\eta)(D - x)`, :math:`g(\sigma) = \sqrt{2\eta}\,\sigma`,

.. math::  \tilde x &= x + g(s) H, \qquad
           u = \tilde x + \tfrac56 \big[h f(\tilde x, s) + g(s) W\big], \\
           x_t &= x + h \big[\tfrac25 f(\tilde x, s) + \tfrac35 f(u, s e^{-5h/6})\big] + g(s) W
                  + \big(g(t) - g(s)\big) \big(\tfrac12 W - H\big) .

The paper has a constant g. Here the stages have that of the step's start, and the last term makes
:math:`\int g\,dW` exact for g linear in the step, as in implementations; so the strong order 3/2 is kept.

Lawson's transformation removes both the linear part and the change of g. With :math:`k = 1 + \eta`,
:math:`v = e^{k\lambda} x` and the clock :math:`\varsigma = e^{2\eta\lambda}`,

.. math::  dv = \frac{k}{2\eta}\,e^{(1-\eta)\lambda} D\,d\varsigma + dB_\varsigma ,

and ShARK in v, W and H those of B, is in x, with :math:`\tau = (e^{2\eta h} - 1)/(2\eta)` and the fraction
5/6 of the clock at :math:`h_c = \log(1 + \tfrac56\,2\eta\tau)/(2\eta)` of log-SNR,

.. math::  \tilde x &= x + \hat H, \qquad
           u = e^{-k h_c} \big[\tilde x + \tfrac56 (k \tau D_0 + \hat W)\big], \\
           x_t &= e^{-k h} \big[x + k \tau \big(\tfrac25 D_0 + \tfrac35 e^{(1-\eta) h_c} D_c\big)
                  + \hat W\big] ,

where :math:`\hat W, \hat H` have the deviations :math:`s \sqrt{e^{2\eta h} - 1}` and that over
:math:`\sqrt{12}`. As :math:`\eta \to 0` the clock is the log-SNR, :math:`\tau = h`, :math:`h_c = \frac56 h`.
Rex makes this step reversible; its paper has the transformation and this choice of method.

References: Foster, dos Reis and Strange, arXiv 2210.17543, eq. 6.1; Blasingame and Liu, arXiv 2502.08834.
"""

from __future__ import annotations

import math

from torch import Tensor

from seeds_theory.baselines.dpm_solver import node
from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio
from seeds_theory.baselines.sra1 import increment_and_area
from seeds_theory.forms import DATA
from seeds_theory.plan import Interval
from seeds_theory.special_functions import phi


def shark(run: Run) -> Tensor:
    """ShARK in the log-SNR, for any eta."""
    x = run.x
    for s, t in run.steps:
        k = 1 + run.eta
        h, m = log_ratio(s, t), node(s, t, 5 / 6)
        W, H = increment_and_area(run, s, t)
        u = x + s * H
        D = run.denoise(u, s)
        f = k * (D - u)
        u = u + 5 / 6 * (h * f + s * W)
        f_m = k * (run.denoise(u, m) - u)
        x = x + h / 5 * (2 * f + 3 * f_m) + s * W + (t - s) * (W / 2 - H)
        x = run.step(x, s, t, D)
    return run.to_zero(x)


def lawson_shark(run: Run) -> Tensor:
    """ShARK after Lawson's transformation, in the clock of its noise, for any eta."""
    x = run.x
    for s, t in run.steps:
        eta, k = run.eta, 1 + run.eta
        h = log_ratio(s, t)
        tau = h * phi(1, 2 * eta * h)
        h_c = math.log1p(5 / 3 * eta * tau) / (2 * eta) if eta > 0 else 5 / 6 * h
        z, area = run.draw(*(Interval(s, t, DATA, eta, area=which) for which in (False, True)))
        deviation = s * math.sqrt(2 * eta * tau)
        W, H = deviation * z, deviation / math.sqrt(12) * area
        u = x + H
        D = run.denoise(u, s)
        u = math.exp(-k * h_c) * (u + 5 / 6 * (k * tau * D + W))
        D_c = run.denoise(u, s * math.exp(-h_c))
        drift = (
            k * tau / 5 * (2 * math.exp(-k * h) * D + 3 * math.exp((1 - eta) * h_c - k * h) * D_c)
        )
        x = run.step(math.exp(-k * h) * (x + W) + drift, s, t, D)
    return run.to_zero(x)


SHARK = Baseline(
    "shark",
    shark,
    Declared(strong=1.5, weak=2, ode=2, linear=(2, 2)),
    "Foster et al. 2022, arXiv 2210.17543",
    averages=True,
)
LAWSON_SHARK = Baseline(
    "lawson-shark",
    lawson_shark,
    Declared(strong=1.5, weak=2, ode=2, linear=(2, 2)),
    "Blasingame & Liu 2025, arXiv 2502.08834 (Rex)",
    averages=True,
)

r"""SRA1: Roessler's two-stage Runge-Kutta method for additive noise, on the reverse SDE in the log-SNR.

With drift :math:`f = (1+\eta)(D - x)`, diffusion :math:`g(\sigma) = \sqrt{2\eta}\,\sigma`, h = log(s/t), and
the path's increment :math:`I_1 = W` and integral :math:`I_{10} = \int_0^h W_u\,du`,

.. math::  u &= x + \tfrac34 h f(x, s) + \tfrac32\,g(t)\,I_{10}/h, \\
           x_t &= x + h \big[\tfrac13 f(x, s) + \tfrac23 f(u, s e^{-3h/4})\big]
                  + g(t)\,I_1 + \big(g(s) - g(t)\big)\,I_{10}/h .

The average of the path in its stage gives it strong order 3/2. Like every explicit method for the SDE in this
clock it is unstable in large steps, :math:`(1+\eta) h > 2`.

Reference: Roessler, SIAM J. Numer. Anal. 48 (2010), 922-952.
"""

from __future__ import annotations

import math

from torch import Tensor

from seeds_theory.baselines.dpm_solver import node
from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio
from seeds_theory.forms import INCREMENTS
from seeds_theory.plan import Interval


def sra1(run: Run) -> Tensor:
    """SRA1 in the log-SNR, for any eta."""
    x = run.x
    for s, t in run.steps:
        k = 1 + run.eta
        h, m = log_ratio(s, t), node(s, t, 0.75)
        W, H = increment_and_area(run, s, t)
        average = W / 2 + H
        D = run.denoise(x, s)
        f = k * (D - x)
        u = x + 0.75 * h * f + 1.5 * t * average
        f_m = k * (run.denoise(u, m) - u)
        x = run.step(x + h / 3 * (f + 2 * f_m) + t * W + (s - t) * average, s, t, D)
    return run.to_zero(x)


def increment_and_area(run: Run, s: float, t: float) -> tuple[Tensor, Tensor]:
    r"""Of the path in log-SNR, over a step: W, and :math:`H = \frac1h \int_0^h (W_u - \frac uh W)\,du`.

    Both times :math:`\sqrt{2\eta}`, the diffusion of the frame over sigma. H is the space-time Levy area,
    independent of W, with a twelfth of its variance. :math:`\frac1h \int_0^h W_u\,du = W/2 + H`.
    """
    deviation = math.sqrt(2 * run.eta * log_ratio(s, t))
    z, z_1 = run.draw(*(Interval(s, t, INCREMENTS, run.eta, degree=k) for k in (0, 1)))
    return deviation * z, deviation / math.sqrt(12) * z_1


SRA1 = Baseline(
    "sra1",
    sra1,
    Declared(strong=1.5, weak=2, ode=2, linear=(2, 2)),
    "Rößler (2010), SIAM J. Numer. Anal. 48",
    averages=True,
)

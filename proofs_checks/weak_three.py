r"""Weak order 3 with one model call a step: a method with memory, on equal steps of log-SNR.

Each step calls the model at its middle. The stage is predicted by the line through the last two estimates,
and the step integrates the parabola through the new one and those two. Given the noise N of the step, the
noise of the stage has the path's mean and variance there,

.. math::  \zeta_n = a N_n + b\,\xi_n, \qquad a = \frac{e^{(1-\eta) h/2}}{1 + e^{-\eta h}}, \qquad
           b^2 = \sigma_m^2\,\frac{1 - e^{-\eta h}}{1 + e^{-\eta h}},
.. math::  \xi_n = \theta_0 w_n + \theta_1 w_{n-1} + \theta_2 w_{n-2}, \qquad \sum_k \theta_k^2 = 1,

with normals w that are independent of the path. On the path itself the :math:`\xi_n` were independent of
each other, and one condition would fail at :math:`h^3`. The two in which noises of different calls meet,
:math:`\varphi''(f'(e_a), f'(e_a))` and :math:`\varphi'(f''(f'(e_a), e_a))`, are linear in the correlations of
:math:`\xi_n` with :math:`\xi_{n-1}` and :math:`\xi_{n-2}`, and hold at `CORRELATIONS`. The first step calls
the model at its start, too. Claims: ``memory-weak-3``, ``memory-weak-3-runs``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from torch import Tensor

from seeds_theory.baselines.adams import Values, combine, exponential_weights
from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio
from seeds_theory.forms import DATA
from seeds_theory.plan import Interval

CORRELATIONS = (Fraction(7, 96), Fraction(-23, 96))
"""Of the stage's own noises in steps next to each other, and two steps apart."""


def moving_average() -> list[float]:
    r"""The :math:`\theta_k` of a moving average with these correlations."""
    first, second = CORRELATIONS
    # theta_0 + theta_2 = q: q^2 - 2 theta_0 theta_2 + (first / q)^2 = 1.
    free = 1 + 2 * second
    q = math.sqrt((free + math.sqrt(free**2 - 4 * first**2)) / 2)
    return [
        (q + math.sqrt(q**2 - 4 * second)) / 2,
        first / q,
        (q - math.sqrt(q**2 - 4 * second)) / 2,
    ]


def weak_three(run: Run, *, theta: Sequence[float] = ()) -> Tensor:
    """The method: see the module's formula. theta : other ones than those of `moving_average`."""
    weights = theta or moving_average()
    y = run.x
    past: Values = []
    drawn: list[Tensor] = []  # the last three w
    for s, t in run.steps:
        kappa, h = 1 + run.eta, log_ratio(s, t)
        m = s * math.exp(-h / 2)
        first = not past
        if first:
            past = [(s, run.denoise(y, s))]
        paths = range(1, 4 if first else 2)
        z, *new = run.draw(
            Interval(s, t, DATA, run.eta), *(Interval(s, t, DATA, run.eta, path=p) for p in paths)
        )
        drawn = [*new, *drawn][:3]
        N = t * math.sqrt(-math.expm1(-2 * run.eta * h)) * z
        share = 1 / (1 + math.exp(-run.eta * h))
        a = math.exp((1 - run.eta) * h / 2) * share
        b = m * math.sqrt(-math.expm1(-run.eta * h) * share)
        zeta = a * N + combine([b * k for k in weights], drawn)
        u = (m / s) ** kappa * y + _integral(kappa, s, m, past[:2]) + zeta
        past = [(m, run.denoise(u, m)), *past][:3]
        y = run.step((t / s) ** kappa * y + _integral(kappa, s, t, past) + N, s, t, past[0][1])
    return run.to_zero(y)


def _integral(kappa: float, s: float, t: float, known: Values) -> Tensor:
    b = exponential_weights(kappa, s, t, [level for level, _ in known])
    return combine(b, [D for _, D in known])


WEAK_THREE = Baseline(
    "weak-3 with memory", weak_three, Declared(strong=1, weak=3, ode=3), "this project", along=False
)
"""As a sampler; its noises are of one eta, and its orders of equal steps."""

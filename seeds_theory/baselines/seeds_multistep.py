r"""SEEDS-2M: a multistep member of the family with strong order 3/2 and weak order 2, one call per step.

A step of length :math:`h = \log(s/t)` evaluates the model once, at a stage of node c. The stage is predicted
with the last two estimates; the step integrates the line through the new and the last one:

.. math::  u_n = \Phi\,y_n + \int_s^m E\,\ell\,dl + \zeta_n, \qquad
           y_{n+1} = \Phi\,y_n + b_0 D(u_n) + b_1 D(u_{n-1}) + N_n .

Seen from :math:`y_n` the last stage deviates by the noise :math:`\beta_n = \zeta_{n-1} - N_{n-1}`. Two
conditions make the step right on the noise: path by path for linear D, with M the average of the path,

.. math::  b_0\,\zeta_n + b_1\,\beta_n = M_n,

which is a recursion for the stage's noise; and in the mean for curved D, which fixes the node. If the last
stage is d steps before the start of this one,

.. math::  c = \frac{3 + 8d}{4 + 12d} \in \left(\tfrac23, \tfrac34\right] .

Then :math:`\beta_n` always has the variance of the path over those d steps, whatever the grid. In the
first step the last stage is the state itself, d = 0, which makes it a step of SEEDS-2s. Claims:
``beyond-*-seeds-2m``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seeds_theory.baselines.adams import Values, combine, exponential_weights
from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio, require_option


def seeds_2m(run: Run, *, node: float | None = None) -> Tensor:
    """SEEDS-2M: see the module's formula.

    node : a constant one in (0, 1] instead of the best, which costs order.
    """
    if node is not None:
        require_option("node", node, 0, 1)
    kappa = 1 + run.eta
    y, deviation = run.x, torch.zeros_like(run.x)
    past: Values = []
    for s, t in run.steps:
        past = past or [(s, run.denoise(y, s))]
        last, D_last = past[0]
        h = log_ratio(s, t)
        c = best_node(log_ratio(last, s) / h) if node is None else node
        m = s * math.exp(-c * h)
        b_0, b_1 = exponential_weights(kappa, s, t, [m, last])
        N, M = run.averages(s, t)
        zeta = (M - b_1 * deviation) / b_0
        a = exponential_weights(kappa, s, m, [level for level, _ in past])
        u = (m / s) ** kappa * y + combine(a, [D for _, D in past]) + zeta
        D = run.denoise(u, m)
        y = (t / s) ** kappa * y + b_0 * D + b_1 * D_last + N
        # The first step has two estimates, and is reported with the first.
        run.step(y, s, t, D if len(past) > 1 else D_last)
        deviation = zeta - N
        past = [(m, D), past[0]]
    return run.to_zero(y)


def best_node(d: float) -> float:
    """The node of the stage, if the last stage is d >= 0 steps before the start of this one."""
    return (3 + 8 * d) / (4 + 12 * d)


SEEDS_2M = Baseline(
    "seeds-2m",
    seeds_2m,
    Declared(strong=1.5, weak=2, ode=2, linear=(2, 2)),
    "this project",
    order_options=("node",),
    averages=True,
)

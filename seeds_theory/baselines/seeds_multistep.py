r"""SEEDS-2M: a multistep member of the family with strong order 3/2 and weak order 2, one call per step.

A step of length :math:`h = \log(s/t)` evaluates the model once, at a stage of node c. The stage is predicted
with the line through the last two estimates; the step integrates that through the new and the last one:

.. math::  u_n = \Phi\,y_n + \int_s^m E\,\ell\,dl + \zeta_n, \qquad
           y_{n+1} = \Phi\,y_n + b_0 D(u_n) + b_1 D(u_{n-1}) + N_n .

Seen from :math:`y_n` the last stage deviates by the noise :math:`\beta_n = \zeta_{n-1} - N_{n-1}`. Two
conditions make the step right on the noise: path by path for linear D, with M the average of the path,

.. math::  b_0\,\zeta_n + b_1\,\beta_n = M_n,

which is a recursion for the stage's noise; and in the mean for curved D, which fixes the node. If the last
stage is d steps before the start of this one,

.. math::  c = \frac{3 + 8d}{4 + 12d} \in \left(\tfrac23, \tfrac34\right] .

Then :math:`\beta_n` always has the variance of the path over those d steps, whatever the grid. In the
first step the last stage is the state itself, d = 0, which makes it a step of SEEDS-2s; the line has one
estimate there, and another one infinitely far away. The numbers of a step are emitted code, made of
`seeds_theory.multistep.multistep_formula`. Claims: ``beyond-*-seeds-2m``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio, require_option
from seeds_theory.emitted.seeds_2m import node as best_node
from seeds_theory.emitted.seeds_2m import step as step_weights


def seeds_2m(run: Run, *, node: float | None = None) -> Tensor:
    """SEEDS-2M: see the module's formula.

    node : a constant one in (0, 1] instead of the best, which costs order.
    """
    if node is not None:
        require_option("node", node, 0, 1)
    y, beta = run.x, torch.zeros_like(run.x)
    past: list[tuple[float, Tensor]] = []  # the last two estimates and their levels
    for s, t in run.steps:
        first = not past
        if first:
            D = run.denoise(y, s)
            past = [(s, D), (math.inf, D)]
        (last, D_1), (before, D_2) = past
        h = log_ratio(s, t)
        d, gap = log_ratio(last, s) / h, log_ratio(before, last) / h
        c = best_node(d) if node is None else node
        m, (p_m, a_1, a_2), (p_t, b_0, b_1), N_1, (M_1, M_2) = step_weights(
            s, t, run.eta, c, d, gap
        )
        w_1, w_2 = run.pair(s, t)
        N, M = N_1 * w_1, M_1 * w_1 + M_2 * w_2
        zeta = (M - b_1 * beta) / b_0
        u = p_m * y + a_1 * D_1 + a_2 * D_2 + zeta
        D = run.denoise(u, float(m))
        y = p_t * y + b_0 * D + b_1 * D_1 + N
        beta = zeta - N
        # The first step has two estimates, and is reported with the first.
        run.step(y, s, t, D_1 if first else D)
        past = [(float(m), D), (last, D_1)]
    return run.to_zero(y)


SEEDS_2M = Baseline(
    "seeds-2m",
    seeds_2m,
    Declared(strong=1.5, weak=2, ode=2, linear=(2, 2)),
    "this project",
    order_options=("node",),
    averages=True,
)

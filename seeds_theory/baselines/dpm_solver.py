r"""DPM-Solver and DPM-Solver++, their single-step methods, with and without noise.

With :math:`h = \log(s/t)` and nodes :math:`s_i = s\,e^{-r_i h}`, in the frame x / alpha (:math:`\alpha = 1`),
:math:`\varepsilon_i` and :math:`D_i` the predictions at node i. DPM-Solver integrates the noise,

.. math::  \text{2:}\quad u_1 &= x - s_1 (e^{r_1 h} - 1)\,\varepsilon_0, \\
           x_t &= x - t (e^h - 1) \Big[\varepsilon_0 + \frac{\varepsilon_1 - \varepsilon_0}{2 r_1}\Big], \\
           \text{3:}\quad u_2 &= x - s_2 (e^{r_2 h} - 1)\,\varepsilon_0
             - s_2 \frac{r_2}{r_1} \Big(\frac{e^{r_2 h} - 1}{r_2 h} - 1\Big)
               (\varepsilon_1 - \varepsilon_0), \\
           x_t &= x - t (e^h - 1)\,\varepsilon_0
             - \frac{t}{r_2} \Big(\frac{e^h - 1}{h} - 1\Big) (\varepsilon_2 - \varepsilon_0) ,

and DPM-Solver++(2S) the data. In the SDE of eta it has the rate :math:`1 + \eta` in place of 1, and the
noise :math:`N_i` of one path at the nodes:

.. math::  u &= e^{-(1+\eta) r h} x - (e^{-(1+\eta) r h} - 1) D_0 + N_1, \\
           x_t &= e^{-(1+\eta) h} x - (e^{-(1+\eta) h} - 1)
                  \Big[\Big(1 - \frac1{2r}\Big) D_0 + \frac1{2r} D_1\Big] + N_t .

Without its stage this is SDE-DPM-Solver++(1). All of them are tableaux of the SEEDS family: 2 and 3 are
``seeds-2`` and ``seeds-3`` in noise prediction at eta = 0; (2S) and the SDE solvers are ``seeds-2`` and
``seeds-1`` in data prediction. With independent noises in place of :math:`N_1, N_t`, as often implemented,
the two-stage SDE solver has weak order 1.

References: Lu et al., arXiv 2206.00927 (DPM-Solver); arXiv 2211.01095 (DPM-Solver++).
"""

from __future__ import annotations

import math

from torch import Tensor

from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio, require_option
from seeds_theory.special_functions import phi


def dpm_solver_2(run: Run, r1: float = 0.5) -> Tensor:
    """DPM-Solver-2 with the node r1 in (0, 1]."""
    require_option("r1", r1, 0, 1)
    x = run.x
    for s, t in run.steps:
        h, s_1 = log_ratio(s, t), node(s, t, r1)
        D = run.denoise(x, s)
        eps = (x - D) / s
        u = x - s_1 * math.expm1(r1 * h) * eps
        eps_1 = (u - run.denoise(u, s_1)) / s_1
        x = x - t * math.expm1(h) * (eps + (eps_1 - eps) / (2 * r1))
        x = run.step(x, s, t, D)
    return run.to_zero(x)


def dpm_solver_3(run: Run, r1: float = 1 / 3, r2: float = 2 / 3) -> Tensor:
    """DPM-Solver-3 with the nodes r1 and r2 in (0, 1]; its order is 3 for r2 = 2/3."""
    require_option("r1", r1, 0, 1)
    require_option("r2", r2, 0, 1)
    x = run.x
    for s, t in run.steps:
        h, s_1, s_2 = log_ratio(s, t), node(s, t, r1), node(s, t, r2)
        D = run.denoise(x, s)
        eps = (x - D) / s
        u = x - s_1 * math.expm1(r1 * h) * eps
        d_1 = (u - run.denoise(u, s_1)) / s_1 - eps
        # (e^z - 1)/z - 1 = z phi_2(z)
        u = x - s_2 * (math.expm1(r2 * h) * eps + r2 / r1 * r2 * h * phi(2, r2 * h) * d_1)
        d_2 = (u - run.denoise(u, s_2)) / s_2 - eps
        x = x - t * (math.expm1(h) * eps + h * phi(2, h) / r2 * d_2)
        x = run.step(x, s, t, D)
    return run.to_zero(x)


def sde_dpm_solver_1(run: Run) -> Tensor:
    """SDE-DPM-Solver++(1), for any eta."""
    x = run.x
    for s, t in run.steps:
        rate_h = (1 + run.eta) * log_ratio(s, t)
        (n_t,) = run.noises(s, t)
        D = run.denoise(x, s)
        x = run.step(math.exp(-rate_h) * x - math.expm1(-rate_h) * D + n_t, s, t, D)
    return run.to_zero(x)


def dpm_solver_2s(run: Run, r: float = 0.5) -> Tensor:
    """DPM-Solver++(2S) with the node r in (0, 1], for any eta."""
    require_option("r", r, 0, 1)
    x = run.x
    for s, t in run.steps:
        rate_h, m = (1 + run.eta) * log_ratio(s, t), node(s, t, r)
        n_1, n_t = run.noises(s, m, t)
        D_0 = run.denoise(x, s)
        u = math.exp(-r * rate_h) * x - math.expm1(-r * rate_h) * D_0 + n_1
        D = (1 - 0.5 / r) * D_0 + 0.5 / r * run.denoise(u, m)
        x = run.step(math.exp(-rate_h) * x - math.expm1(-rate_h) * D + n_t, s, t, D_0)
    return run.to_zero(x)


def node(s: float, t: float, r: float) -> float:
    """The level at the fraction r of the step in log-SNR; t itself at r = 1."""
    return s ** (1 - r) * t**r


_DPM, _DPM_PP = "Lu et al. 2022, arXiv 2206.00927", "Lu et al. 2022, arXiv 2211.01095"

DPM_SOLVER_2 = Baseline(
    "dpm-solver-2", dpm_solver_2, Declared(strong=None, weak=None, ode=2), _DPM, only_eta=0.0
)
DPM_SOLVER_3 = Baseline(
    "dpm-solver-3", dpm_solver_3, Declared(strong=None, weak=None, ode=3), _DPM, only_eta=0.0
)
DPM_SOLVER_PP_2S = Baseline(
    "dpm-solver++-2s", dpm_solver_2s, Declared(strong=None, weak=None, ode=2), _DPM_PP, only_eta=0.0
)
SDE_DPM_SOLVER_PP_1 = Baseline(
    "sde-dpm-solver++-1", sde_dpm_solver_1, Declared(strong=1, weak=1, ode=1), _DPM_PP
)
SDE_DPM_SOLVER_PP_2S = Baseline(
    "sde-dpm-solver++-2s", dpm_solver_2s, Declared(strong=1, weak=2, ode=2), _DPM_PP
)

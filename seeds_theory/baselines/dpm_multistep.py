r"""DPM-Solver++ 2M and 3M, and their SDE versions for every eta.

Lu et al. 2022, arXiv 2211.01095. With :math:`h = \log(s/t)`, :math:`\kappa = 1 + \eta`, the data
prediction :math:`D_0` at s and :math:`D_{-1}, D_{-2}` one and two steps before,
:math:`r_0 = h_{-1}/h` and :math:`r_1 = h_{-2}/h`, both methods take the step

.. math::  x_t = e^{-\kappa h} x_s + (1 - e^{-\kappa h})\,D_0 + \mathrm{correction}
           + t\sqrt{1 - e^{-2\eta h}}\,z .

* 2M:  :math:`\frac{1}{2 r_0} (1 - e^{-\kappa h}) (D_0 - D_{-1})`.
* 3M:  :math:`\kappa h\,\varphi_2(-\kappa h)\,D' + \kappa h\,\varphi_3(-\kappa h)\,D''`, where D' and D''
  are the derivatives at s, in units of the step, of the parabola through the three values,

  .. math::  D'_0 = \frac{D_0 - D_{-1}}{r_0}, \quad D'_1 = \frac{D_{-1} - D_{-2}}{r_1}, \quad
             D'' = \frac{2\,(D'_0 - D'_1)}{r_0 + r_1}, \quad D' = D'_0 + \tfrac12 r_0 D'' .

The factor 2 in D'' is what makes 3M exact for quadratic D. Public codes of the multistep method leave
it out (the single-step method's Taylor variant has it): with half the curvature the order at eta = 0 is
2, not 3. ``as_published=True`` is their update. With the factor, 3M is the three-step exponential
Adams-Bashforth method: for eta > 0, SA-Solver with three predictor steps and no corrector.

At eta = 1 these are SDE-DPM-Solver++, at eta = 0 DPM-Solver++. Memory is built up as cheaply as the
order allows: the first step of either method is the one-step one, except that of 3M at eta = 0, which
takes a second model call at its midpoint (DPM-Solver++ 2S, r = 1/2) lest the order fall to 2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio
from seeds_theory.special_functions import phi


def dpm_solver_pp_2m(run: Run) -> Tensor:
    """DPM-Solver++ 2M: see the module's formula."""
    x = run.x
    past: tuple[float, Tensor] | None = None  # (h, D) of the step before
    for s, t in run.steps:
        kappa = 1 + run.eta
        h, D_0 = log_ratio(s, t), run.denoise(x, s)
        D = D_0
        if past is not None:
            h_1, D_1 = past
            r_0 = h_1 / h
            D = D_0 + (D_0 - D_1) / (2 * r_0)
        (N,) = run.noises(s, t)
        x = (t / s) ** kappa * x - math.expm1(-kappa * h) * D + N
        x = run.step(x, s, t, D_0)
        past = (h, D_0)
    return run.to_zero(x)


def dpm_solver_pp_3m(run: Run, *, as_published: bool = False) -> Tensor:
    """DPM-Solver++ 3M: see the module's formula; as_published halves the curvature D''."""
    x = run.x
    past: list[tuple[float, Tensor]] = []  # (h, D) of the steps before, the latest first
    for s, t in run.steps:
        kappa = 1 + run.eta
        h, D_0 = log_ratio(s, t), run.denoise(x, s)
        D = D_0 if past or run.eta > 0 else _at_midpoint(run, x, s, t, D_0)
        (N,) = run.noises(s, t)
        x = (t / s) ** kappa * x - math.expm1(-kappa * h) * D + N
        if past:
            slope, curvature = _derivatives(h, D_0, past)
            x = x + kappa * h * phi(2, -kappa * h) * slope
            x = x + kappa * h * phi(3, -kappa * h) * curvature * (0.5 if as_published else 1.0)
        x = run.step(x, s, t, D_0)
        past = [(h, D_0), *past][:2]
    return run.to_zero(x)


def _at_midpoint(run: Run, x: Tensor, s: float, t: float, D: Tensor) -> Tensor:
    """The estimate at the step's midpoint in log-SNR, reached by DDIM: DPM-Solver++ 2S at r = 1/2."""
    m = math.sqrt(s * t)
    return run.denoise((m / s) * x - math.expm1(-log_ratio(s, m)) * D, m)


def _derivatives(h: float, D_0: Tensor, past: list[tuple[float, Tensor]]) -> tuple[Tensor, Tensor]:
    """D' and D'' at s, in units of the step h; D'' is 0 while one past value is all there is."""
    (h_1, D_1), *older = past
    r_0 = h_1 / h
    slope = (D_0 - D_1) / r_0
    if not older:
        return slope, torch.zeros_like(slope)
    ((h_2, D_2),) = older
    r_1 = h_2 / h
    curvature = 2 * (slope - (D_1 - D_2) / r_1) / (r_0 + r_1)
    return slope + 0.5 * r_0 * curvature, curvature


_REFERENCE = "Lu et al. 2022, arXiv 2211.01095"

DPM_SOLVER_PP_2M = Baseline(
    "dpm-solver++-2m",
    dpm_solver_pp_2m,
    Declared(strong=None, weak=None, ode=2),
    _REFERENCE,
    only_eta=0.0,
)
DPM_SOLVER_PP_3M = Baseline(
    "dpm-solver++-3m",
    dpm_solver_pp_3m,
    Declared(strong=None, weak=None, ode=3),
    _REFERENCE,
    only_eta=0.0,
    order_options=("as_published",),
)
SDE_DPM_SOLVER_PP_2M = Baseline(
    "sde-dpm-solver++-2m", dpm_solver_pp_2m, Declared(strong=1, weak=2, ode=2), _REFERENCE
)
SDE_DPM_SOLVER_PP_3M = Baseline(
    "sde-dpm-solver++-3m",
    dpm_solver_pp_3m,
    Declared(strong=1, weak=2, ode=3),
    _REFERENCE,
    order_options=("as_published",),
)

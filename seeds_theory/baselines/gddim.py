r"""gDDIM: DDIM for any diffusion, here for isotropic ones, where its matrices are numbers.

gDDIM freezes the noise :math:`\varepsilon = (x_s - D)/s` of the step's start and solves the SDE of each
:math:`\lambda` exactly under the score that this implies on the path,

.. math::  x_t = \Psi\,x_s + (\hat\Psi - \Psi)\,s\,\varepsilon + \sqrt{P}\,z, \qquad
           \hat\Psi = \Big(\frac ts\Big)^{1+\lambda^2}, \qquad
           P = t^2 \Big(1 - \Big(\frac ts\Big)^{2\lambda^2}\Big),

with :math:`\Psi = 1` in the frame x / alpha, so that :math:`x_t = D + \hat\Psi (x_s - D) + \sqrt P z`.
Its :math:`\lambda` is a deviation: :math:`\lambda^2 = \eta`. The same step has two other derivations:
D frozen in the SDE that is linear in x, which is ``seeds-1`` in data prediction, at every eta; and DDIM
with :math:`\sigma_{up}^2 = P` exactly, which `ddim` has to first order in log(s/t), and wholly at eta = 0
and 1.

Its multistep predictors at eta = 0 interpolate the noise, as DEIS does, and are not repeated here.

Reference: Zhang, Tao and Chen, arXiv 2206.05564.
"""

from __future__ import annotations

import math

from torch import Tensor

from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio


def gddim(run: Run) -> Tensor:
    r"""The step of an isotropic diffusion, :math:`\lambda = \sqrt\eta`."""
    x = run.x
    for s, t in run.steps:
        eta = run.eta
        h = log_ratio(s, t)
        (z,) = run.normals(s, t)
        D = run.denoise(x, s)
        eps = (x - D) / s
        P = -(t**2) * math.expm1(-2 * eta * h)
        x = x + math.expm1(-(1 + eta) * h) * s * eps + math.sqrt(P) * z
        x = run.step(x, s, t, D)
    return run.to_zero(x)


GDDIM = Baseline(
    "gddim", gddim, Declared(strong=1, weak=1, ode=1), "Zhang et al. 2023, arXiv 2206.05564"
)

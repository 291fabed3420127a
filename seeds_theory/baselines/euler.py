r"""Euler's method: on the reverse SDE in the log-SNR, and on the probability-flow ODE in sigma.

The reverse SDE is, on the clock :math:`\lambda = -\log\sigma`,

.. math::  dx = (1+\eta)(D - x)\,d\lambda + \sqrt{2\eta}\,\sigma\,dW_\lambda ,

and Euler-Maruyama freezes both coefficients at the start of the step, h = log(s/t):

.. math::  x_t = x_s + (1+\eta) h\,(D - x_s) + s \sqrt{2 \eta h}\,z .

It is unstable for (1 + eta) h > 2. At eta = 0 it is Euler on the ODE in the log-SNR. The ODE in sigma is
:math:`dx/d\sigma = \varepsilon = (x - D)/\sigma`; there Euler's step is exact for a constant D, and is
DDIM's at eta = 0.

References: Song et al., arXiv 2011.13456; in sigma, Karras et al., arXiv 2206.00364.
"""

from __future__ import annotations

import math

from torch import Tensor

from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio


def euler_maruyama(run: Run) -> Tensor:
    """Euler-Maruyama on the reverse SDE in the log-SNR, for any eta."""
    x = run.x
    for s, t in run.steps:
        eta = run.eta
        h = log_ratio(s, t)
        (z,) = run.normals(s, t)
        D = run.denoise(x, s)
        x = x + (1 + eta) * h * (D - x) + s * math.sqrt(2 * eta * h) * z
        x = run.step(x, s, t, D)
    return run.to_zero(x)


def euler(run: Run) -> Tensor:
    """Euler on the probability-flow ODE in sigma."""
    x = run.x
    for s, t in run.steps:
        D = run.denoise(x, s)
        eps = (x - D) / s
        x = run.step(x + (t - s) * eps, s, t, D)
    return run.to_zero(x)


EULER_MARUYAMA = Baseline(
    "euler-maruyama",
    euler_maruyama,
    Declared(strong=1, weak=1, ode=1),
    "Song et al. 2021, arXiv 2011.13456",
)
EULER = Baseline(
    "euler",
    euler,
    Declared(strong=None, weak=None, ode=1),
    "Karras et al. 2022, arXiv 2206.00364",
    only_eta=0.0,
)

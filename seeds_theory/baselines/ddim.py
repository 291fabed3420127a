r"""DDIM with noise, and DDPM's ancestral step.

DDIM splits the noise of the end, :math:`t^2 = \sigma_{down}^2 + \sigma_{up}^2`: it goes down to
:math:`\sigma_{down}` along the line through D, and fresh noise brings it up to t,

.. math::  x_t = D + \sigma_{down}\,\varepsilon + \sigma_{up}\,z, \qquad \varepsilon = (x_s - D)/s, \qquad
           \sigma_{up} = \hat\eta\, t \sqrt{1 - t^2/s^2} .

DDIM's own parameter :math:`\hat\eta` scales a deviation and eta a variance: :math:`\hat\eta = \sqrt\eta`.
With h = log(s/t) this is :math:`\sigma_{up}^2 = \eta\,t^2 (1 - e^{-2h})`, cut off at t^2, which it can
reach for eta > 1 alone. The step is k-diffusion's ``euler_ancestral``.

DDPM draws from the posterior :math:`q(x_t \mid x_s, x_0 = D)`, its variance the lower of the two it
proposes:

.. math::  x_t \sim N\!\Big(\frac{t^2}{s^2} x_s + \Big(1 - \frac{t^2}{s^2}\Big) D,\
           t^2 \Big(1 - \frac{t^2}{s^2}\Big)\Big) .

There eta = 1: it is DDIM's step at eta = 1, where :math:`\sigma_{down} = t^2/s`, and also ``seeds-1`` in
data prediction at eta = 1. At eta = 0 DDIM is ``seeds-1`` in either prediction. For other eta the two
differ: ``seeds-1`` has :math:`\sigma_{up}^2 = t^2 (1 - e^{-2 \eta h})`, see `gddim`.

References: DDIM, Song et al., arXiv 2010.02502; DDPM, Ho et al., arXiv 2006.11239.
"""

from __future__ import annotations

import math

from torch import Tensor

from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio


def ddim(run: Run) -> Tensor:
    r"""DDIM with :math:`\hat\eta = \sqrt\eta`."""
    x = run.x
    for s, t in run.steps:
        up = min(1.0, -run.eta * math.expm1(-2 * log_ratio(s, t)))
        down = max(0.0, 1 - run.eta + run.eta * (t / s) ** 2)  # 1 - up, without cancellation
        sigma_up, sigma_down = t * math.sqrt(up), t * math.sqrt(down)
        (z,) = run.normals(s, t)
        D = run.denoise(x, s)
        eps = (x - D) / s
        x = run.step(D + sigma_down * eps + sigma_up * z, s, t, D)
    return run.to_zero(x)


def ddpm(run: Run) -> Tensor:
    """Ancestral sampling with the posterior variance, at eta = 1."""
    x = run.x
    for s, t in run.steps:
        kept = -math.expm1(-2 * log_ratio(s, t))  # 1 - t^2/s^2
        (z,) = run.normals(s, t)
        D = run.denoise(x, s)
        mean = (t / s) ** 2 * x + kept * D
        x = run.step(mean + t * math.sqrt(kept) * z, s, t, D)
    return run.to_zero(x)


DDIM = Baseline(
    "ddim", ddim, Declared(strong=1, weak=1, ode=1), "Song et al. 2021, arXiv 2010.02502", eta=0.0
)
DDPM = Baseline(
    "ddpm",
    ddpm,
    Declared(strong=1, weak=1, ode=None),
    "Ho et al. 2020, arXiv 2006.11239",
    only_eta=1.0,
)

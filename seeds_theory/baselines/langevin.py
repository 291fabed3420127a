r"""Predictor-corrector sampling: a step of the reverse SDE, then a step of Langevin dynamics at its end.

With the score :math:`S(x, \sigma) = (D - x)/\sigma^2`, the predictor from s to t is the reverse-diffusion
sampler, here for an eta_p of its own, and the corrector a Langevin step of size :math:`\epsilon` at t:

.. math::  x' &= x_s + \frac{1+\eta_p}2 (s^2 - t^2)\,S(x_s, s) + \sqrt{\eta_p (s^2 - t^2)}\,z_1, \\
           x_t &= x' + \epsilon\,S(x', t) + \sqrt{2\epsilon}\,z_2 .

The paper sets :math:`\epsilon = 2 (r \lVert z \rVert / \lVert S \rVert)^2` from the norms of the batch, r its
signal-to-noise ratio. Their expectation is put here in place of the ratio, :math:`\lVert S \rVert \approx
\lVert z \rVert / t`, so that nothing depends on the batch: :math:`\epsilon = 2 r^2 t^2`.

The SDE of eta is that of eta_p, plus Langevin dynamics
:math:`\eta_c\,\sigma^2 S\,d\lambda + \sqrt{2\eta_c}\,\sigma\,dW`, which keeps every marginal. Hence the pair
is consistent with :math:`\eta = \eta_p + \eta_c` if, with h = log(s/t),

.. math::  \epsilon = \eta_c\,h\,t^2, \qquad\text{that is}\qquad r^2 = \tfrac12 \eta_c h .

The default is :math:`\eta_c = \eta/2`, so that eta = 2 has Song's predictor and as much noise again in the
corrector. The two noises are those of the path over the first and the second part of the step, divided
as eta_p to eta_c: together they are its increment.

A fixed r, as published, gives ever more Langevin dynamics per unit of log-SNR. In the limit the
sampler then has the law to which the corrector converges in steps of :math:`\epsilon`, which is biased: on
Gaussian data the variance is :math:`v / (1 - r^2 t^2 / v)` in place of :math:`v = c + t^2`.

Reference: Song et al., arXiv 2011.13456, appendix G.
"""

from __future__ import annotations

import math

from torch import Tensor

from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio, require_option


def predictor_corrector(run: Run, corrector: float = 0.5, snr: float | None = None) -> Tensor:
    """Reverse diffusion with a Langevin corrector.

    Parameters
    ----------
    corrector : the share eta_c / eta, in [0, 1].
    snr : r of the paper, fixed: then all of eta is the predictor's.

    Raises
    ------
    ParameterError : an option outside its range.
    """
    require_option("corrector", corrector, 0, 1, closed=True)
    if snr is not None:
        require_option("snr", snr, 0)
    share = corrector if snr is None else 0.0
    x = run.x
    for s, t in run.steps:
        eta_c = share * run.eta
        eta_p = run.eta - eta_c
        h = log_ratio(s, t)
        z_1, z_2 = run.normals(s, s**share * t ** (1 - share), t)
        epsilon = eta_c * h * t**2
        if snr is not None:
            epsilon = 2 * snr**2 * t**2
            (z_2,) = run.normals(s, t, path=1, eta=2 * snr**2 / h)
        D = run.denoise(x, s)
        gap = (s - t) * (s + t)
        x = x + (1 + eta_p) / 2 * gap * (D - x) / s**2 + math.sqrt(eta_p * gap) * z_1
        if epsilon > 0:
            score = (run.denoise(x, t) - x) / t**2
            x = x + epsilon * score + math.sqrt(2 * epsilon) * z_2
        x = run.step(x, s, t, D)
    return run.to_zero(x)


PREDICTOR_CORRECTOR = Baseline(
    "predictor-corrector",
    predictor_corrector,
    Declared(strong=1, weak=1, ode=1),
    "Song et al. 2021, arXiv 2011.13456",
    noise_options=("snr",),
)

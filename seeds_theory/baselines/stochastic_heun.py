r"""Stochastic Heun: the trapezoidal rule on the reverse SDE, both stages on one Wiener increment.

In the log-SNR, with drift :math:`f = (1+\eta)(D - x)`, diffusion :math:`g(\sigma) = \sqrt{2\eta}\,\sigma`,
h = log(s/t) and :math:`\Delta W = \sqrt h\,z`,

.. math::  \tilde x &= x_s + h f(x_s, s) + g(s)\,\Delta W, \\
           x_t &= x_s + \frac h2 \big[f(x_s, s) + f(\tilde x, t)\big]
                  + \frac{g(s) + g(t)}2\,\Delta W .

g depends on time alone, so Ito's and Stratonovich's integrals agree, and the weak order is 2. A stage at
the end of the step makes it so: its noise has covariance h with the step's, and variance h, which is what
the integrals of f' and f'' over the path need. Like every explicit method for the SDE in this clock it is
unstable in large steps. eta = 0 is Heun's method in the log-SNR; in sigma, see `edm`.

References: Song et al., arXiv 2011.13456 (the SDE); Karras et al., arXiv 2206.00364 (its family in eta).
"""

from __future__ import annotations

import math

from torch import Tensor

from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio


def stochastic_heun(run: Run) -> Tensor:
    """Stochastic Heun in the log-SNR, for any eta."""
    x = run.x
    for s, t in run.steps:
        eta = run.eta
        h = log_ratio(s, t)
        (z,) = run.normals(s, t)
        dW = math.sqrt(2 * eta * h) * z
        D = run.denoise(x, s)
        f = (1 + eta) * (D - x)
        u = x + h * f + s * dW
        f_t = (1 + eta) * (run.denoise(u, t) - u)
        x = run.step(x + h / 2 * (f + f_t) + (s + t) / 2 * dW, s, t, D)
    return run.to_zero(x)


STOCHASTIC_HEUN = Baseline(
    "stochastic-heun",
    stochastic_heun,
    Declared(strong=1, weak=2, ode=2),
    "Song et al. 2021, arXiv 2011.13456",
)

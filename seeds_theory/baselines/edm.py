r"""The EDM sampler: Heun's method in sigma, after raising the noise a little in each step.

A step from s to t first adds fresh noise, up to the level :math:`\hat s = (1 + \gamma) s`, and then
follows the ODE :math:`dx/d\sigma = d(x, \sigma) = (x - D)/\sigma` down to t by a two-stage Runge-Kutta
method with the node :math:`\alpha`, :math:`t' = \hat s + \alpha (t - \hat s)`:

.. math::  \hat x &= x_s + S_{noise} \sqrt{\hat s^2 - s^2}\,z, \qquad
           x' = \hat x + \alpha (t - \hat s)\, d(\hat x, \hat s), \\
           x_t &= \hat x + (t - \hat s) \Big[\Big(1 - \frac1{2\alpha}\Big) d(\hat x, \hat s)
                  + \frac1{2\alpha}\, d(x', t')\Big] ;

alpha = 1 is Heun's method, 2/3 Ralston's and 1/2 the midpoint rule. (That one has order 3 on Gaussian
data, where :math:`d = a (x - m)` with :math:`a = \sigma/(c + \sigma^2)` and the leading term of its error,
:math:`a''/24 + a a'/4 + a^3/6`, vanishes; on other data it has order 2.) How much is added is

* by eta: :math:`\gamma = e^{\eta h} - 1` with h = log(s/t), so that the step goes eta h up and
  (1 + eta) h down in the log-SNR: in the limit the reverse SDE. Both halves keep the marginals, up to the
  error of the ODE solver: the weak order is 2. None is added in the step to 0, where h is infinite;
* or by the paper's churn: :math:`\gamma = \min(S_{churn}/N, \sqrt2 - 1)` where
  :math:`S_{min} \le s \le S_{max}` and 0 elsewhere, N the number of steps, the last one to 0 included. It
  amounts to :math:`\eta = \log(1 + \gamma)/h` in that step. A normal is drawn in every step where
  :math:`S_{churn} > 0`, used or not, as published.

:math:`S_{noise} \ne 1` changes the law that the sampler converges to.

Reference: Karras et al., arXiv 2206.00364, Algorithms 1 (without noise) and 2.
"""

from __future__ import annotations

import math

from torch import Tensor

from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio, require_option


def heun_step(run: Run, x: Tensor, s: float, t: float, alpha: float = 1.0) -> tuple[Tensor, Tensor]:
    """One step of the ODE in sigma from s down to t; returns the state and the first estimate D."""
    D = run.denoise(x, s)
    d = (x - D) / s
    t_1 = t if alpha == 1 else s + alpha * (t - s)
    x_1 = x + alpha * (t - s) * d
    d_1 = (x_1 - run.denoise(x_1, t_1)) / t_1
    return x + (t - s) * ((1 - 0.5 / alpha) * d + 0.5 / alpha * d_1), D


def edm(
    run: Run,
    alpha: float = 1.0,
    churn: float | None = None,
    s_min: float = 0.0,
    s_max: float = math.inf,
    s_noise: float = 1.0,
) -> Tensor:
    """Heun with churn; a `churn` replaces eta.

    Parameters
    ----------
    alpha : node of the Runge-Kutta method, in (0, 1].
    churn : S_churn of the paper; by default the noise is eta's.
    s_min, s_max, s_noise : S_min, S_max, S_noise; they hold for either noise.

    Raises
    ------
    ParameterError : an option outside its range.
    """
    require_option("alpha", alpha, 0, 1)
    for name, value in {"s_min": s_min, "s_max": s_max, "s_noise": s_noise}.items():
        require_option(name, value, 0, closed=True)
    if churn is not None:
        require_option("churn", churn, 0, closed=True)
    most = 0.0 if churn is None else min(churn / (len(run.sigmas) - 1), math.sqrt(2) - 1)

    def raised(x: Tensor, s: float, gamma: float, z: Tensor) -> tuple[Tensor, float]:
        if not s_min <= s <= s_max:
            return x, s
        return x + s_noise * s * math.sqrt(gamma * (2 + gamma)) * z, s * (1 + gamma)

    x = run.x
    for s, t in run.steps:
        h = log_ratio(s, t)
        eta = run.eta if churn is None else math.log1p(most) / h
        (z,) = run.normals(s, t, eta=eta)
        x_hat, s_hat = raised(x, s, math.expm1(eta * h), z)
        x, D = heun_step(run, x_hat, s_hat, t, alpha)
        x = run.step(x, s, t, D)
    s, end = run.sigmas[-2:]
    gamma = most if end == 0 else 0.0
    (z,) = run.normals(s * (1 + gamma), s, path=1, eta=1.0)
    return run.to_zero(*raised(x, s, gamma, z))


EDM_HEUN = Baseline(
    "edm-heun",
    edm,
    Declared(strong=1, weak=2, ode=2),
    "Karras et al. 2022, arXiv 2206.00364",
    eta=0.0,
    noise_options=("churn", "s_min", "s_max", "s_noise"),
)

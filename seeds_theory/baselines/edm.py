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
  :math:`S_{churn} > 0`, used or not, as published. A level may be repeated, as it is where a model knows
  a list of levels only: such a step goes up and comes down again.

:math:`S_{noise} \ne 1` changes the law that the sampler converges to.

The paper compares this with Euler's method, and with steps in other times and of scaled states: the
options `solver`, `schedule` and `scaled`.

Reference: Karras et al., arXiv 2206.00364, Algorithms 1 (without noise), 2, and Table 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from seeds_theory.baselines.coordinates import Coordinates, NoiseLevel, coordinates
from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio, require_option
from seeds_theory.errors import ParameterError, UnknownNameError

SIGMA = NoiseLevel()


def heun_step(
    run: Run, x: Tensor, s: float, t: float, alpha: float = 1.0, frame: Coordinates = SIGMA
) -> tuple[Tensor, Tensor]:
    """One step of the ODE from level s down to t > 0; returns the state and the first estimate D."""
    time, end = frame.time(s), frame.time(t)
    x, D, d = _slope(run, x, s, time, frame)
    t_1 = t if alpha == 1 else frame.level(time + alpha * (end - time))
    x_1 = (x + alpha * (end - time) * d) / frame.scale(t_1)
    _, _, d_1 = _slope(run, x_1, t_1, time + alpha * (end - time), frame)
    return (x + (end - time) * ((1 - 0.5 / alpha) * d + 0.5 / alpha * d_1)) / frame.scale(t), D


def euler_step(
    run: Run, x: Tensor, s: float, t: float, frame: Coordinates = SIGMA
) -> tuple[Tensor, Tensor]:
    """One step of Euler's method from level s down to t >= 0; returns as `heun_step`."""
    time, end = frame.time(s), frame.time(t)
    x, D, d = _slope(run, x, s, time, frame)
    return (x + (end - time) * d) / frame.scale(t), D


def _slope(
    run: Run, y: Tensor, sigma: float, time: float, frame: Coordinates
) -> tuple[Tensor, Tensor, Tensor]:
    """The scaled state x = s y, the estimate D, and dx/dt."""
    D = run.denoise(y, sigma)
    rate, scale = frame.rate(time, sigma), frame.scale(sigma)
    d = rate / sigma * scale * (y - D)
    if frame.scaled:
        d = d + frame.scale_rate(sigma, rate) * scale * y
    return scale * y, D, d


def edm(
    run: Run,
    alpha: float = 1.0,
    churn: float | None = None,
    s_min: float = 0.0,
    s_max: float = math.inf,
    s_noise: float = 1.0,
    solver: str = "heun",
    schedule: str | Coordinates = "linear",
    scaled: bool = False,
    round_sigma: Callable[[float], float] | None = None,
) -> Tensor:
    """Heun with churn; a `churn` replaces eta.

    Parameters
    ----------
    alpha : node of the Runge-Kutta method, in (0, 1].
    churn : S_churn of the paper; by default the noise is eta's.
    s_min, s_max, s_noise : S_min, S_max, S_noise; they hold for either noise.
    solver : "heun" or "euler".
    schedule, scaled : coordinates of the ODE, see `seeds_theory.baselines.coordinates`; an instance says
        itself whether it is scaled.
    round_sigma : to the noise levels that the model knows; churn goes up to one of these.

    Raises
    ------
    ParameterError, UnknownNameError : an option outside its range.
    """
    require_option("alpha", alpha, 0, 1)
    for name, value in {"s_min": s_min, "s_max": s_max, "s_noise": s_noise}.items():
        require_option(name, value, 0, closed=True)
    if churn is not None:
        require_option("churn", churn, 0, closed=True)
    if solver not in ("heun", "euler"):
        raise UnknownNameError(f"EDM's solvers are 'heun' and 'euler'; got {solver!r}")
    most = 0.0 if churn is None else min(churn / (len(run.sigmas) - 1), math.sqrt(2) - 1)
    if round_sigma is not None and not callable(round_sigma):
        raise ParameterError(f"round_sigma is a function of a noise level; got {round_sigma!r}")
    frame = coordinates(schedule, run.sigmas, scaled)

    def raised(x: Tensor, s: float, gamma: float, z: Tensor) -> tuple[Tensor, float]:
        if not s_min <= s <= s_max:
            return x, s
        if round_sigma is None:
            return x + s_noise * s * math.sqrt(gamma * (2 + gamma)) * z, s * (1 + gamma)
        top = max(round_sigma(s * (1 + gamma)), s)
        return x + s_noise * math.sqrt((top - s) * (top + s)) * z, top

    def off_path(s: float, gamma: float) -> Tensor:
        """A normal where no stretch of the path belongs to the noise: none ends at this level."""
        return run.normals(s * (1 + gamma), s, path=1, eta=1.0)[0]

    x = run.x
    for s, t in run.steps:
        h = log_ratio(s, t)
        if h == 0:
            x_hat, s_hat = raised(x, s, most, off_path(s, most))
        else:
            eta = run.eta if churn is None else math.log1p(most) / h
            x_hat, s_hat = raised(x, s, math.expm1(eta * h), *run.normals(s, t, eta=eta))
        if solver == "heun":
            x, D = heun_step(run, x_hat, s_hat, t, alpha, frame)
        else:
            x, D = euler_step(run, x_hat, s_hat, t, frame)
        x = run.step(x, s, t, D)
    s, end = run.sigmas[-2:]
    gamma = most if end == 0 else 0.0
    x, s_hat = raised(x, s, gamma, off_path(s, gamma))
    # In the time sigma Euler's step to 0 is the estimate itself.
    last = None if frame == SIGMA else lambda x, s: euler_step(run, x, s, 0.0, frame)
    return run.to_zero(x, s_hat, last)


EDM_HEUN = Baseline(
    "edm-heun",
    edm,
    Declared(strong=1, weak=2, ode=2),
    "Karras et al. 2022, arXiv 2206.00364",
    eta=0.0,
    noise_options=("churn", "s_min", "s_max", "s_noise"),
    order_options=("solver",),
    repeats=True,
)

r"""ER-SDE-Solver-1, -2 and -3: extended reverse-time SDEs, with a noise-scale function.

Cui et al. 2023, arXiv 2309.06169; variance-exploding form. A noise scale :math:`\phi(\sigma)` picks the
SDE; with :math:`r = \phi(t)/\phi(s)` and the data prediction D at s,

.. math::  x_t = r\,x_s + (1 - r)\,D + c_1 D' + c_2 D'' + \sqrt{t^2 - s^2 r^2}\,z,
.. math::  c_1 = t - s + \phi(t) \int_t^s \frac{d\sigma}{\phi(\sigma)}, \qquad
           c_2 = \frac{(t-s)^2}{2} + \phi(t) \int_t^s \frac{\sigma - s}{\phi(\sigma)}\,d\sigma .

Solver-1 stops before :math:`c_1`, Solver-2 before :math:`c_2`. The derivatives with respect to
:math:`\sigma` are the paper's backward differences: D' of the last two estimates, D'' the difference
quotient of the last two D' over half the distance that they span. So D' is taken as if at s though it
belongs half a step before, and Solver-3 is exact for linear D only: its order at eta = 0 is 2.

In terms of the *excess* :math:`G(s, t) = \int \eta\,d\lambda`, the growth of
:math:`\log(\phi(\sigma)/\sigma)` from t to s,

.. math::  r = e^{-h-G}, \qquad t^2 - s^2 r^2 = t^2 (1 - e^{-2G}), \qquad
           c_k = \int_t^s \Big(\frac{\phi(t)}{\phi(\sigma)} - 1\Big)
                 \frac{(\sigma - s)^{k-1}}{(k-1)!}\,d\sigma,

which subtract nothing that is nearly equal. Noise scales:

* ``"eta"``: :math:`\phi = \sigma^{1+\eta}`, the SDE family of this project: G = eta h, and closed forms;
* ``"er-sde-5"``: :math:`\phi = \sigma\,(e^{\sigma^{0.3}} + 10)`, the paper's choice for images. Its eta,
  :math:`d\log\phi/d\log\sigma - 1`, varies with :math:`\sigma`; the integrals are taken by Gauss-Legendre
  quadrature to rounding. The run's own eta then only names the noise that is asked of the source,
  which is a standard normal for every eta > 0.

Memory is built up by the solvers of lower order. Solver-1 with ``"eta"`` is SEEDS-1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from seeds_theory.baselines.adams import Values
from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio
from seeds_theory.errors import ParameterError
from seeds_theory.special_functions import phi


def er_sde(k: int, run: Run, *, noise_scale: str = "eta") -> Tensor:
    """ER-SDE-Solver-k: see the module's formula. noise_scale : "eta" or "er-sde-5"."""
    x = run.x
    past: Values = []  # (sigma, D)
    for s, t in run.steps:
        excess, taylor = _noise_scale(noise_scale, run.eta)
        D = run.denoise(x, s)
        past = [(s, D), *past][:k]
        h = log_ratio(s, t)
        G = float(excess(t, h))
        (z,) = run.normals(s, t)
        x = math.exp(-h - G) * x - math.expm1(-h - G) * D + t * math.sqrt(-math.expm1(-2 * G)) * z
        for n, derivative in enumerate(_derivatives(past), start=1):
            x = x + taylor(n, t, h) * derivative
        x = run.step(x, s, t, D)
    return run.to_zero(x)


def _derivatives(past: Values) -> list[Tensor]:
    """D' and D'' with respect to sigma, as far as two and three estimates are known."""
    slopes = [(D - D_1) / (s - s_1) for (s, D), (s_1, D_1) in itertools.pairwise(past)]
    if len(slopes) < 2:
        return slopes
    (s, _), _, (s_2, _) = past
    return [slopes[0], (slopes[0] - slopes[1]) / ((s - s_2) / 2)]


Excess = Callable[[float, Any], Any]
"""The excess G(s, t) as a function of t and of h = log(s / t), a number or an array."""

Taylor = Callable[[int, float, float], float]
"""The coefficient c_k as a function of k, t and h."""


def _noise_scale(name: str, eta: float) -> tuple[Excess, Taylor]:
    if name == "eta":
        return partial(eta_excess, eta), partial(eta_taylor, eta)
    if name != "er-sde-5":
        raise ParameterError(f"noise scales are 'eta' and 'er-sde-5'; got {name!r}")
    if eta != 1:
        raise ParameterError("the noise scale 'er-sde-5' has an eta of its own: leave eta = 1")
    return er_sde_5_excess, partial(quadrature, er_sde_5_excess)


def eta_excess(eta: float, t: float, h: Any) -> Any:
    r""":math:`G = \eta h`, of :math:`\phi = \sigma^{1+\eta}`."""
    return eta * h


def eta_taylor(eta: float, k: int, t: float, h: float) -> float:
    r"""The coefficient c_k of :math:`\phi = \sigma^{1+\eta}` in closed form, k = 1 or 2."""
    if k == 1:
        return -t * h**2 * (phi(2, h) + eta * phi(2, -eta * h))
    second_difference = (
        (1 + eta) ** 2 * phi(3, (1 + eta) * h)
        - 2 * eta**2 * phi(3, eta * h)
        + (1 - eta) ** 2 * phi(3, (eta - 1) * h)
    )
    return 0.5 * (1 + eta) * t**2 * h**3 * math.exp((1 - eta) * h) * second_difference


def er_sde_5_excess(t: float, h: Any) -> Any:
    r"""The excess of :math:`\phi = \sigma (e^a + 10)`, :math:`a = \sigma^{0.3}`."""
    a = t**0.3
    growth = a * np.expm1(0.3 * h)  # of a from t up to s
    share = 1 / (1 + 0.1 * math.exp(a)) if a < 700 else 0.0  # of the 10 in e^a + 10
    return growth + np.log1p(share * np.expm1(-growth))


def quadrature(excess: Excess, k: int, t: float, h: float) -> float:
    """The coefficient c_k of any noise scale, by Gauss-Legendre quadrature in the log-SNR."""
    pieces = max(1, math.ceil(h / _LONGEST))
    width = h / pieces
    u = width * (np.arange(pieces)[:, None] + (1 + _NODES) / 2)  # log(sigma / t)
    sigma = t * np.exp(u)
    from_s = t * math.exp(h) * np.expm1(u - h)  # sigma - s
    integrand = np.expm1(-u - excess(t, u)) * from_s ** (k - 1) / math.factorial(k - 1)
    return float((integrand * sigma * _WEIGHTS).sum() * width / 2)


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_LONGEST = 0.5  # of a piece, in log-SNR: the quadrature's error is then below rounding

_REFERENCE = "Cui et al. 2023, arXiv 2309.06169"

ER_SDE_1 = Baseline(
    "er-sde-1",
    partial(er_sde, 1),
    Declared(strong=1, weak=1, ode=1),
    _REFERENCE,
    noise_options=("noise_scale",),
)
ER_SDE_2 = Baseline(
    "er-sde-2",
    partial(er_sde, 2),
    Declared(strong=1, weak=2, ode=2),
    _REFERENCE,
    noise_options=("noise_scale",),
)
ER_SDE_3 = Baseline(
    "er-sde-3",
    partial(er_sde, 3),
    Declared(strong=1, weak=2, ode=2),
    _REFERENCE,
    noise_options=("noise_scale",),
)

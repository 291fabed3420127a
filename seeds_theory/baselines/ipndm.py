r"""Adams-Bashforth in sigma on the noise prediction, started with fewer values: iPNDM and its kin.

iPNDM is Liu et al. 2022, arXiv 2202.09778, without its Runge-Kutta start, as Zhang and Chen 2022, arXiv
2204.13902, have it. The probability-flow ODE in the frame x / alpha is

.. math::  \frac{dx}{d\sigma} = \varepsilon(x, \sigma), \qquad \varepsilon = \frac{x - D}{\sigma},

and a step is

.. math::  x_t = x_s + (t - s) \sum_{j=0}^{k-1} b_j\,\varepsilon_j ,

with the classical weights b of k values, whatever the steps were. k grows from 1, Euler's method, to r. Steps
of a smooth grid differ by a factor 1 + O(h): there the weights are wrong by O(h) and differences of
:math:`\varepsilon` are O(h) too, which makes order 2 for every r > 1. On steps that differ by a fixed factor
it is 1.

* ``lms``, k-diffusion's, has the weights of the steps that there were, for four values: iPNDM's
  variable-step form. Its first step is Euler's, with an error of order h^2, which limits the order to 2;
  `deis-tab3` has a start of Runge-Kutta steps.
* ``gradient-estimation`` is Euler's method with the slope :math:`\varepsilon_0 + (\gamma - 1)(\varepsilon_0 -
  \varepsilon_1)`, carried on by its last change: Permenter and Yuan 2023, arXiv 2306.04848, with their
  :math:`\gamma = 2`. Order 2 on equal steps asks for 3/2, which is iPNDM-2; so the order is 1.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from seeds_theory.baselines.adams import Values, adams_weights, combine
from seeds_theory.baselines.run import Baseline, Declared, Run, require_option

_WEIGHTS = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
"""Adams and Bashforth's, the latest value first."""


def slope(past: Values) -> Tensor:
    """The mean of eps over the next step by the weights of equal steps, of one to four values."""
    return combine(_WEIGHTS[len(past) - 1], [eps for _, eps in past])


def ipndm(r: int, run: Run) -> Tensor:
    """iPNDM-r, r = 2, 3 or 4: see the module's formula."""
    x = run.x
    past: Values = []  # (sigma, eps)
    for s, t in run.steps:
        D = run.denoise(x, s)
        past = [(s, (x - D) / s), *past][:r]
        x = run.step(x + (t - s) * slope(past), s, t, D)
    return run.to_zero(x)


def lms(run: Run) -> Tensor:
    """LMS with four values: see the module's formula."""
    x = run.x
    past: Values = []  # (sigma, eps)
    for s, t in run.steps:
        D = run.denoise(x, s)
        past = [(s, (x - D) / s), *past][:4]
        weights = adams_weights([(level - s) / (t - s) for level, _ in past])
        x = run.step(x + (t - s) * combine(weights, [eps for _, eps in past]), s, t, D)
    return run.to_zero(x)


def gradient_estimation(run: Run, *, gamma: float = 2.0) -> Tensor:
    """Gradient estimation: see the module's formula. gamma : 1 is Euler's method."""
    require_option("gamma", gamma, 1, closed=True)
    x, last = run.x, None
    for s, t in run.steps:
        D = run.denoise(x, s)
        eps = (x - D) / s
        change = 0.0 if last is None else eps - last
        x = run.step(x + (t - s) * (eps + (gamma - 1) * change), s, t, D)
        last = eps
    return run.to_zero(x)


_REFERENCE = "Liu et al. 2022, arXiv 2202.09778; Zhang and Chen 2022, arXiv 2204.13902"

IPNDM_2, IPNDM_3, IPNDM_4 = (
    Baseline(
        f"ipndm-{r}",
        partial(ipndm, r),
        Declared(strong=None, weak=None, ode=1),
        _REFERENCE,
        only_eta=0.0,
    )
    for r in (2, 3, 4)
)
LMS = Baseline(
    "lms",
    lms,
    Declared(strong=None, weak=None, ode=2),
    "k-diffusion, sample_lms",
    only_eta=0.0,
)
GRADIENT_ESTIMATION = Baseline(
    "gradient-estimation",
    gradient_estimation,
    Declared(strong=None, weak=None, ode=1),
    "Permenter and Yuan 2023, arXiv 2306.04848",
    only_eta=0.0,
    order_options=("gamma",),
)

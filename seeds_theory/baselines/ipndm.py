r"""iPNDM: Adams-Bashforth on the noise prediction, with the weights of equal steps.

Liu et al. 2022, arXiv 2202.09778, without its Runge-Kutta start, as Zhang and Chen 2022, arXiv 2204.13902,
have it. The probability-flow ODE in the frame x / alpha is

.. math::  \frac{dx}{d\sigma} = \varepsilon(x, \sigma), \qquad \varepsilon = \frac{x - D}{\sigma},

and a step is

.. math::  x_t = x_s + (t - s) \sum_{j=0}^{k-1} b_j\,\varepsilon_j ,

with the classical weights b of k values, whatever the steps were. k grows from 1, Euler's method, to r. Steps
of a smooth grid differ by a factor 1 + O(h): there the weights are wrong by O(h) and differences of
:math:`\varepsilon` are O(h) too, which makes order 2 for every r > 1. On steps that differ by a fixed factor
it is 1; `deis-tab2` and `deis-tab3` have the weights of the steps that there were.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from seeds_theory.baselines.adams import combine
from seeds_theory.baselines.run import Baseline, Declared, Run

_WEIGHTS = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
"""Adams and Bashforth's, the latest value first."""


def ipndm(r: int, run: Run) -> Tensor:
    """iPNDM-r, r = 3 or 4: see the module's formula."""
    x = run.x
    past: list[Tensor] = []
    for s, t in run.steps:
        D = run.denoise(x, s)
        past = [(x - D) / s, *past][:r]
        x = run.step(x + (t - s) * combine(_WEIGHTS[len(past) - 1], past), s, t, D)
    return run.to_zero(x)


_REFERENCE = "Liu et al. 2022, arXiv 2202.09778; Zhang and Chen 2022, arXiv 2204.13902"

IPNDM_3 = Baseline(
    "ipndm-3",
    partial(ipndm, 3),
    Declared(strong=None, weak=None, ode=1),
    _REFERENCE,
    only_eta=0.0,
)
IPNDM_4 = Baseline(
    "ipndm-4",
    partial(ipndm, 4),
    Declared(strong=None, weak=None, ode=1),
    _REFERENCE,
    only_eta=0.0,
)

r"""UniPC: a predictor and a corrector that costs no model call, on one formula.

Zhao et al. 2023, arXiv 2302.04867; data prediction, multistep. With :math:`h = \log(s/t)`, the estimate
:math:`D_0` at s and estimates :math:`D_0 + D_m` at other levels, :math:`r_m h` away from s in log-SNR,

.. math::  x_t = \frac{t}{s} x_s + (1 - e^{-h})\,D_0 + B(h) \sum_m \frac{a_m}{r_m} D_m, \qquad
           B(h) \sum_m a_m r_m^{k-1} = h\,k!\,\varphi_{k+1}(-h), \quad k = 1, 2, \dots

UniP-p is this formula with the p - 1 estimates before s, :math:`r_m < 0`; UniC-p adds the estimate at
the predicted :math:`x_t`, r = 1, to them. That estimate is the next step's first model call anyway: so
the state is corrected when that call is made, and the last one is not. A callback sees the states as
predicted.

B is any function h + O(h^2): ``"bh1"`` is h, ``"bh2"`` is :math:`1 - e^{-h}`, which data prediction has in
place of the :math:`e^h - 1` of noise prediction. It drops out where the equations for a are solved; but
with a single :math:`D_m` (UniP-2 and UniC-1) the paper takes :math:`a_1 = 1/2`, which is right to
leading order.

The predictor has order p and the corrector p + 1. Memory is built up as in the paper, by UniPC of lower
orders. The first step, by UniPC-1, has an error of order h^3: that suffices for the order 3 of UniPC-2,
and limits UniPC-3 to order 3 as well, where all later steps have 4.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from torch import Tensor

from seeds_theory.baselines.adams import Values, combine
from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio
from seeds_theory.errors import ParameterError
from seeds_theory.special_functions import phi


def unipc(p: int, run: Run, *, variant: str = "bh2") -> Tensor:
    """UniPC-p: see the module's formula. variant : "bh1" or "bh2", the function B(h)."""
    if variant not in ("bh1", "bh2"):
        raise ParameterError(f"the variant of B(h) is 'bh1' or 'bh2'; got {variant!r}")
    x = x_s = run.x
    past: Values = []  # (sigma, D), p of them at most
    for s, t in run.steps:
        D = run.denoise(x, s)
        if past:  # UniC: x_s is the state before the last step, past[0] the estimate there
            x = unified_step(x_s, s, past, [(s, D)], variant)
        past = [(s, D), *past][:p]
        x_s, x = x, unified_step(x, t, past, [], variant)
        x = run.step(x, s, t, D)
    return run.to_zero(x)


def unified_step(x: Tensor, t: float, past: Values, ahead: Values, variant: str) -> Tensor:
    """The module's formula from the level of past[0] to t, with the estimates of past and of ahead."""
    (s, D_0), *others = [*past, *ahead]
    h = log_ratio(s, t)
    r = [log_ratio(s, level) / h for level, _ in others]
    x_t = (t / s) * x - math.expm1(-h) * D_0
    if not others:
        return x_t
    B = h if variant == "bh1" else -math.expm1(-h)
    weights = [B * a / r_m for a, r_m in zip(coefficients(r, h, B), r, strict=True)]
    return x_t + combine(weights, [D - D_0 for _, D in others])


def coefficients(r: list[float], h: float, B: float) -> list[float]:
    """The a_m of the module's formula."""
    if len(r) == 1:
        return [0.5]
    orders = range(1, len(r) + 1)
    powers = [[r_m ** (k - 1) for r_m in r] for k in orders]
    moments = [h / B * math.factorial(k) * phi(k + 1, -h) for k in orders]
    return np.linalg.solve(powers, moments).tolist()


_REFERENCE = "Zhao et al. 2023, arXiv 2302.04867"

UNIPC_2 = Baseline(
    "unipc-2",
    partial(unipc, 2),
    Declared(strong=None, weak=None, ode=3),
    _REFERENCE,
    only_eta=0.0,
)
UNIPC_3 = Baseline(
    "unipc-3",
    partial(unipc, 3),
    Declared(strong=None, weak=None, ode=3),
    _REFERENCE,
    only_eta=0.0,
)

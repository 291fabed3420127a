r"""SEEDS-AB: SEEDS-1 where there is noise, Adams-Bashforth in sigma where there is none.

With a few model calls two things pay. Noise forgets: a step to a fraction q of its noise level keeps
:math:`q^{1+\eta}` of what was wrong with the state before it. And without noise the noise prediction
:math:`\varepsilon = (x - D)/\sigma` is smooth along the run, so that its past values tell the next ones.
Fresh noise ends that, as it makes :math:`\varepsilon` another one. So a step with eta > 0 is that of SEEDS-1
in data prediction,

.. math::  x_t = e^{-(1+\eta) h} x_s + (1 - e^{-(1+\eta) h})\,D + t \sqrt{1 - e^{-2 \eta h}}\,z,

and clears the memory; one with eta = 0 is iPNDM's, `seeds_theory.baselines.ipndm`, with up to `values`
values since the last noise. With noise in all steps it is SEEDS-1, with none iPNDM.
"""

from __future__ import annotations

import math
import numbers

from torch import Tensor

from seeds_theory.baselines.adams import Values
from seeds_theory.baselines.ipndm import slope
from seeds_theory.baselines.run import Baseline, Declared, Run, log_ratio
from seeds_theory.errors import ParameterError


def seeds_ab(run: Run, *, values: int = 3) -> Tensor:
    """SEEDS-AB: see the module's formula. values : 1 to 4, of the noise prediction in a step."""
    if not isinstance(values, numbers.Integral) or not 1 <= values <= 4:
        raise ParameterError(f"SEEDS-AB has 1 to 4 values; got {values!r}")
    x = run.x
    past: Values = []  # (sigma, eps) since the last noise
    for s, t in run.steps:
        D = run.denoise(x, s)
        if run.eta > 0:
            kappa = 1 + run.eta
            (N,) = run.noises(s, t)
            x, past = (t / s) ** kappa * x - math.expm1(-kappa * log_ratio(s, t)) * D + N, []
        else:
            past = [(s, (x - D) / s), *past][:values]
            x = x + (t - s) * slope(past)
        x = run.step(x, s, t, D)
    return run.to_zero(x)


SEEDS_AB = Baseline(
    "seeds-ab",
    seeds_ab,
    Declared(strong=1, weak=1, ode=1),
    "this project",
    order_options=("values",),
)

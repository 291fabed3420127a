r"""SA-Solver: stochastic Adams methods, predictor and corrector.

Xue et al. 2023, arXiv 2309.05019; data prediction, with the paper's :math:`\tau(t)` constant:
:math:`\tau^2 = \eta`. With :math:`h = \log(s/t)` and the polynomial through estimates :math:`D_j` at levels
:math:`\sigma_j`,

.. math::  x_t = e^{-(1+\tau^2) h} x_s + \sum_j b_j D_j + t \sqrt{1 - e^{-2\tau^2 h}}\,z, \qquad
           b_j = \int_{\lambda_s}^{\lambda_t} (1+\tau^2) e^{-(1+\tau^2)(\lambda_t - l)} \ell_j(l)\,dl .

The predictor takes the estimate at s and those before it, `predictor_steps` in all; the corrector takes
`corrector_steps` of the same and the estimate at the predicted point, with the same normal z. That
estimate is the next step's model call anyway: so the state is corrected when that call is made (mode
PEC), and the last one is not. A callback sees the states as predicted. Memory is built up by methods of
fewer steps, as in the paper: the first step's error is of order h^3, and so the order at eta = 0 is 3
where predictor and corrector of three steps have 4.

The public codes count the predicted point too: their corrector of order q has q - 1 steps here.
"""

from __future__ import annotations

import numbers

from torch import Tensor

from seeds_theory.baselines.adams import Values, combine, exponential_weights
from seeds_theory.baselines.run import Baseline, Declared, Run
from seeds_theory.errors import ParameterError


def sa_solver(run: Run, *, predictor_steps: int = 3, corrector_steps: int = 3) -> Tensor:
    """SA-Solver: see the module's formula.

    predictor_steps : 1 to 4. corrector_steps : 0 (none) to 4.
    """
    for least, count, kind in (
        (1, predictor_steps, "predictor"),
        (0, corrector_steps, "corrector"),
    ):
        if not isinstance(count, numbers.Integral) or not least <= count <= 4:
            raise ParameterError(f"SA-Solver has {least} to 4 {kind} steps; got {count!r}")
    kappa = 1 + run.eta
    x = shared = run.x
    past: Values = []  # (sigma, D)
    for s, t in run.steps:
        D = run.denoise(x, s)
        if past and corrector_steps:
            # of the step before, so with its kappa
            x = shared + _integral(kappa, past[0][0], s, [(s, D), *past[:corrector_steps]])
        kappa = 1 + run.eta
        past = [(s, D), *past][: max(predictor_steps, corrector_steps)]
        (N,) = run.noises(s, t)
        shared = (t / s) ** kappa * x + N  # by predictor and corrector
        x = run.step(shared + _integral(kappa, s, t, past[:predictor_steps]), s, t, D)
    return run.to_zero(x)


def _integral(kappa: float, s: float, t: float, known: Values) -> Tensor:
    r"""The sum of :math:`b_j D_j`: the integral over the step of the polynomial through these values."""
    b = exponential_weights(kappa, s, t, [level for level, _ in known])
    return combine(b, [D for _, D in known])


SA_SOLVER = Baseline(
    "sa-solver",
    sa_solver,
    Declared(strong=1, weak=2, ode=3),
    "Xue et al. 2023, arXiv 2309.05019",
    order_options=("predictor_steps", "corrector_steps"),
)

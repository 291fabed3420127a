r"""One step of a method on Gaussian data, in closed form for any step length.

With the data's variance c and :math:`v = \sigma^2` at the start of the step, a step maps the deviation
:math:`y_s - m` to

.. math::  y_t - m = \mathrm{gain} \cdot (y_s - m) + \sum_m \mathrm{weight}_m z_m .

The exact gain is the propagator of `seeds_theory.exact.GAUSSIAN`. At c = 0 the data are a point; this is
also the limit of high noise, :math:`v/c \to \infty`. Claims: ``behaviour-*``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sympy as sp

from proofs_checks.leading import integrand_gain, level
from seeds_theory.exact import GAUSSIAN, NOISE, SemilinearForm, eta, lam_s, variance
from seeds_theory.formula import step_formula
from seeds_theory.noise import h
from seeds_theory.tableau import Tableau


@dataclass(frozen=True)
class StepResponse:
    """What a step makes of a deviation from the mean and of its standard normals, in c, v, h and eta."""

    gain: sp.Expr
    weights: tuple[sp.Expr, ...]

    @property
    def noise_variance(self) -> sp.Expr:
        """The variance of the result, given the state at the start."""
        return sp.Add(*(weight**2 for weight in self.weights))


@cache
def step_response(tableau: Tableau, form: SemilinearForm) -> StepResponse:
    """The response of one step, by running its rows on the Gaussian denoiser; the nodes may be symbols."""
    start = {lam_s: -sp.log(level) / 2}
    rows = step_formula(tableau, form)
    count = 1 + max(len(row.noise) for row in rows)
    vector = (sp.Integer(1), *(sp.Integer(0),) * (count - 1))
    time, integrands = level, []
    for row in rows:
        gain = integrand_gain(form, time)
        integrands.append(tuple(gain * entry for entry in vector))
        direct = (row.state, *row.noise, *(sp.Integer(0),) * (count - 1 - len(row.noise)))
        vector = tuple(
            direct[i].subs(start)
            + sp.Add(*(w.subs(start) * f[i] for w, f in zip(row.drift, integrands, strict=True)))
            for i in range(count)
        )
        time = sp.powsimp((row.sigma**2).subs(start))
    return StepResponse(vector[0], vector[1:])


def exact_gain() -> sp.Expr:
    r"""The exact propagator :math:`((c + v e^{-2h})/(c + v))^{(1+\eta)/2}`."""
    start = -sp.log(level) / 2
    return sp.powsimp(GAUSSIAN.propagator(start + h, start))


@cache
def at_point_data(expression: sp.Expr) -> sp.Expr:
    r"""An expression at :math:`\eta = 1`, c = 0 in closed form: powers of :math:`e^h`, expanded."""
    closed = expression.subs({eta: 1, variance: 0}).doit()
    return sp.expand(sp.powsimp(sp.expand(closed, power_exp=True)))


def relative_gain(tableau: Tableau) -> sp.Expr:
    r"""In noise prediction at :math:`\eta = 1`, c = 0: the gain in units of the noise level, times e^h."""
    return at_point_data(step_response(tableau, NOISE).gain * sp.exp(h))


def cancelled(expression: sp.Expr) -> sp.Expr:
    """Cancelled, with every exponential taken for a symbol: 0 only for what is identically zero."""
    return sp.cancel(expression.subs({power: sp.Dummy() for power in expression.atoms(sp.exp)}))

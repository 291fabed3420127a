r"""The leading error constant of the final variance on Gaussian data, in closed form (eta = 1).

A step of a method maps the exact variance :math:`c + v` at :math:`v = \sigma^2` to
:math:`c + v e^{-2h} + d(v)\,h^{p+1} + \dots`; carried to the end by the square of the exact propagator,
these defects add up to

.. math::  \Delta\mathrm{Var} = K h^p + \dots, \qquad
           K = (c + v_T)^2 \int_{v_T}^{v_S} \frac{d(v)}{2 v\,(c+v)^2}\,dv .

Where K changes sign or vanishes, a measured error shows an accidentally higher order: K says where.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from seeds_theory.exact import NOISE, SemilinearForm, eta, lam_s, variance
from seeds_theory.noise import h
from seeds_theory.phi import Phi, taylor
from seeds_theory.plan import step_formula
from seeds_theory.tableau import Tableau

level = sp.Symbol("v", positive=True)
"""The squared noise level, and the integration variable."""
v_start, v_end = sp.symbols("v_S v_T", positive=True)


@cache
def local_defect(tableau: Tableau, form: SemilinearForm) -> tuple[sp.Expr, ...]:
    """The coefficients of h^0, ..., h^(p+1) in the variance after one exact start; the last is d(v).

    p is the tableau's weak order, which means that all but the last vanish.
    """
    terms = tableau.orders.weak + 2

    def expanded(expression: sp.Expr) -> sp.Expr:
        at = expression.subs(eta, 1).subs(lam_s, -sp.log(level) / 2)
        at = at.replace(Phi, lambda k, x: taylor(int(k), x, terms + 1))
        return sp.series(at, h, 0, terms).removeO()

    def cut(expression: sp.Expr) -> sp.Expr:
        series = sp.expand(expression)
        return sp.Add(*(series.coeff(h, n) * h**n for n in range(terms)))

    rows = step_formula(tableau, form)
    # Each row is state * y_s + sum of noise_m sqrt(h) z_m: a vector of series, exact to h^(p+1).
    start = (sp.Integer(1), *(sp.Integer(0),) * max(len(row.noise) for row in rows))
    integrands: list[tuple[sp.Expr, ...]] = []
    vector, time = start, level
    for row in rows:
        gain = 1 / (variance + time) if form is NOISE else variance / (variance + time)
        gain = expanded(sp.sqrt(time) * gain if form is NOISE else gain)
        integrands.append(tuple(cut(gain * entry) for entry in vector))
        weights = [expanded(weight) for weight in row.drift]
        noises = [expanded(sp.powsimp(noise / sp.sqrt(h))) for noise in row.noise]
        direct = [expanded(row.state), *noises, *(sp.Integer(0),) * (len(start) - 1 - len(noises))]
        vector = tuple(
            cut(direct[i] + sum(w * f[i] for w, f in zip(weights, integrands, strict=True)))
            for i in range(len(start))
        )
        time = (row.sigma**2).subs(lam_s, -sp.log(level) / 2)
    spread = vector[0] ** 2 * (variance + level) + h * sum(entry**2 for entry in vector[1:])
    defect = sp.expand(spread - expanded(variance + level * sp.exp(-2 * h)))
    return tuple(sp.factor(defect.coeff(h, n)) for n in range(terms))


@cache
def leading_constant(tableau: Tableau, form: SemilinearForm) -> sp.Expr:
    """The K of the module's formula, in c, v_S and v_T: the variance's error over h^p as h -> 0."""
    density = local_defect(tableau, form)[-1] / (2 * level * (variance + level) ** 2)
    antiderivative = sp.integrate(sp.apart(sp.together(density), level), level)
    span = antiderivative.subs(level, v_start) - antiderivative.subs(level, v_end)
    return sp.simplify((variance + v_end) ** 2 * span)

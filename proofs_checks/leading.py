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

from proofs_checks.taylor import Series, add, product, series
from seeds_theory.exact import NOISE, SemilinearForm, eta, lam_s, variance
from seeds_theory.formula import step_formula
from seeds_theory.noise import h
from seeds_theory.tableau import Tableau

level = sp.Symbol("v", positive=True)
"""The squared noise level, and the integration variable."""
v_start, v_end = sp.symbols("v_S v_T", positive=True)


def integrand_gain(form: SemilinearForm, time: sp.Expr) -> sp.Expr:
    r"""What the integrand makes of a deviation at :math:`\sigma^2` = time: D by c/(c+v), or eps."""
    return sp.sqrt(time) / (variance + time) if form is NOISE else variance / (variance + time)


@cache
def local_defect(tableau: Tableau, form: SemilinearForm) -> tuple[sp.Expr, ...]:
    """The coefficients of h^0, ..., h^(p+1) in the variance after one exact start; the last is d(v).

    p is the tableau's weak order on Gaussian data, which means that all but the last vanish.
    """
    limit = tableau.orders.gaussian.weak + 1

    def expanded(expression: sp.Expr) -> Series:
        at = expression.subs(eta, 1).subs(lam_s, -sp.log(level) / 2)
        return series(sp.powsimp(sp.expand(at, power_exp=True)))

    def times(*factors: Series) -> Series:
        return product(factors, limit)

    rows = step_formula(tableau, form)
    # Each row is state * y_s + sum of noise_m sqrt(h) z_m: a vector of series.
    count = 1 + max(len(row.noise) for row in rows)
    vector: list[Series] = [{0: sp.Integer(1)}, *({} for _ in range(count - 1))]
    integrands: list[list[Series]] = []
    time = level
    for row in rows:
        factor = expanded(integrand_gain(form, time))
        integrands.append([times(factor, entry) for entry in vector])
        weights = [expanded(weight) for weight in row.drift]
        noises = [expanded(sp.powsimp(noise / sp.sqrt(h))) for noise in row.noise]
        direct = [expanded(row.state), *noises, *({} for _ in range(count - 1 - len(noises)))]
        vector = [
            add([own, *(times(w, f[i]) for w, f in zip(weights, integrands, strict=True))])
            for i, own in enumerate(direct)
        ]
        time = (row.sigma**2).subs(lam_s, -sp.log(level) / 2)
    start = times({0: variance + level}, vector[0], vector[0])
    noise = (times({1: sp.Integer(1)}, entry, entry) for entry in vector[1:])
    exact = expanded(-(variance + level * sp.exp(-2 * h)))
    defect = add([start, *noise, exact])
    return tuple(sp.factor(defect.get(n, sp.Integer(0))) for n in range(limit + 1))


@cache
def leading_constant(tableau: Tableau, form: SemilinearForm) -> sp.Expr:
    """The K of the module's formula, in c, v_S and v_T: the variance's error over h^p as h -> 0."""
    density = local_defect(tableau, form)[-1] / (2 * level * (variance + level) ** 2)
    antiderivative = sp.integrate(sp.apart(sp.together(density), level), level)
    span = antiderivative.subs(level, v_start) - antiderivative.subs(level, v_end)
    return sp.simplify((variance + v_end) ** 2 * span)

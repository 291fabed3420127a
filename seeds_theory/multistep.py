r"""The step of SEEDS-2M in symbols: a line through two estimates, integrated exactly, and the path's average.

Times are in units of the step's length h, from its start: the stage is at :math:`c_m`, the last one was at
-d, and the one before that, gap earlier, at -(d + gap). With :math:`D_0` the estimate at the stage and
:math:`D_1, D_2` the earlier ones, the latest first,

.. math::  u = e^{c_m z} y + a_1 D_1 + a_2 D_2 + \zeta, \qquad y_t = e^z y + b_0 D_0 + b_1 D_1 + N,
           \qquad b_0\,\zeta + b_1\,\beta = M, \qquad z = -(1+\eta) h,

with N and M the exact noise of the step and its average, and :math:`\beta` the deviation :math:`\zeta - N` of
the step before. A first step has one estimate, that of its start: d = 0 there, :math:`\beta = 0`, and the
second estimate is infinitely far away, where it has no weight. Claims: ``beyond-*-seeds-2m``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seeds_theory.exact import lam_s
from seeds_theory.extras import optional_imports
from seeds_theory.formula import average_formula
from seeds_theory.noise import h, noise_scale
from seeds_theory.phi import Phi
from seeds_theory.tableau import z

with optional_imports():
    import sympy as sp

c_m = sp.Symbol("c_m", positive=True)
"""The node of the stage, whose noise level is called m."""

d = sp.Symbol("d", nonnegative=True)
"""How far the last stage is before the start of the step, in units of its length."""

gap = sp.Symbol("gap", positive=True)
"""How far the stage before that is before the last one."""


@dataclass(frozen=True)
class MultistepFormula:
    r"""One step, in c_m, d, gap, z, h, eta and :math:`\lambda_s`.

    Parameters
    ----------
    times : log-SNR of the stage and of the end.
    states : the factors of y in both.
    stage : (a_1, a_2), the weights of the last two estimates in the stage.
    end : (b_0, b_1), those of the new and the last estimate in the step.
    noise, average : the weights of N and M in the two normals of the step.
    """

    times: tuple[sp.Expr, sp.Expr]
    states: tuple[sp.Expr, sp.Expr]
    stage: tuple[sp.Expr, sp.Expr]
    end: tuple[sp.Expr, sp.Expr]
    noise: tuple[sp.Expr, ...]
    average: tuple[sp.Expr, ...]


def best_node(d: sp.Expr) -> sp.Expr:
    """The one node with the right mean of curvature (claim ``beyond-conditions-seeds-2m``)."""
    return (3 + 8 * d) / (4 + 12 * d)


def multistep_formula() -> MultistepFormula:
    """The step of SEEDS-2M at any node and any distances of the earlier stages."""
    one = sp.Integer(1)
    scale = noise_scale(lam_s + h)
    noise, average = (tuple(scale * weight for weight in row) for row in average_formula())
    return MultistepFormula(
        times=(lam_s + c_m * h, lam_s + h),
        states=(sp.exp(c_m * z), sp.exp(z)),
        stage=_pair(line_weights((-d, -d - gap), c_m)),
        end=_pair(line_weights((c_m, -d), one)),
        noise=noise,
        average=average,
    )


def line_weights(points: Sequence[sp.Expr], end: sp.Expr) -> Iterator[sp.Expr]:
    r"""The weights :math:`-z \int_0^e e^{(e-\theta) z} \ell_j(\theta)\,d\theta` of D at these points.

    :math:`\ell_j` are the points' Lagrange polynomials, and
    :math:`\int_0^e e^{(e-\theta) z}\,\theta^k\,d\theta = e^{k+1} k!\,\varphi_{k+1}(e z)`.
    """
    theta = sp.Dummy("theta")
    for point in points:
        others = [other for other in points if other != point]
        basis = sp.Mul(*(theta - other for other in others))
        distance = sp.Mul(*(point - other for other in others))
        powers = reversed(sp.Poly(basis, theta).all_coeffs())
        integrals = (
            -z * weight * end ** (k + 1) * sp.factorial(k) * Phi(k + 1, end * z)
            for k, weight in enumerate(powers)
        )
        yield sp.Add(*map(sp.expand, integrals)) / distance


def total(weights: tuple[sp.Expr, sp.Expr]) -> sp.Expr:
    """What two weights add up to: that of a constant."""
    return sp.cancel(sp.Add(*weights))


def _pair(weights: Iterator[sp.Expr]) -> tuple[sp.Expr, sp.Expr]:
    first, second = weights
    return first, second

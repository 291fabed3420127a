r"""The phi-functions of exponential integrators: one symbolic object, one stable evaluation.

For :math:`k \ge 1`

.. math::  \varphi_k(z) = \int_0^1 e^{(1-\theta) z} \frac{\theta^{k-1}}{(k-1)!}\,d\theta,
           \qquad \varphi_0(z) = e^z,

and all of them follow from :math:`\varphi_{k+1}(z) = (\varphi_k(z) - 1/k!)/z`. `Phi` is the sympy
function that tableaux and covariances are written in; `phi` is its number. Covariances of moments hold
:math:`e^{-z} \varphi_k(z)`, `DampedPhi`, which is finite where its factors are not. The identities that link
integral, recurrence, closed form and Taylor series are the claims ``phi-*`` of the ledger.

Reference: Hochbruck and Ostermann, Acta Numerica 19 (2010), section 2.1.
"""

from __future__ import annotations

from typing import Any

from seeds_theory.extras import optional_imports
from seeds_theory.special_functions import MAX_ORDER, damped_phi, phi

with optional_imports():
    import mpmath
    import sympy as sp


class Phi(sp.Function):
    r"""The symbolic :math:`\varphi_k(z)`: prints as itself, ``doit()`` gives its closed form."""

    nargs = 2

    @classmethod
    def eval(cls, k: sp.Expr, z: sp.Expr) -> sp.Expr | None:
        """The value at the one point where the closed form is singular: 1/k! at z = 0."""
        if k == 0:
            return sp.exp(z)
        if z.is_zero:
            return 1 / sp.factorial(k)
        return None

    def fdiff(self, argindex: int = 2) -> sp.Expr:
        r""":math:`\varphi_k' = \varphi_k - k\,\varphi_{k+1}`."""
        k, z = self.args
        if argindex != 2:
            raise sp.ArgumentIndexError(self, argindex)
        return Phi(k, z) - k * Phi(k + 1, z)

    def doit(self, **hints: Any) -> sp.Expr:
        """The closed form, with the argument evaluated first."""
        k, z = (arg.doit(**hints) for arg in self.args)
        return closed_form(int(k), z)

    def _eval_evalf(self, prec: int) -> sp.Expr | None:
        k, z = self.args
        if not z.is_number:
            return None
        with mpmath.workprec(prec):
            value = mpmath.hyp1f1(1, int(k) + 1, z._to_mpmath(prec)) / mpmath.factorial(int(k))
        return sp.Expr._from_mpmath(value, prec)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        k, z = self.args
        power = f"^{{{exp}}}" if exp else ""
        return rf"\varphi_{{{printer._print(k)}}}{power}\left({printer._print(z)}\right)"


class DampedPhi(sp.Function):
    r"""The symbolic :math:`e^{-z} \varphi_k(z) = \int_0^1 e^{-\theta z} \theta^{k-1}/(k-1)!\,d\theta`."""

    nargs = 2

    @classmethod
    def eval(cls, k: sp.Expr, z: sp.Expr) -> sp.Expr | None:
        r""":math:`\varphi_1(-z)` for k = 1, and 1/k! at z = 0."""
        if k == 1:
            return Phi(1, -z)
        if z.is_zero:
            return 1 / sp.factorial(k)
        return None

    def fdiff(self, argindex: int = 2) -> sp.Expr:
        """Minus k times the next one."""
        k, z = self.args
        if argindex != 2:
            raise sp.ArgumentIndexError(self, argindex)
        return -k * DampedPhi(k + 1, z)

    def doit(self, **hints: Any) -> sp.Expr:
        """The closed form, with the argument evaluated first."""
        k, z = (arg.doit(**hints) for arg in self.args)
        return sp.expand(sp.exp(-z) * closed_form(int(k), z))

    def _eval_evalf(self, prec: int) -> sp.Expr | None:
        k, z = self.args
        if not z.is_number:
            return None
        with mpmath.workprec(prec):
            order = int(k)
            value = mpmath.hyp1f1(order, order + 1, -z._to_mpmath(prec)) / mpmath.factorial(order)
        return sp.Expr._from_mpmath(value, prec)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        k, z = self.args
        whole = rf"{printer._print(sp.exp(-z))} {printer._print(Phi(k, z))}"
        return rf"\left({whole}\right)^{{{exp}}}" if exp else whole


def integral(k: int, z: sp.Expr) -> sp.Expr:
    r"""The definition, unevaluated: :math:`\int_0^1 e^{(1-\theta)z}\theta^{k-1}/(k-1)!\,d\theta`."""
    theta = sp.Symbol("theta", positive=True)
    density = theta ** (k - 1) / sp.factorial(k - 1)
    return sp.Integral(sp.exp((1 - theta) * z) * density, (theta, 0, 1))


def closed_form(k: int, z: sp.Expr) -> sp.Expr:
    r""":math:`\left(e^z - \sum_{j<k} z^j/j!\right) / z^k`, for z not 0."""
    return (sp.exp(z) - sum(z**j / sp.factorial(j) for j in range(k))) / z**k


def taylor(k: int, z: sp.Expr, terms: int) -> sp.Expr:
    r""":math:`\sum_{n} z^n/(n+k)!`, its first terms."""
    return sp.Add(*(z**n / sp.factorial(n + k) for n in range(terms)))


NUMERIC: list[Any] = [{Phi.__name__: phi, DampedPhi.__name__: damped_phi}, "numpy"]
"""What `sympy.lambdify` makes numbers of expressions in `Phi` with: its ``modules``."""

__all__ = [
    "MAX_ORDER",
    "NUMERIC",
    "DampedPhi",
    "Phi",
    "closed_form",
    "damped_phi",
    "integral",
    "phi",
    "taylor",
]

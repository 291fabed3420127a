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

import math
from functools import cache
from typing import Any, TypeVar

import mpmath
import numpy as np
import sympy as sp
import torch

from seeds_theory.errors import ParameterError

MAX_ORDER = 5
"""Largest k for which the accuracy of `phi` is promised."""

Real = TypeVar("Real", float, np.ndarray, torch.Tensor)


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


_SERIES_RADIUS = 3.0
_SERIES_TERMS = 30  # 3**30/30! < 1e-18: the tail is below rounding for |z| <= _SERIES_RADIUS


def phi(k: int, z: Real) -> Real:
    r"""Evaluate :math:`\varphi_k(z)`, in the type and dtype of z, with relative error <= 1e-14 in float64.

    Two formulas without cancellation. For :math:`|z| \le 3` a power series whose terms all have one
    sign, for negative z after Kummer's transformation

    .. math::  \varphi_k(z) = \sum_n \frac{z^n}{(n+k)!} \ (z \ge 0), \qquad
               \varphi_k(z) = \frac{e^z}{k!} \sum_n \frac{k}{k+n} \frac{(-z)^n}{n!} \ (z < 0);

    outside, the recurrence, whose subtraction is harmless there.

    Parameters
    ----------
    k : order, 0 to 5.
    z : real float, numpy array or torch tensor, any shape; integers are read as float64.

    Raises
    ------
    ParameterError : if k is not an integer from 0 to 5.
    """
    if k not in range(MAX_ORDER + 1):
        raise ParameterError(f"phi_k needs an integer order k from 0 to {MAX_ORDER}; got {k!r}")
    order = int(k)
    if isinstance(z, torch.Tensor):
        dtype = z.dtype if z.is_floating_point() else torch.float64
        return _on_array(order, z.to(torch.float64), torch).to(dtype)
    if isinstance(z, np.ndarray):
        dtype = z.dtype if z.dtype.kind == "f" else np.float64
        return _on_array(order, z.astype(np.float64), np).astype(dtype)
    try:
        return _on_number(order, float(z))
    except OverflowError:  # beyond z = 709; arrays give infinity there too
        return math.inf


def damped_phi(k: int, z: float | np.ndarray) -> Any:
    r"""Evaluate :math:`e^{-z} \varphi_k(z)` for float64 z: finite for all z >= 0; errors as of `phi`.

    Where :math:`\varphi_k` is large, by the recurrence :math:`d_{k+1} = (d_k - e^{-z}/k!)/z`.
    """
    z = np.asarray(z, dtype=float)
    near = np.minimum(z, _SERIES_RADIUS)
    far = np.maximum(z, _SERIES_RADIUS)
    value = phi(1, -far)
    for j in range(1, k):
        value = (value - np.exp(-far) / math.factorial(j)) / far
    return np.where(z > _SERIES_RADIUS, value, np.exp(-near) * phi(k, near))


NUMERIC: list[Any] = [{Phi.__name__: phi, DampedPhi.__name__: damped_phi}, "numpy"]
"""What `sympy.lambdify` makes numbers of expressions in `Phi` with: its ``modules``."""


def _on_number(k: int, z: float) -> float:
    if k == 0:
        return math.exp(z)
    if abs(z) > _SERIES_RADIUS:
        return _recurrence(k, z, math.expm1(z))
    if z >= 0:
        return _horner(_rising(k), z)
    return math.exp(z) * _horner(_falling(k), -z)


def _on_array(k: int, z: Any, xp: Any) -> Any:
    if k == 0:
        return xp.exp(z)
    # Each branch sees only arguments that it is meant for: no overflow, no 0/0, clean gradients.
    zero = 0.0 * z
    near = abs(z) <= _SERIES_RADIUS
    far = xp.where(near, zero + 2 * _SERIES_RADIUS, z)
    up = xp.where(near & (z >= 0), z, zero)
    down = xp.where(near & (z < 0), -z, zero)
    series = xp.where(z >= 0, _horner(_rising(k), up), xp.exp(-down) * _horner(_falling(k), down))
    return xp.where(near, series, _recurrence(k, far, xp.expm1(far)))


@cache
def _rising(k: int) -> tuple[float, ...]:
    return tuple(1 / math.factorial(n + k) for n in range(_SERIES_TERMS))


@cache
def _falling(k: int) -> tuple[float, ...]:
    factorial = math.factorial
    return tuple(k / ((k + n) * factorial(n) * factorial(k)) for n in range(_SERIES_TERMS))


def _horner(coefficients: tuple[float, ...], z: Any) -> Any:
    value = 0.0 * z
    for coefficient in reversed(coefficients):
        value = coefficient + z * value
    return value


def _recurrence(k: int, z: Any, expm1: Any) -> Any:
    value = expm1 / z
    for j in range(1, k):
        value = (value - 1 / math.factorial(j)) / z
    return value

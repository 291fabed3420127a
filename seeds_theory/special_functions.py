r"""The phi-functions in double precision: the functions that emitted code calls beside those of `math`.

Definition and symbols: `seeds_theory.phi`. Claims: ``phi-*``.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from seeds_theory.errors import ParameterError

if TYPE_CHECKING:
    import torch

MAX_ORDER = 5
"""Largest k for which the accuracy of `phi` is promised."""

Real = TypeVar("Real", float, np.ndarray, "torch.Tensor")

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
    if hasattr(z, "is_floating_point"):
        return _on_tensor(order, z)
    if isinstance(z, np.ndarray):
        dtype = z.dtype if z.dtype.kind == "f" else np.float64
        return _on_array(order, z.astype(np.float64), np).astype(dtype)
    return _on_number(order, float(z))


def _on_tensor(order: int, z: Any) -> Any:
    import torch  # whoever has a tensor has it; emitted code is given numbers and arrays

    dtype = z.dtype if z.is_floating_point() else torch.float64
    return _on_array(order, z.to(torch.float64), torch).to(dtype)


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


def _on_number(k: int, z: float) -> Any:
    try:
        if k == 0:
            return math.exp(z)
        if abs(z) > _SERIES_RADIUS:
            return _recurrence(k, z, math.expm1(z))
    except OverflowError:  # beyond z = 709; arrays give infinity there too
        return math.inf
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


_ARC_TERMS = 60  # the series in a square that is 1/2 at most end below rounding


def arc(eta: float, u: Any) -> Any:
    r"""Evaluate :math:`\int_0^u (1 + v^2)^{-1-\eta/2}\,dv` for :math:`\eta \ge 0` and :math:`u \ge 0`.

    It is :math:`\int_0^\theta \cos^\eta` with :math:`\tan\theta = u`: arctan at :math:`\eta = 0`, the sine
    of :math:`\theta` at 1. By the power series in the sine up to :math:`\theta = \pi/4`, in the cosine from
    there; infinity has its limit. Relative errors are a few units of rounding.
    """
    u = np.asarray(u, dtype=float)
    with np.errstate(invalid="ignore"):
        sine = np.where(np.isinf(u), 1.0, u / np.hypot(1.0, u))
        cosine = 1 / np.hypot(1.0, u)
    near = np.minimum(sine, math.sqrt(0.5))
    far = np.minimum(cosine, math.sqrt(0.5))
    # (1 - s^2)^p integrated term by term, p = (eta - 1)/2, and c^eta (1 - c^2)^(-1/2).
    from_zero = near * _binomial_integral((eta - 1) / 2, 1.0, near**2)
    to_infinity = far ** (1 + eta) * _binomial_integral(-0.5, 1 + eta, far**2)
    whole = math.sqrt(math.pi) / 2 * math.gamma((1 + eta) / 2) / math.gamma(1 + eta / 2)
    return np.where(sine <= cosine, from_zero, whole - to_infinity)


def _binomial_integral(power: float, first: float, square: Any) -> Any:
    r""":math:`\sum_k \binom{p}{k} (-x)^k / (\mathrm{first} + 2k)`."""
    total, coefficient = 0.0 * square, 1.0
    coefficients = []
    for k in range(_ARC_TERMS):
        coefficients.append(coefficient / (first + 2 * k))
        coefficient *= (k - power) / (k + 1)
    for value in reversed(coefficients):
        total = value + square * total
    return total

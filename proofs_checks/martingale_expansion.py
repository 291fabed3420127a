r"""The law of one step with an exact denoiser at eta = 1, expanded: which order conditions are left.

In :math:`Z = \gamma y`, with the signal-to-noise ratio :math:`\gamma = \sigma^{-2}` for the time, the reverse
SDE at :math:`\eta = 1` is :math:`dZ = D\,d\gamma + dB`, and D is a martingale along it:
:math:`\partial_\gamma D = -D D' - \frac12 D''`. So every derivative of D is a polynomial in
:math:`D_j = \partial_z^j D`. A method of three calls is

.. math::  Z_i = z + H \sum_j a_{ij} D_j + \sqrt H\,n_i, \qquad Z_t = z + H \sum_i b_i D_i + \sqrt H\,N,

with jointly normal :math:`n_2, n_3, N` of covariances :math:`\kappa`, and
:math:`\operatorname{Var} n_i = c_i`, :math:`\operatorname{Var} N = 1`. Here the moments of :math:`Z_t - z`
and of the exact solution are compared up to :math:`H^3`, on the line. Claims: ``martingale-*``.
"""

from __future__ import annotations

from functools import cache
from math import factorial
from typing import Any

import sympy as sp
from sympy.polys.rings import ring

DEPTH = 7
"""The number of derivatives of D that occur."""
_NAMES = [
    "e n2 n3 N",
    " ".join(f"D{j}" for j in range(DEPTH)),
    "b2 b3 a32 c2 c3 k2 k3 k23",
]
_RING, *_GENS = ring(" ".join(_NAMES), sp.QQ)
_E, _NOISES, _JETS = _GENS[0], _GENS[1:4], _GENS[4 : 4 + DEPTH]
B2, B3, A32, C2, C3, K2, K3, K23 = _GENS[4 + DEPTH :]
COEFFICIENTS = dict(zip(_NAMES[2].split(), _GENS[4 + DEPTH :], strict=True))
_COVARIANCE = {(0, 0): C2, (1, 1): C3, (2, 2): _RING(1), (0, 1): K23, (0, 2): K2, (1, 2): K3}
_POWER = 6  # of e = sqrt(H)


def _cut(value: Any, power: int) -> Any:
    """Without the powers of e above this one."""
    return _RING.from_dict({m: c for m, c in value.items() if m[0] <= power})


def _times(left: Any, right: Any, power: int) -> Any:
    """The product, cut."""
    out: dict[tuple[int, ...], Any] = {}
    for m, c in left.items():
        for n, d in right.items():
            if m[0] + n[0] <= power:
                key = tuple(a + b for a, b in zip(m, n, strict=True))
                out[key] = out.get(key, 0) + c * d
    return _RING.from_dict({m: c for m, c in out.items() if c})


def _along(field: Any) -> Any:
    """The derivative in z."""
    return sum((field.diff(_JETS[j]) * _JETS[j + 1] for j in range(DEPTH - 1)), _RING(0))


@cache
def _rate(order: int) -> Any:
    """The derivative in gamma of D_j, by the martingale property."""
    value = -_JETS[0] * _JETS[1] - _JETS[2] / 2
    for _ in range(order):
        value = _along(value)
    return value


def _in_time(field: Any, deepest: int = 4) -> Any:
    """The derivative in gamma of a polynomial in the D_j."""
    parts = (field.diff(_JETS[j]) * _rate(j) for j in range(deepest + 1) if field.diff(_JETS[j]))
    return sum(parts, _RING(0))


def _estimate(move: Any, node: Any, power: int) -> Any:
    """D at z + move and the time node * H, cut."""
    total, in_time = _RING(0), 0
    while 2 * in_time <= power:
        moved = _RING(1)
        for order in range(power - 2 * in_time + 1):
            field = _JETS[order]
            for _ in range(in_time):
                field = _in_time(field, order + 2)
            late = (node * _E**2) ** in_time
            total += _times(_times(moved, late, power), field, power) / (
                factorial(in_time) * factorial(order)
            )
            moved = _times(moved, move, power)
        in_time += 1
    return _cut(total, power)


@cache
def _moment(i: int, j: int, k: int) -> Any:
    """The mean of n2^i n3^j N^k, by Isserlis' formula."""
    which = (0,) * i + (1,) * j + (2,) * k
    if len(which) % 2:
        return _RING(0)
    if not which:
        return _RING(1)
    total = _RING(0)
    for position in range(1, len(which)):
        rest = which[1:position] + which[position + 1 :]
        pair = _COVARIANCE[which[0], which[position]]
        total += pair * _moment(rest.count(0), rest.count(1), rest.count(2))
    return total


def _mean(value: Any) -> Any:
    """The expectation over the noises."""
    total = _RING(0)
    for m, c in value.items():
        bare = (m[0], 0, 0, 0, *m[4:])
        total += _RING.from_dict({bare: c}) * _moment(*m[1:4])
    return total


@cache
def step_moments() -> tuple[Any, ...]:
    """The moments 1 to 6 of the step's Z_t - z, up to H^3."""
    n2, n3, last = _NOISES
    first = _JETS[0]
    second = _estimate(_E * n2 + _E**2 * C2 * first, C2, 4)
    move = _cut(_E * n3 + _E**2 * ((C3 - A32) * first + A32 * second), 4)
    third = _estimate(move, C3, 4)
    total = (1 - B2 - B3) * first + B2 * second + B3 * third
    step = _cut(_E * last + _E**2 * total, _POWER)
    moments, power = [], _RING(1)
    for _ in range(6):
        power = _times(power, step, _POWER)
        moments.append(_cut(_mean(power), _POWER))
    return tuple(moments)


@cache
def exact_moments() -> tuple[Any, ...]:
    """The same of the exact solution, by its generator applied three times to (Z - z)^p."""
    moments = []
    for p in range(1, 7):
        # Polynomials in w = Z - z, lowest power first; their coefficients are in the D_j.
        field = [_RING(0)] * p + [_RING(1)]
        total = _RING(0)
        for k in range(1, 4):
            field = _generator(field)
            total += _E ** (2 * k) * field[0] / factorial(k)
        moments.append(total)
    return tuple(moments)


def _generator(field: list[Any]) -> list[Any]:
    """d/dgamma + D d/dz + half the second derivative, of a polynomial in w."""

    def slope(f: list[Any]) -> list[Any]:
        lifted = [(n + 1) * f[n + 1] for n in range(len(f) - 1)] + [_RING(0)]
        return [a + _along(b) for a, b in zip(lifted, f, strict=True)]

    first = slope(field)
    second = slope(first)
    return [
        _JETS[0] * a + b / 2 + _in_time(c) for a, b, c in zip(first, second, field, strict=True)
    ]


def defects() -> dict[tuple[int, int, str], Any]:
    """By moment, power of H and product of the D_j: the coefficient of what the step errs by."""
    found: dict[tuple[int, int, str], Any] = {}
    for p, (mine, exact) in enumerate(zip(step_moments(), exact_moments(), strict=True), start=1):
        for m, c in (mine - exact).items():
            jets = m[4 : 4 + DEPTH]
            name = " ".join(f"D{j}" + (f"^{n}" if n > 1 else "") for j, n in enumerate(jets) if n)
            rest = (0,) * (4 + DEPTH) + m[4 + DEPTH :]
            key = (p, m[0], name)
            found[key] = found.get(key, _RING(0)) + _RING.from_dict({rest: c})
    return {(p, e // 2, name): value for (p, e, name), value in found.items() if value}

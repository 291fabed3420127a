r"""The method of three calls that misses weak order 3 by least, as far as known; two normals a step.

Its first call has noise of its own. It is a local minimum of the sum of squares of what the fifteen
conditions of `proofs_checks.claims.necessity` miss, and a root of the derivatives, which are polynomials: so
its numbers are algebraic, and `enclosed` proves that there is such a minimum near the given ones. All noises
are combinations of the noise of the step and one more normal. Claims: ``necessity-least-*``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mpmath
import numpy as np
import sympy as sp
import torch
from torch import Tensor

from seeds_theory.denoiser import Denoiser

NODES = ("0", "0.392796104588234754", "0.980154255934647015")
"""s_i: the sums of the rows, and the times of the calls."""
A32 = "1.78343099974917861"
WEIGHTS = ("0.0828499070681529111", "0.679180066211768961", "0.237944010600115921")
WITH_STEP = ("-0.033427672990996555", "0.399128869398174983", "0.972987752835377951")
"""r_i: each noise is sqrt(h) times r_i z + l_i z', with the normal z of the step and another one."""
APART = ("0.25374544675248201", "0.470307444646829213", "-0.216066701685263167")
"""l_i."""
NUMBERS = (*NODES[1:], A32, *WEIGHTS, *WITH_STEP, *APART)


def enclosed(
    missed: Sequence[sp.Expr], symbols: Sequence[sp.Symbol], near: Sequence[str], radius: str
) -> tuple[Any, bool, bool]:
    """Whether the sum of squares of polynomials has a strict local minimum in a box, by intervals.

    Parameters
    ----------
    missed : polynomials with whole coefficients. symbols : their variables. near : the middle of the box,
        refined first. radius : of the box.

    Returns
    -------
    The sum of squares there, whether the box holds exactly one root of the derivatives (Krawczyk's test),
    and whether the second derivatives are positive definite in all of it.
    """
    size = len(symbols)
    first = [[m.diff(x) for x in symbols] for m in missed]
    second = [[[d.diff(x) for x in symbols] for d in row] for row in first]
    values = sp.lambdify([list(symbols)], [list(missed), first, second], "mpmath")

    def derivatives(point: list[Any]) -> tuple[Any, list[Any], list[list[Any]]]:
        """The sum of squares, and the first and second derivatives of half of it."""
        m, d, dd = values(point)
        slopes = [sum(m[k] * d[k][i] for k in range(len(m))) for i in range(size)]
        curvature = [
            [
                sum(d[k][i] * d[k][j] + m[k] * dd[k][i][j] for k in range(len(m)))
                for j in range(size)
            ]
            for i in range(size)
        ]
        return sum(value**2 for value in m), slopes, curvature

    kept = mpmath.iv.dps
    try:
        mpmath.iv.dps = 50
        with mpmath.workdps(50):
            middle = [mpmath.mpf(text) for text in near]
            for _ in range(4):
                _, slopes, curvature = derivatives(middle)
                change = mpmath.lu_solve(mpmath.matrix(curvature), mpmath.matrix(slopes))
                middle = [m - c for m, c in zip(middle, change, strict=True)]
            inverse = (mpmath.matrix(derivatives(middle)[2]) ** -1).tolist()
            iv = mpmath.iv
            wide = iv.mpf([f"-{radius}", radius])
            at_middle = derivatives([iv.mpf(m) for m in middle])[1]
            total, _, curvature = derivatives([iv.mpf(m) + wide for m in middle])
        rows = [[iv.mpf(value) for value in row] for row in inverse]
        moved = []
        for i, row in enumerate(rows):
            newton = sum(row[k] * at_middle[k] for k in range(size))
            left = [
                iv.mpf(int(i == j)) - sum(row[k] * curvature[k][j] for k in range(size))
                for j in range(size)
            ]
            moved.append(sum(value * wide for value in left) - newton)
        inside = all(m.a > wide.a and m.b < wide.b for m in moved)
        return total, inside, _definite(curvature)
    finally:
        mpmath.iv.dps = kept


def _definite(matrix: list[list[Any]]) -> bool:
    """Whether all symmetric matrices in an interval matrix are positive definite: by elimination."""
    rest = [list(row) for row in matrix]
    for k, pivot in enumerate(rest):
        if not pivot[k].a > 0:
            return False
        for row in rest[k + 1 :]:
            share = row[k] / pivot[k]
            for j in range(k + 1, len(rest)):
                row[j] -= share * pivot[j]
    return True


def step(denoiser: Denoiser, y: Tensor, sigma: float, sigma_next: float, z: Tensor) -> Tensor:
    r"""One step at eta = 1, exponential in data prediction; the normals z are (2, batch, d).

    In :math:`Z = \gamma y` the integrals of :math:`\tau^k\,d\gamma`, with :math:`\tau` the share of the
    log-SNR, replace the moments of the nodes: they give the weights, and nodes their lengths.
    """
    h, start = math.log(sigma / sigma_next), sigma**-2
    c = [float(text) for text in NODES]
    r, apart = ([float(text) for text in row] for row in (WITH_STEP, APART))
    whole = torch.tensor([_moment(k, 1.0, h) for k in range(3)], dtype=torch.float64)
    powers = torch.tensor([[node**k for node in c] for k in range(3)], dtype=torch.float64)
    b = torch.linalg.solve(powers, whole).tolist()
    lengths = [_moment(0, node, h) for node in c]
    a32 = float(A32) * 2 * c[1] / c[2] ** 2 * _moment(1, c[2], h) / c[1]
    rows = ((), (lengths[1],), (lengths[2] - a32, a32))
    estimates: list[Tensor] = []
    for i, row in enumerate(rows):
        # The first noise has no length of its own; the others are those of h -> 0 on theirs.
        scale = lengths[i] / c[i] if i else 2 * h
        share = r[i] * scale / math.sqrt(whole[0])
        other = math.sqrt((r[i] ** 2 + apart[i] ** 2) * scale - share**2)
        noise = share * z[0] + math.copysign(other, apart[i]) * z[1]
        drift = sum((w * D for w, D in zip(row, estimates, strict=True)), torch.zeros_like(y))
        gamma = start * math.exp(2 * c[i] * h)
        state = (start * (y + drift) + math.sqrt(start) * noise) / gamma
        estimates.append(denoiser(state, gamma**-0.5))
    drift = sum((w * D for w, D in zip(b, estimates, strict=True)), torch.zeros_like(y))
    end = start * (y + drift) + math.sqrt(start * float(whole[0])) * z[0]
    return end * sigma_next**2


def _moment(power: int, node: float, h: float) -> float:
    r"""The integral of tau^k d gamma up to a node, over gamma at the start of the step."""
    x, w = _GAUSS
    times = (x + 1) * node * h / 2
    return float((w * node * h / 2 * (times / h) ** power * 2 * torch.exp(2 * times)).sum())


_GAUSS = tuple(torch.from_numpy(values) for values in np.polynomial.legendre.leggauss(24))

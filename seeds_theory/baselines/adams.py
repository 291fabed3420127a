r"""Exponential Adams weights: an interpolating polynomial, integrated against the exact kernel.

In the frame x / alpha, with :math:`\kappa = 1 + \eta` and :math:`\lambda = -\log\sigma`, the reverse SDE
has the exact solution

.. math::  x_t = e^{-\kappa h} x_s
           + \int_{\lambda_s}^{\lambda_t} \kappa e^{-\kappa(\lambda_t - l)} D(x_l, l)\,dl
           + t \sqrt{1 - e^{-2\eta h}}\,z, \qquad h = \log(s/t).

A multistep method replaces D by the polynomial through its known values at the levels
:math:`\sigma_j`, with nodes :math:`c_j = \log(s/\sigma_j)/h` in units of the step and Lagrange basis
:math:`\ell_j`. What it then needs are the weights

.. math::  w_j = \int_0^1 e^{(1-\theta)z}\,\ell_j(\theta)\,d\theta,
           \qquad \int_0^1 e^{(1-\theta)z}\,\theta^k\,d\theta = k!\,\varphi_{k+1}(z),

at :math:`z = -\kappa h`; at z = 0 they are the weights of the classical Adams methods. Nothing here
subtracts nearly equal numbers when h is small.

Reference: Hochbruck and Ostermann, Acta Numerica 19 (2010), on exponential multistep methods.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from seeds_theory.baselines.run import log_ratio
from seeds_theory.special_functions import phi

Values = list[tuple[float, Tensor]]
"""Values of the integrand with their noise levels, the latest first: a multistep method's memory."""


def adams_weights(nodes: Sequence[float], z: float = 0.0) -> list[float]:
    r"""The weights :math:`\int_0^1 e^{(1-\theta)z} \ell_j(\theta)\,d\theta` of distinct nodes, up to five."""
    moments = [math.factorial(k) * phi(k + 1, z) for k in range(len(nodes))]
    return [
        sum(c * m for c, m in zip(_lagrange(nodes, j), moments, strict=True))
        for j in range(len(nodes))
    ]


def _lagrange(nodes: Sequence[float], j: int) -> list[float]:
    r"""The coefficients of :math:`\ell_j`, by ascending powers of theta."""
    coefficients = [1.0]
    for i, node in enumerate(nodes):
        if i != j:  # times (theta - node) / (nodes[j] - node)
            raised, lowered = [0.0, *coefficients], [*coefficients, 0.0]
            coefficients = [
                (up - node * low) / (nodes[j] - node)
                for up, low in zip(raised, lowered, strict=True)
            ]
    return coefficients


def exponential_weights(kappa: float, s: float, t: float, levels: Sequence[float]) -> list[float]:
    r"""The weights :math:`\int \kappa e^{-\kappa(\lambda_t-l)} \ell_j(l)\,dl` of D at these noise levels."""
    h = log_ratio(s, t)
    nodes = [log_ratio(s, level) / h for level in levels]
    return [kappa * h * weight for weight in adams_weights(nodes, -kappa * h)]


def combine(weights: Sequence[float], values: Sequence[Tensor]) -> Tensor:
    """The sum of weight times value."""
    return functools.reduce(
        torch.add, (w * value for w, value in zip(weights, values, strict=True))
    )

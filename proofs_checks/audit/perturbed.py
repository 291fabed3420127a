r"""The law on curved data without sampling, of a model that is a posterior mean: perturbed Gaussian data.

Data of density :math:`N(0, c)\,(1 + \epsilon\,\mathrm{He}_3(x/\sqrt c))`. With noise of level sigma, with
:math:`v = c + \sigma^2` and :math:`\rho^2 = c/v`, it is :math:`N(0, v)\,(1 + \epsilon\rho^3\,
\mathrm{He}_3(x/\sqrt v))`, so that to first order in epsilon

.. math::  D(x) = \tfrac{c}{v}\,x + \epsilon\,\frac{3\sigma^2\rho^3}{\sqrt v}\Big(\frac{x^2}{v} - 1\Big) .

Write :math:`x = y_1 + \epsilon y_2`: a triangular problem, whose y2 is driven by the square of y1. It starts
from the exact marginal, :math:`y_2 = \rho^3\sqrt v\,(y_1^2/v - 1)`, and the exact law at the end has
:math:`\mathbb{E}\,y_2 = 0` and :math:`\mathbb{E}\,y_1^2 y_2 = 2 c^{3/2}`. What a sampler gives for them is a
finite sum, as in `proofs_checks.audit.triangular`.

There the model is no posterior mean. A step of the ODE with noise around it keeps the marginals of the data
if the model is one, and has a lower order from a given state. This tells the two apart. It has one curved
factor, and any number of linear ones, which are all that the conditions of weak order 2 have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from proofs_checks.audit.grids import shifted
from proofs_checks.audit.orders import Curve, curve, signed_norm
from proofs_checks.audit.triangular import FINEST, SIGMA_MAX, SIGMA_MIN, Chain, Chains, Problem

VARIANCE = 1.0
"""The c of the data."""

DECIDES = 2
"""The highest weak order that this problem decides."""


def _gain(sigma: float) -> float:
    return VARIANCE / (VARIANCE + sigma**2)


def _strength(sigma: float) -> float:
    if math.isinf(sigma):
        return 0.0
    total = VARIANCE + sigma**2
    return 3 * sigma**2 * (VARIANCE / total) ** 1.5 / math.sqrt(total)


def _driver(y: Tensor, sigma: float) -> Tensor:
    return _strength(sigma) * (torch.square(y) / (VARIANCE + sigma**2) - 1)


PROBLEM = Problem(_gain, _gain, _driver, 0.0)


def law_errors(
    found: Chain, sigma_max: float = SIGMA_MAX, sigma_min: float = SIGMA_MIN
) -> np.ndarray:
    """Of a chain from the exact marginal: E y1^2, E y2 and E y1^2 y2 without their exact values.

    A state at an infinite first level is unit noise.
    """
    infinite = math.isinf(sigma_max)
    start = 1.0 if infinite else VARIANCE + sigma_max**2
    # Of y1 at the calls and the end; and with its start.
    c = start * np.outer(found.first_start, found.first_start) + found.covariance
    with_start = start * found.first_start
    levels = np.array(found.calls)
    v = VARIANCE + levels**2
    strength = np.array([_strength(sigma) for sigma in found.calls])
    weighted = found.weights[-1] * strength
    last, inner = c[-1, -1], np.diag(c)[:-1]
    mean = weighted @ (inner / v - 1)
    # E a^2 b^2 = E a^2 E b^2 + 2 (E a b)^2.
    driven = weighted @ ((last * inner + 2 * c[-1, :-1] ** 2) / v - last)
    tilt = 0.0 if infinite else (VARIANCE / start) ** 1.5 * math.sqrt(start)
    first = found.start[-1] * tilt
    started = first * 2 * with_start[-1] ** 2 / start
    exact = 2 * VARIANCE**1.5
    return np.array([last - VARIANCE - sigma_min**2, mean, driven + started - exact])


class PerturbedStudy(Chains):
    """The errors of the law on several grids; of a strong order it says nothing."""

    strong_curve = None

    @cached_property
    def weak_curve(self) -> Curve:
        """Their norm."""

        def on_grids(steps: Sequence[int]) -> Curve:
            errors = [signed_norm(self._law_errors(n)) for n in steps]

            def explains(n: int, error: float) -> bool:
                return self.explains(error, partial(self._law_errors, n))

            return curve(steps, errors, self.rounding, explains)

        return self.followed(on_grids, self.steps, FINEST)

    def _law_errors(self, steps: int, shift: float = 0.0) -> np.ndarray:
        start, *_, end = shifted(self._grid(steps), shift)
        found = self.shifted_chain(steps, shift) if shift else self.chain(steps)
        return law_errors(found, start, end)

"""Exercises of the chapter on adaptive steps."""

from __future__ import annotations

import math

import torch

from proofs_checks.exercises.answers import Key
from seeds_theory.exact import eta, lam_s
from seeds_theory.noise import h
from toy_models.adaptive import PAIRS, clock


def exercise_1() -> Key:
    """The variance that rejected noise loses."""
    q = 1.0
    z = torch.linspace(-q, q, 20001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    kept = float(torch.trapezoid(density * z.square(), z))
    rejected = 1 - float(torch.trapezoid(density, z))
    right = 1 - kept - rejected
    return Key(
        right,
        (
            (right / 2, "both tails are rejected: 2 q n(q)"),
            (kept, "that is what the kept noise has; the new one has its share of variance, too"),
            (rejected, "that is how often it is rejected"),
        ),
        "the kept noise has the integral of z^2 n(z), the new noise P(|z| > q) times 1; 1 less both",
    )


def exercise_2() -> Key:
    """A bridge of the noise."""
    levels = torch.tensor([1.0, 0.5**0.5, 0.5], dtype=torch.float64)
    first, middle, last = clock(-levels.log(), 1.0).tolist()
    right = (middle - first) * (last - middle) / (last - first)
    return Key(
        right,
        (
            (middle - first, "that is without the value at the end, which is known"),
            (
                (last - first) / 4,
                "the cut is not in the middle of the clock, which runs as 1/sigma^2",
            ),
        ),
        "the clock is 1/sigma^2: 1, 2 and 4; a bridge has the variance of both parts over the whole",
    )


def exercise_3() -> Key:
    """What a pair of methods looks at."""
    (difference,) = PAIRS["seeds-2(1)"].differences
    right = float(difference.subs({h: 0.1, eta: 1, lam_s: 0}).doit().evalf())
    return Key(
        right,
        (
            (right / 2, "at the node 1/2 the weight phi_1/(2 c_2) is phi_1"),
            (0.1, "that is to first order; the weight is exact in the linear part"),
        ),
        "B h phi_1(zeta h)/(2 c_2) = 1 - e^(-2h), at the node 1/2",
    )

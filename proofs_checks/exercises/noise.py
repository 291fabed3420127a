"""Exercises of the chapter on noise."""

from __future__ import annotations

import math

import sympy as sp

from proofs_checks.exercises.answers import Key
from seeds_theory.exact import DATA, eta
from seeds_theory.noise import Moment, h, moment_covariance, path_averages, step_moment


def exercise_1() -> Key:
    """Two moments at rate 0."""
    zero = sp.Integer(0)
    return Key(
        moment_covariance(Moment(zero, 0), Moment(zero, 1), h),
        (
            (h**2, "integrate the distance x from 0 to h"),
            (h**3 / 3, "that is the variance of G_1"),
            (0, "both are driven by the same dW"),
        ),
        "Ito's isometry: the integral of the product of the kernels 1 and x",
    )


def exercise_2() -> Key:
    """A node in the middle of a step."""
    lengths = (h / 2, h / 2)
    node, end = (step_moment(DATA.noise_rate, lengths, i) for i in (0, 1))
    covariance = [a.covariance(b, lengths) for a, b in ((node, end), (node, node), (end, end))]
    both, first, last = (float(c.subs({eta: 1, h: sp.log(2)}).evalf()) for c in covariance)
    return Key(
        both / math.sqrt(first * last),
        (
            (math.sqrt(0.5), "that is for a short step, where the noise is a plain Brownian path"),
            (0, "independent noises are another equation: the first half of the path is in both"),
        ),
        "carry N_2 to the end, e^(-2 h/2), divide by both deviations, and use that intervals are independent",
    )


def exercise_3() -> Key:
    """The noise and its average."""
    averages = path_averages()
    N, M = averages["N"], averages["M"]
    values = [
        float(a.covariance(b, (h,)).subs({eta: 1, h: sp.Rational(1, 10**9)}).evalf(30))
        for a, b in ((N, M), (N, N), (M, M))
    ]
    return Key(
        values[0] / math.sqrt(values[1] * values[2]),
        (
            (0.5, "that is the covariance of W_1 and its average; divide by both deviations"),
            (1, "the average knows the path before the end, which the end does not"),
        ),
        "for a short step N is W_1 and M the average of W over [0, 1], up to factors",
    )

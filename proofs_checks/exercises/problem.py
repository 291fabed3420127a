"""Exercises of the chapter on the problem."""

from __future__ import annotations

import math
from dataclasses import replace

import sympy as sp
import torch

from proofs_checks.exercises.answers import Key
from seeds_theory import RectifiedFlow, Tableau, make_plan, method, uniform_log_snr
from toy_models import Gaussian, GaussianMixture, weak_errors
from toy_models.convergence import plan_response


def exercise_1() -> Key:
    """The log-SNR of rectified flow."""
    right = float(RectifiedFlow().log_snr(0.2))
    return Key(
        right,
        (
            (-right, "that is log(sigma/alpha); alpha belongs above the line"),
            (2 * right, "the log-SNR is half the logarithm of alpha^2/sigma^2"),
            (math.exp(right), "that is alpha/sigma; take its logarithm"),
        ),
        "alpha = 1 - t and sigma = t, and lambda = log(alpha/sigma)",
    )


def exercise_2() -> Key:
    """A denoiser by hand."""
    data = GaussianMixture.scalar([0.5, 0.5], [-1.0, 1.0], [0.5, 0.5])
    state, sigma, c = 0.5, 1.0, 0.25
    narrow = c / (c + sigma**2)
    return Key(
        float(data(torch.tensor([[state]], dtype=torch.float64), sigma)),
        (
            (math.tanh(state), "that is for two points; here each has a spread of variance 1/4"),
            (narrow * state, "that is for one normal at 0; the two means pull as well"),
            (math.tanh(0.4), "that is the mean of the means; the spread of each answers too"),
        ),
        "for each component D_i = (c y + v m_i)/(c + v); weigh them by how likely y is under N(m_i, c + v)",
    )


def _w2(tableau: Tableau, steps: int) -> float:
    data, ends = Gaussian.scalar(0.25), (80.0, 0.002)
    plan = make_plan(tableau, uniform_log_snr(*ends, steps))
    return float(weak_errors(plan_response(plan, data), data, *ends).norm())


def exercise_3() -> Key:
    """From where on a slip is seen."""
    exact = method("seeds-2")
    slip = replace(exact, name="slip", weights=tuple(sp.Rational(5, 4) * w for w in exact.weights))
    counts = (5, 10, 20, 40, 80, 160, 320)
    right = next(n for n in counts if _w2(exact, n) < _w2(slip, n))
    return Key(
        right,
        (
            (right // 2, "there the method with the slip is still the better one"),
            (2 * right, "the right method is better before that"),
            (counts[0], "at few steps the slip is lucky: this is why a picture does not show it"),
        ),
        "make both plans at each number of steps and compare their W2 errors",
    )

"""Exercises of the chapter on behaviour at long steps."""

from __future__ import annotations

import math

import sympy as sp
import torch

from proofs_checks.exercises.answers import Key
from proofs_checks.growth import relative_gain
from seeds_theory import make_plan, method
from seeds_theory.noise import h
from toy_models import Gaussian, GaussianMixture


def exercise_1() -> Key:
    """The mean of one long step."""
    data = GaussianMixture.scalar([0.3, 0.7], [-1.0, 1.0], [0.2, 0.2])
    state = torch.tensor([0.2], dtype=torch.float64)
    row = make_plan("seeds-1", [1.0, 1 / math.e]).steps[0].rows[0]
    mean = row.state * state + row.drift[0] * data(state[None], 1.0)[0]
    return Key(
        round(float(mean - data.transition(state, 1.0, 1 / math.e).mean), 12),
        (
            (-2, "that is the exponent; the claim is about the mean given the state"),
            (1, "a step of length 1 is long, and still nothing is wrong with the mean"),
        ),
        "the denoiser is a martingale at eta = 1: its mean over the step is its value at the start",
    )


def exercise_2() -> Key:
    """The spread of one long step."""
    data, start, stop = Gaussian.scalar(1.0), 1.0, 0.5
    row = make_plan("seeds-1", [start, stop]).steps[0].rows[0]
    _, exact = data.transition(data.mean[None], start, stop, eta=1.0)
    return Key(
        float(exact) - row.noise[0] ** 2,
        (
            (
                (3 / 4) ** 2,
                "that is without K = c v/(c + v), the variance of the data given the state",
            ),
            (3 / 4 * 0.5, "the factor 1 - e^(-2h) multiplies the data, so its square the variance"),
            (row.noise[0] ** 2, "that is the noise that SEEDS-1 adds"),
        ),
        "(1 - e^(-2h))^2 K with e^(-2h) = 1/4 and K = c v/(c + v) = 1/2",
    )


def exercise_3() -> Key:
    """From which step length on noise prediction amplifies."""
    gain = sp.expand(relative_gain(method("seeds-1")))
    (right,) = sp.solve(sp.Eq(gain, -1), h)
    (zero,) = sp.solve(gain, h)
    return Key(
        right,
        (
            (zero, "there the gain is 0: the deviation is gone in one step, not amplified"),
            (2, "that is e^h - 1, not h"),
        ),
        "in units of the level the gain is e^h (1 - 2 (1 - e^(-h))) = 2 - e^h; when is its size above 1?",
    )

"""Exercises of the chapter on what lies beyond SEEDS."""

from __future__ import annotations

import sympy as sp

from proofs_checks.exercises.answers import Key
from proofs_checks.order_conditions import weak_defects
from seeds_theory import method
from seeds_theory.exact import DATA, eta
from seeds_theory.methods import seeds_2s
from seeds_theory.noise import h
from toy_models import Gaussian, gaussian_study

_SHORT = {eta: 1, h: sp.Rational(1, 10**9)}


def exercise_1() -> Key:
    """The condition at another node."""
    (defect,) = weak_defects(seeds_2s(sp.Rational(1, 2)), DATA, 2)
    return Key(
        defect.value,
        (
            (0, "that is at the node 3/4"),
            (sp.Rational(1, 3), "that is the first term, 2/3 c; the exact weight 1/2 goes off"),
        ),
        "half of w E zeta^2 less half of the mean of E N_l^2: (2/3) c - 1/2",
    )


def exercise_2() -> Key:
    """The law of the stage's noise."""
    stage, end = method("seeds-2s").noises(DATA.noise_rate)
    pairs = ((stage, stage), (stage, end))
    right = tuple(float((a.covariance(b, (h,)) / h).subs(_SHORT).evalf(30)) for a, b in pairs)
    third = 1 / 3
    return Key(
        right,
        (
            ((third, 0.5), "that is the average of W itself; zeta is 3/2 of it"),
            ((0.5, 0.75), "a variance takes the square of the factor 3/2"),
            ((0.75, 0.5), "the covariance takes the factor 3/2 once"),
        ),
        "zeta = M/w, with w = 1/(2c) = 2/3; the average of W has the variance 1/3, and 1/2 with W_1",
    )


def exercise_3() -> Key:
    """Its strong order where the drift is linear."""
    study = gaussian_study(
        "seeds-2s", Gaussian.scalar(1.0), (32, 64, 128, 256), sigma_max=4.0, sigma_min=0.5
    )
    assert study.strong_fit.order is not None
    return Key(
        round(2 * study.strong_fit.order) / 2,
        (
            (1.5, "that is for any smooth denoiser; on Gaussian data it is affine"),
            (1, "that is SEEDS-2: its stage has the noise at its node"),
        ),
        "run `seeds-order seeds-2s`, or `gaussian_study`",
    )

"""Exercises of the chapter on exact solutions."""

from __future__ import annotations

import math

import sympy as sp

from proofs_checks.exercises.answers import Key
from seeds_theory.exact import DATA, eta, lam_s, lam_t
from seeds_theory.noise import deviation, h
from toy_models import Gaussian


def exercise_1() -> Key:
    """What is left of a state after a step."""
    right = DATA.propagator(lam_t, lam_s).subs({eta: 1, lam_s: 0, lam_t: 1})
    return Key(
        right,
        (
            (sp.exp(-1), "that is the ODE's; at eta = 1 the pull is (1 + eta) = 2"),
            (1, "that is noise prediction, which has no linear part"),
        ),
        "the exponential of the integral of A = -(1 + eta) over a length of 1",
    )


def exercise_2() -> Key:
    """The variance of a step's noise."""
    right = sp.simplify((deviation(DATA) ** 2).subs(lam_t, 0).doit())
    return Key(
        right,
        (
            (1 - sp.exp(-2 * h), "that is right at eta = 1 only: the kernel's rate is eta"),
            (
                eta * (1 - sp.exp(-2 * h)),
                "that is DDIM's rule: right at eta = 0 and 1, between them not",
            ),
            (eta * (sp.exp(2 * h) - 1), "that is noise prediction"),
        ),
        "integrate the square of the kernel sqrt(2 eta) e^(-eta x) over the distances x from 0 to h",
    )


def exercise_3() -> Key:
    """The noise of one exact step on Gaussian data."""
    data = Gaussian.scalar(1.0)
    _, variance = data.transition(data.mean[None], 1.0, 0.5, eta=1.0)
    ratio = 1.25 / 2
    return Key(
        float(variance),
        (
            (
                1.25 * (1 - ratio**2),
                "the exponent is eta; 1 + eta is that of the squared propagator",
            ),
            (0.25 * (1 - math.exp(-2 * math.log(2))), "that is for data of variance 0"),
            (1.25, "that is the marginal's variance; part of it comes from the state"),
        ),
        "what the marginal's variance c + t^2 lacks after Phi^2 (c + s^2)",
    )

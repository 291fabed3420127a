"""Exercises of the chapter on policies."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from proofs_checks.exercises.answers import Key
from seeds_theory import kl, make_plan, parse_eta, rollout
from seeds_theory.density import Record
from seeds_theory.eta_schedule import EtaWindows
from seeds_theory.policies import POLICIES
from seeds_theory.sources import silent


def exercise_1() -> Key:
    """A window within a step."""
    window = parse_eta("1:0.3-5")
    assert isinstance(window, EtaWindows)
    return Key(
        window.mean(10.0, 0.1),
        (
            ((5 - 0.3) / (10 - 0.1), "the mean is over the log-SNR, not over the level"),
            (math.log(5 / 0.3), "that is the length of the window; divide by that of the step"),
            (1, "a window that ends within a step counts for its part of it"),
        ),
        "the length of the window over that of the step, both in the log-SNR",
    )


def _zero(x: Tensor, sigma: float) -> Tensor:
    return torch.zeros_like(x)


def _shifted(x: Tensor, sigma: float) -> Tensor:
    return torch.full_like(x, 0.1)


def _record() -> Record:
    start = torch.zeros(1, 3, dtype=torch.float64)
    return rollout(_zero, start, make_plan("seeds-1", [2.0, 1.0]), silent)


def exercise_2() -> Key:
    """The density of a step at its mean."""
    variance = 0.75
    return Key(
        float(_record().log_prob[0, 0]),
        (
            (-0.5 * math.log(2 * math.pi * variance), "the state has three elements"),
            (-1.5 * math.log(2 * math.pi), "the noise has the deviation sqrt(3/4), not 1"),
            (
                -3 * math.log(variance) - 1.5 * math.log(2 * math.pi),
                "the determinant has the deviation, not the variance",
            ),
        ),
        "-d log C - (d/2) log(2 pi) with d = 3 and C = t sqrt(1 - e^(-2h))",
    )


def exercise_3() -> Key:
    """How far two networks are apart in a step."""
    right = float(kl(_zero, _shifted, _record(), checkpointing=False)[0, 0])
    return Key(
        right,
        (
            (2 * right, "the divergence has a factor 1/2"),
            (right / 3, "the state has three elements"),
            (1.5 * 0.01 / 0.75, "a step moves by 1 - e^(-2h) of the estimate, not by all of it"),
        ),
        "half of |w - w'|^2, where w - w' is 0.1 (1 - e^(-2h)) over the deviation, three times",
    )


def exercise_4() -> Key:
    """The eta of a sampler that was written without one."""
    right = POLICIES["cps"].eta(0.5, 2.0, 1.0)
    return Key(
        right,
        (
            (0.25, "the level is no root of eta"),
            (-math.log(math.cos(math.pi / 4)), "that is eta times the length of the step"),
            (1, "that is where the whole noise is new"),
        ),
        "e^(-eta h) = cos(a pi/2): what is kept of the old noise; h = log 2",
    )

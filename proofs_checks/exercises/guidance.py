"""Exercises of the chapter on guidance."""

from __future__ import annotations

import torch

from proofs_checks.exercises.answers import Key
from seeds_theory import guided
from toy_models.guided import GuidedGaussian

_FAR = 1e5
"""Pure noise."""
_DATA = GuidedGaussian(0.25, 1.0, 2.0)


def exercise_1() -> Key:
    """Two ways to count a scale."""
    unit = torch.ones(1, 1, dtype=torch.float64)
    theirs = (1 + 4.0) * 1.0 - 4.0 * 0.0

    def estimate(scale: float) -> float:
        led = guided(lambda x, sigma: unit, scale, against=lambda x, sigma: 0 * unit)
        return float(led(unit, 1.0))

    right = next(scale for scale in range(1, 20) if estimate(float(scale)) == theirs)
    return Key(
        right,
        (
            (4, "at w = 0 theirs is the plain estimate, which is scale 1 here"),
            (3, "the other way round: here one counts one more"),
        ),
        "sort (1 + w) D_c - w D by D and D_c - D",
    )


def exercise_2() -> Key:
    """Where the guided ODE ends."""
    right = _DATA.law(0.0, (0.0, _FAR**2), _FAR)[1]
    sde = _DATA.law(1.0, (0.0, _FAR**2), _FAR)[1]
    return Key(
        right,
        (
            (_DATA.tilted[1], "that is the tilted density, the harmonic mean"),
            (sde, "that is where the SDE ends at eta = 1"),
            (0.25, "that is the class without guidance"),
        ),
        "the geometric mean c^w C^(1 - w) with c = 1/4, C = 1, w = 2",
    )


def exercise_3() -> Key:
    """How much more variety the SDE keeps."""
    ode, sde = (_DATA.law(eta, (0.0, _FAR**2), _FAR)[1] for eta in (0.0, 1.0))
    return Key(
        sde / ode,
        (
            (ode / sde, "the SDE's variance is the larger one, and belongs above the line"),
            (
                _DATA.tilted[1] / ode,
                "that is the tilted density over the ODE, the limit of large eta",
            ),
        ),
        "c (C^2 + C c + c^2)/(3 C^2) over c^2/C, with c = 1/4 and C = 1",
    )

"""The grids and options of EDM's published sampler runs, whose results are in tests/data/edm."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from seeds_theory.baselines.coordinates import Coordinates, LinearBeta
from seeds_theory.grids import rho_grid, uniform_log_snr

OPTIONS = {"S_churn": "churn", "S_min": "s_min", "S_max": "s_max", "S_noise": "s_noise"}
RANGES = {"ve": (0.02, 100.0), "iddpm": (0.002, 81.0), "edm": (0.002, 80.0)}
EVERY_LEVEL = (0.0, math.inf)


def published_grid(
    kind: str, steps: int, t_min: float = 1e-3, known_to: tuple[float, float] = EVERY_LEVEL
) -> tuple[np.ndarray, Coordinates]:
    """The grid of that name in the model's range, and the variance-preserving time for it."""
    ends = RANGES.get(kind) or [
        math.sqrt(math.expm1(0.5 * 19.9 * t**2 + 0.1 * t)) for t in (t_min, 1.0)
    ]
    low, high = max(ends[0], known_to[0]), min(ends[1], known_to[1])
    vp = LinearBeta(high, low, t_min)
    if kind == "vp":
        levels = [vp.level(1 + i / (steps - 1) * (t_min - 1)) for i in range(steps)]
    elif kind == "ve":
        levels = uniform_log_snr(high, low, steps - 1).tolist()
    elif kind == "iddpm":
        known = IDDPM_LEVELS[(low <= IDDPM_LEVELS) & (high >= IDDPM_LEVELS)]
        levels = [known[round((len(known) - 1) / (steps - 1) * i)] for i in range(steps)]
    else:
        levels = rho_grid(high, low, steps, to_zero=True)[:-1].tolist()
    return np.append(levels, 0.0), vp


def iddpm_levels() -> np.ndarray:
    """Improved DDPM's noise levels, descending: u_M = 0, and upwards by its recursion.

    The published sampler computes the ratios in single precision and the rest in double.
    """
    j = torch.arange(1001)
    bar = (0.5 * math.pi * j / 1000 / 1.008).sin() ** 2
    ratios = (bar[:-1] / bar[1:]).clip(min=0.001).double().tolist()
    levels = [0.0]
    for ratio in reversed(ratios):
        levels.append(math.sqrt((levels[-1] ** 2 + 1) / ratio - 1))
    return np.array(levels[::-1])


IDDPM_LEVELS = iddpm_levels()


def published_run(
    settings: dict[str, Any], known_to: tuple[float, float] = EVERY_LEVEL
) -> tuple[np.ndarray, dict[str, Any]]:
    """The grid of a run of either sampler, and its options for `EDM_HEUN`."""
    kind, schedule = settings.get("discretization", "edm"), settings.get("schedule", "linear")
    scaled = settings.get("scaling", "none") == "vp"
    t_min = settings.get("epsilon_s", 1e-3)
    grid, vp = published_grid(kind, settings["num_steps"], t_min, known_to)
    options = {ours: settings[name] for name, ours in OPTIONS.items() if name in settings}
    return grid, options | {
        "alpha": settings.get("alpha", 1.0),
        "solver": settings.get("solver", "heun"),
        "schedule": replace(vp, scaled=scaled) if schedule == "vp" else schedule,
        "scaled": scaled,
    }

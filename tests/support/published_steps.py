"""The steps of published samplers of reinforcement learning, as their papers have them."""

from __future__ import annotations

import math
from typing import Any


def published_step(
    name: str, x: Any, data: Any, tau: float, r: float, level: float
) -> tuple[Any, float]:
    """Mean and deviation of a step from tau to r, of a state of the flow and an estimate of the data."""
    velocity, step = (x - data) / tau, r - tau
    if name == "flow-sde":
        g = level * math.sqrt(tau / (1 - tau))
        mean = x * (1 + g**2 / (2 * tau) * step)
        mean = mean + velocity * (1 + g**2 * (1 - tau) / (2 * tau)) * step
        return mean, g * math.sqrt(-step)
    if name == "dance-sde":
        score = -(x - (1 - tau) * data) / tau**2
        mean = x + velocity * step - level**2 / 2 * score * step
        return mean, level * math.sqrt(-step)
    if name == "cps":
        deviation = r * math.sin(level * math.pi / 2)
    else:
        ratio = r * (1 - tau) / (tau * (1 - r))
        deviation = r * math.sqrt(1 - ratio ** (level**2))
    noise = x + (1 - tau) * velocity
    return (1 - r) * data + math.sqrt(r**2 - deviation**2) * noise, deviation

"""How many standard errors a figure of draws is from what it ought to be."""

from __future__ import annotations

import math

from torch import Tensor

LIMIT = 4.0
"""Standard errors beyond which a figure is another one."""


def of_squares(total: float, degrees: int) -> float:
    """Of a sum of squares of that many standard normals, by the cube root that makes it nearly normal."""
    part = 2 / (9 * degrees)
    return ((total / degrees) ** (1 / 3) - (1 - part)) / math.sqrt(part)


def of_mean(values: Tensor, expected: float) -> tuple[float, float, float]:
    """The mean of a sample, its standard error, and how many of these it is from what is expected."""
    mean, error = float(values.mean()), float(values.std()) / math.sqrt(len(values))
    return mean, error, (mean - expected) / error if error > 0 else math.inf

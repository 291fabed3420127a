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


def correlation(values: Tensor) -> tuple[float, float]:
    """The mean squared correlation of pairs of columns, over that of independent ones, and how far it is off.

    Of N independent rows it is 1/(N - 1), whatever the columns' law, and their sum nearly a sum of squares of
    standard normals, one for each pair. One column has no pairs: 1 and 0.

    values : (N, n). The second result is in standard errors.
    """
    number, columns = values.shape
    if columns == 1:
        return 1.0, 0.0
    unit = values - values.mean(0)
    unit = unit / unit.norm(dim=0)
    gram = unit.T @ unit if columns < number else unit @ unit.T  # of the same sum of squares
    total = (float(gram.square().sum()) - columns) / 2 * (number - 1)
    pairs = columns * (columns - 1) // 2
    return total / pairs, of_squares(total, pairs)


def of_mean(values: Tensor, expected: float) -> tuple[float, float, float]:
    """The mean of a sample, its standard error, and how many of these it is from what is expected."""
    mean, error = float(values.mean()), float(values.std()) / math.sqrt(len(values))
    return mean, error, (mean - expected) / error if error > 0 else math.inf

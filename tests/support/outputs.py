"""What a network of perfect training returns, by the name of its prediction."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

OUTPUTS: dict[str, Callable[..., Tensor]] = {
    "data": lambda x, d, a, s: d,
    "noise": lambda x, d, a, s: (x - a * d) / s,
    "score": lambda x, d, a, s: (a * d - x) / s**2,
    "v": lambda x, d, a, s: a * (x - a * d) / s - s * d,
    "flow": lambda x, d, a, s: (x - a * d) / s - d,
}
"""Of the state x, the posterior mean d, alpha and sigma."""

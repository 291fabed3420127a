r"""The grids of the audit, between two noise levels: even in log-SNR, and uneven.

Errors of equal steps can cancel: one step's against the next one's, or over the whole way. The uneven grid
has steps of two lengths in turn, h, 2h, h, 2h, ..., each three times as long at the end as at the start, so
that neither happens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from seeds_theory.grids import uniform_log_snr

Grid = Callable[[float, float, int], list[float]]
"""Of a first and a last noise level and a number of steps, the levels."""

_STRETCH = 3.0


def even(sigma_max: float, sigma_min: float, steps: int) -> list[float]:
    """Equal steps in log-SNR."""
    return uniform_log_snr(sigma_max, sigma_min, steps).tolist()


def stretched(sigma_max: float, sigma_min: float, steps: int) -> list[float]:
    """Steps that grow smoothly, to three times their length: neighbours are nearly equal."""
    return _stretch(sigma_max, sigma_min, np.linspace(0.0, 1.0, steps + 1))


def uneven(sigma_max: float, sigma_min: float, steps: int) -> list[float]:
    """Steps of two lengths in turn, growing along the way; an even number of them."""
    pattern = np.cumsum([0.0, *([1.0, 2.0] * (steps // 2))]) / (3 * (steps // 2))
    return _stretch(sigma_max, sigma_min, pattern)


def shifted(levels: Sequence[float], shift: float) -> list[float]:
    """All levels by that share higher, and all steps in log-SNR by that share longer."""
    return (
        [float(level) ** (1 + shift) * (1 + shift) for level in levels] if shift else list(levels)
    )


def _stretch(sigma_max: float, sigma_min: float, parts: np.ndarray) -> list[float]:
    stretched_parts = (_STRETCH**parts - 1) / (_STRETCH - 1)
    return [float(s) for s in sigma_max * (sigma_min / sigma_max) ** stretched_parts]

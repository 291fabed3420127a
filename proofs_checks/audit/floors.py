"""Why errors end at a floor: levels or states in a shorter format, or the start of the run; or not known.

Each cause has a test of its own, and is named only if that test finds it.
"""

from __future__ import annotations

import torch

from proofs_checks.audit.measure import Measurement, grid
from proofs_checks.audit.protocol import Target
from proofs_checks.audit.rounding import FORMATS, rounded_levels, rounded_states

_STEPS_OF_LAW = 128
_FLOOR_OF = 300.0
"""A floor of errors is rounding of a format if it is at most this many of its units."""


def cause_of_floor(target: Target, floor: float) -> str | None:
    """What keeps errors from falling below `floor`; None if no test tells."""
    levels = rounded_levels(target)
    if levels and _is_of(levels, floor):
        return f"the model is called at levels rounded to {levels}"
    states = rounded_states(target)
    if states and _is_of(states, floor):
        return f"its states are rounded to {states}"
    if _starts_up(target):
        return "it is made in the first steps, before there are estimates to use"
    return None


def _is_of(name: str, floor: float) -> bool:
    return floor < _FLOOR_OF * torch.finfo(FORMATS[name]).eps


def _starts_up(target: Target) -> bool:
    """Whether shorter first steps, with the same steps later, take most of the error away."""
    plain = grid(_STEPS_OF_LAW)
    first, second = plain[:2]
    finer = [first * (second / first) ** (i / 16) for i in range(16)] + plain[1:]
    return _law_error(target, finer) < 0.2 * _law_error(target, plain)


def _law_error(target: Target, levels: list[float]) -> float:
    steps = len(levels) - 1
    measured = Measurement(target, (steps,), lambda _: levels)
    return float(measured.law_errors(measured.map(steps)).norm())

"""Why errors end at a floor: levels or states in a shorter format, or the start of the run; or not known.

Each cause has a test of its own, and is named only if that test finds it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from proofs_checks.audit.affine import LinearModel, Recorder
from proofs_checks.audit.measure import MEANS, SIGMA_MAX, VARIANCES, Measurement, grid
from proofs_checks.audit.protocol import Target, call

_STEPS, _STEPS_OF_LAW = 24, 128
_FORMATS = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
_FLOOR_OF = 300.0
"""A floor of errors is rounding of a format if it is at most this many of its units."""


def cause_of_floor(target: Target, floor: float) -> str | None:
    """What keeps errors from falling below `floor`; None if no test tells."""
    levels = _rounded_levels(target)
    if levels and floor < _FLOOR_OF * torch.finfo(_FORMATS[levels]).eps:
        return f"the model is called at levels rounded to {levels}"
    states = _rounded_states(target)
    if states and floor < _FLOOR_OF * torch.finfo(_FORMATS[states]).eps:
        return f"its states are rounded to {states}"
    if _starts_up(target):
        return "it is made in the first steps, before there are estimates to use"
    return None


def _run(
    target: Target, levels: list[float], x: Tensor, model: LinearModel | None = None
) -> Tensor:
    given = model or LinearModel(MEANS, VARIANCES)
    sigmas = torch.tensor(levels, dtype=torch.float64)
    return call(target, given, x, sigmas, Recorder()).double()


def _start(factor: float = 1.0) -> Tensor:
    deviation = (VARIANCES + SIGMA_MAX**2).sqrt()
    return (factor * deviation)[None, :, None, None]


def _rounded_levels(target: Target) -> str | None:
    """The shortest format that holds all levels of the model calls, if it holds the grid's not."""
    model = LinearModel(MEANS, VARIANCES)
    levels = grid(_STEPS)
    _run(target, levels, _start(), model)
    asked = torch.tensor(model.levels, dtype=torch.float64)
    for name, dtype in _FORMATS.items():
        if (asked.to(dtype).double() == asked).all():
            return name
    return None


def _rounded_states(target: Target) -> str | None:
    """The format in which a change of the start by a twentieth of its unit is lost, in most coordinates."""
    levels = grid(_STEPS)
    at = _run(target, levels, _start())
    gain = (_run(target, levels, _start(2.0)) - at) / at.abs().clamp(min=1e-300)
    for name, dtype in _FORMATS.items():
        tiny = 0.05 * torch.finfo(dtype).eps
        moved = (_run(target, levels, _start(1 + tiny)) - at) / at.abs().clamp(min=1e-300)
        if (moved == 0).double().mean() > 0.5 and (gain != 0).all():
            return name
    return None


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

"""What a sampler rounds inside, and how far that carries its results.

A change far below single precision is lost, or is not: that tells whether anything is rounded. What rounding
does to a result is then measured. All levels and all steps are changed by one small share: the errors of a
method stay nearly what they are, while every number is rounded otherwise. What the results scatter by is
rounding; an error that they all share is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from proofs_checks.audit.affine import LinearModel, Recorder
from proofs_checks.audit.grids import even, shifted
from proofs_checks.audit.protocol import SamplerFailure, Target, call

FORMATS = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}

SHIFTS = (-0.93e-3, -0.62e-3, -0.21e-3, 0.27e-3, 0.55e-3, 0.88e-3)
"""Of all levels and steps, relative: more than the rounding of a level, also of one from alpha^2 near 1."""

_EXPLAINED = 4.0
"""An error below this many root mean square scatters is what rounding explains."""

MOST = 3e-4
"""No error above it is explained by single precision: it is a fault, whatever it comes of."""

_SMALL, _LARGE = 3e-9, 1e-5
"""Relative changes: one that single precision does not see, and one that it does."""

_LOST = 1e-5
"""What a change is off by, in the result and for each unit of the change, if it is lost."""

_FOLLOWED = 5e-5
"""A relative change of levels that half precision does not follow."""

HIGHEST = 1e4
"""A first level above it is infinite to the sampler, or nearly."""

_STEPS = 24
_START = 20.0
_VARIANCES = torch.tensor([0.01, 0.3, 10.0], dtype=torch.float64)


def rounds_inside(target: Target) -> bool:
    """Whether levels, coefficients or states are rounded to single precision or less.

    A small change of the state, and of the levels if they are given, has to change the result in proportion,
    as a larger one does; and the model is not only called at numbers of single precision.
    """
    if target.levels and target.levels(_STEPS)[0] > HIGHEST:
        return True  # in what a flow is at an infinite level, digits of the states get lost
    try:
        return (
            _holds(torch.float32, _calls(target))
            or _loses(lambda share: _end(target, state=share))
            or (target.levels is None and _loses(lambda share: _end(target, level=share)))
        )
    except SamplerFailure:  # another check says so
        return True


def rounds_to_single(target: Target) -> bool:
    """Whether that is single precision, no shorter format or table, on grids that can be shifted."""
    return (
        target.levels is None
        and rounds_inside(target)
        and _follows(target)
        and rounded_states(target) in (None, "float32")
    )


def rounded_levels(target: Target) -> str | None:
    """The shortest format that holds all levels of the model calls, if it holds the grid's not."""
    asked = _calls(target)
    return next((name for name, dtype in FORMATS.items() if _holds(dtype, asked)), None)


def rounded_states(target: Target) -> str | None:
    """The format in which a change of the start by a twentieth of its unit is lost, in most coordinates."""
    at, doubled = _end(target), _end(target, state=1.0)
    for name, dtype in FORMATS.items():
        moved = _end(target, state=0.05 * torch.finfo(dtype).eps) != at
        if moved.double().mean() < 0.5 and (doubled != at).all():
            return name
    return None


def explained(value: Callable[[float], np.ndarray]) -> float:
    """The largest norm of a result that its scatter explains; `value` gives it by the shift of the levels."""
    values = np.stack([value(shift).ravel() for shift in SHIFTS])
    return _EXPLAINED * math.sqrt(values.var(axis=0, ddof=1).sum())


def _loses(end: Callable[[float], Tensor]) -> bool:
    plain = end(0.0)
    slow, fast = ((end(share) - plain) / share for share in (_SMALL, _LARGE))
    lost = float((slow - fast).abs().max())
    if not fast.any():
        return True  # so is the larger change
    return lost > _LOST * float(plain.abs().max()) and lost > 0.3 * float(fast.abs().max())


def _end(
    target: Target, state: float = 0.0, level: float = 0.0, model: LinearModel | None = None
) -> Tensor:
    """The end of a run whose start, or whose levels after it, are changed by that share."""
    levels = torch.tensor(_levels(target), dtype=torch.float64)
    if level:  # by shares of it, so that no errors cancel
        levels[1:] *= 1 + level * torch.linspace(0.3, 1.2, len(levels) - 1, dtype=torch.float64)
    return _run(target, levels, state, model)


def _calls(target: Target, shift: float = 0.0) -> Tensor:
    model = LinearModel(torch.zeros_like(_VARIANCES), _VARIANCES)
    levels = torch.tensor(shifted(_levels(target), shift), dtype=torch.float64)
    _run(target, levels, model=model)
    return torch.tensor(model.levels, dtype=torch.float64)


def _levels(target: Target) -> list[float]:
    return target.levels(_STEPS) if target.levels else even(_START, 0.02, _STEPS)


def _run(
    target: Target, levels: Tensor, state: float = 0.0, model: LinearModel | None = None
) -> Tensor:
    x = torch.full((1, len(_VARIANCES), 1, 1), _START * (1 + state), dtype=torch.float64)
    given = model or LinearModel(torch.zeros_like(_VARIANCES), _VARIANCES)
    return call(target, given, x, levels, Recorder()).double()


def _holds(dtype: torch.dtype, numbers: Tensor) -> bool:
    return bool((numbers.to(dtype).double() == numbers).all())


def _follows(target: Target) -> bool:
    """Whether most calls of the model move with the levels, by less than half precision or a table shows."""
    plain, moved = _calls(target), _calls(target, _FOLLOWED)
    if len(plain) != len(moved):
        return False
    expected = torch.tensor(shifted(plain.tolist(), _FOLLOWED), dtype=torch.float64)
    follow = (moved - expected).abs() < 0.5 * (expected - plain).abs()
    return bool(follow.double().mean() > 0.5)

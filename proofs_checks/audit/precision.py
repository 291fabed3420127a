"""Whether a sampler loses digits inside: what a change far below single precision does to its result."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from proofs_checks.audit.affine import LinearModel, Recorder
from proofs_checks.audit.grids import even
from proofs_checks.audit.protocol import SamplerFailure, Target, call

_SMALL, _LARGE = 3e-9, 1e-5
"""Relative changes: one that single precision does not see, and one that it does."""

_LOST = 1e-5
"""What a change is off by, in the result and for each unit of the change, if it is lost."""

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
            _single(_calls(target))
            or _loses(lambda share: _end(target, state=share))
            or (target.levels is None and _loses(lambda share: _end(target, level=share)))
        )
    except SamplerFailure:  # another check says so
        return True


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
    own = target.levels(_STEPS) if target.levels else even(_START, 0.02, _STEPS)
    levels = torch.tensor(own, dtype=torch.float64)
    if level:  # by shares of it, so that no errors cancel
        levels[1:] *= 1 + level * torch.linspace(0.3, 1.2, len(own) - 1, dtype=torch.float64)
    x = torch.full((1, len(_VARIANCES), 1, 1), _START * (1 + state), dtype=torch.float64)
    given = model or LinearModel(torch.zeros_like(_VARIANCES), _VARIANCES)
    return call(target, given, x, levels, Recorder()).double()


def _calls(target: Target) -> Tensor:
    model = LinearModel(torch.zeros_like(_VARIANCES), _VARIANCES)
    _end(target, model=model)
    return torch.tensor(model.levels, dtype=torch.float64)


def _single(numbers: Tensor) -> bool:
    return bool((numbers.float().double() == numbers).all())

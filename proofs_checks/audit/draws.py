"""Intercepted draws: every normal number that torch draws, answered by the audit instead.

Code that takes no noise sampler is examined unmodified: while the mode is on, ``torch.randn``,
``randn_like``, ``normal`` and ``normal_`` ask a function for their values. A draw is known by the state of
its generator, so two draws from one state are the same random number, as they are in truth: a tree
that recomputes a node from its seed, or a sampler that seeds its generator twice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

Answer = Callable[[int, Tensor], Tensor]
"""Given the number of a draw and a tensor of its shape, dtype and device, its values."""

_STANDARD = (torch.randn, torch.randn_like)
_SCALED = (torch.normal, Tensor.normal_)


class RefusedDraw(Exception):
    """A draw that no source of noise for these states can answer; says why."""


class _Interception(TorchFunctionMode):
    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer
        self._known: dict[bytes, int] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _STANDARD + _SCALED:
            return func(*args, **kwargs)
        generator = kwargs.get("generator") or torch.default_generator
        state = generator.get_state()
        number = self._known.setdefault(state.numpy().tobytes(), len(self._known))
        drawn = func(*args, **kwargs)
        # Move on by a fixed amount: a run with more samples then meets the same states.
        generator.set_state(state)
        torch.empty(16, device=generator.device).normal_(generator=generator)
        values = self._answer(number, drawn)
        if func in _SCALED:
            given = [*args[func is Tensor.normal_ :], 0.0, 1.0][:2] if args else [0.0, 1.0]
            mean, deviation = kwargs.get("mean", given[0]), kwargs.get("std", given[1])
            values = mean + deviation * values
        return drawn.copy_(values) if func is Tensor.normal_ else values


@contextlib.contextmanager
def intercepted_draws(answer: Answer) -> Iterator[None]:
    """Answer all normal draws of torch in this block."""
    with _Interception(answer):
        yield

"""What a repository's code runs on: the audit's model, its type of numbers, a machine without a card."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from proofs_checks.audit.peers.counted import CountedModel, calls_a_step
from proofs_checks.audit.protocol import Model


class Estimates(CountedModel):
    """The model in a run, as code calls it, which may be left where the grid ends.

    Parameters
    ----------
    model, sigmas, extra_args, callback : of the protocol.
    count : of calls a step.
    """

    def __init__(
        self, model: Model, sigmas: Tensor, extra_args: Any, callback: Any, count: int = 1
    ) -> None:
        super().__init__(model, sigmas, extra_args, callback, calls_a_step(count))
        self._stops = False
        self.state = sigmas.new_empty(0)
        """States x of the last call."""

    def __call__(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """The denoised states at a noise level, which is a number or the same one for each sample."""
        self.state = x
        if self._stops and self.arrives:
            raise _Arrived
        return super().__call__(x, torch.as_tensor(sigma).reshape(-1)[0])

    def until_the_end(self, run: Callable[[], Tensor]) -> Tensor:
        """The states at the last level, of a run whose last step always goes to 0.

        On a grid that does not end there, the run is on one with 0 after it, `with_zero`, and is left when it
        asks for the estimate at the last level.
        """
        self._stops = bool(self._sigmas[-1] > 0)
        try:
            return run()
        except _Arrived:
            return self.state


class _Arrived(Exception):
    """The run is at the last level."""


def with_zero(sigmas: Tensor) -> Tensor:
    """The levels, and 0 after them if it is not there."""
    return sigmas if sigmas[-1] == 0 else torch.cat([sigmas, sigmas.new_zeros(1)])


@contextlib.contextmanager
def numbers_of(x: Tensor) -> Iterator[None]:
    """Make the type of the states torch's default, which tables and grids are made in that name no type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(x.dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def quiet(module: ModuleType) -> ModuleType:
    """The module without what it prints and without its progress bars."""
    vars(module)["print"] = lambda *_, **__: None
    if "tqdm" in vars(module):
        vars(module)["tqdm"] = lambda steps, **_: steps
    return module


class OnTheHost(TorchFunctionMode):
    """Leaves tensors where they are that code moves to ``cuda``."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is Tensor.cuda or (func is Tensor.to and args[1:] == ("cuda",)):
            return args[0]
        return func(*args, **(kwargs or {}))


class Unclamped(TorchFunctionMode):
    """Leaves out clamps to [-1, 1], the range of images, as the audit's data have none."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (torch.clamp, Tensor.clamp, Tensor.clamp_):
            limits = (*args[1:], *(kwargs[name] for name in ("min", "max") if name in kwargs))
            if all(isinstance(limit, int | float) for limit in limits) and limits == (-1, 1):
                return args[0]
        return func(*args, **kwargs)

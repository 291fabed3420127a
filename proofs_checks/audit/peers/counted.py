"""The model with a count of its calls, by which code that has no callback of its own reports its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from proofs_checks.audit.peers import at_level, report
from proofs_checks.audit.protocol import Model


def calls_a_step(count: int) -> Callable[[int], int]:
    """Of a step's number, how many calls there are before it, with as many in every step."""
    return lambda step: count * step


class CountedModel:
    """The denoised state at one level for all samples, reported where a step begins.

    Parameters
    ----------
    model, sigmas, extra_args, callback : the protocol's.
    begin : of a step's number, how many calls there are before it.
    """

    def __init__(
        self,
        model: Model,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        begin: Callable[[int], int],
    ) -> None:
        self._model, self._extra_args, self._callback = model, extra_args, callback
        self._sigmas, self._begin, self._steps = sigmas, begin, 0
        self._count, self.calls = len(sigmas) - 1, 0

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The estimate for a state x / alpha."""
        denoised = at_level(self._model, x, sigma, self._extra_args)
        if self.begins_step and self._steps < self._count:
            start = self._sigmas[self._steps]
            report(self._callback, self._steps, x, start, denoised, sigma_hat=sigma)
            self._steps += 1
        self.calls += 1
        return denoised

    @property
    def begins_step(self) -> bool:
        """Whether the next call is at the start of a step, or at the end of the last one."""
        return self.calls == self._begin(self._steps)

    @property
    def arrives(self) -> bool:
        """Whether the next call is at the end of the last step."""
        return self._steps == self._count and self.begins_step

"""The one convention of steps with a log-density, and the network that the audit gives them.

.. code-block:: python

    step(network, x, t, t_next, action=None) -> (next_x, log_prob)

``network(x, t)`` has the shape and type of x; what it means, and what t is, is the step's own affair: a noise
level, a time of a flow. Without an action the step draws the next state, from torch's random numbers; with
one it takes that as the next state and draws nothing. ``log_prob``, of shape (batch,), is the log-density of
the next state, as it is returned, given x, differentiable in what the network returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from seeds_theory.sources import seeded_generator

Step = Callable[..., Any]


class StepFailure(Exception):
    """What a step did instead of returning states and their log-densities; the audit reports it."""


@dataclass(frozen=True, eq=False)
class Network:
    """A smooth function of state and time, that can be bent: the old and the new network of a policy.

    Parameters
    ----------
    pattern : what is in it of each element. direction : what bending adds to its values.
    bend : how much of the direction, a number or a tensor of one with a gradient.
    """

    pattern: Tensor
    direction: Tensor
    bend: Tensor | float = 0.0

    @classmethod
    def seeded(cls, event: Sequence[int], seed: int = 0) -> Network:
        """One for states of that event shape."""
        generator = seeded_generator(seed, 41)
        pattern, direction = torch.randn(2, *event, generator=generator, dtype=torch.float64)
        return cls(pattern, direction / direction.norm())

    def bent(self, bend: Tensor | float) -> Network:
        """The same network with another bend."""
        return replace(self, bend=bend)

    def __call__(self, x: Tensor, t: Any, *_: Any, **__: Any) -> Tensor:
        """Its values at states (batch, *event)."""
        time = torch.as_tensor(t, dtype=x.dtype, device=x.device).reshape(-1)[0]
        values = 0.5 * torch.tanh(x) + torch.cos(time) * self.pattern.to(x)
        return values + torch.as_tensor(self.bend).to(x) * self.direction.to(x)


@dataclass(frozen=True, eq=False)
class At:
    """One place of a policy: a step, from a state between two times, under a network.

    Parameters
    ----------
    step : the step under audit. network : its network.
    x : one state, (1, *event). t, t_next : where it goes from and to.
    """

    step: Step
    network: Network
    x: Tensor
    t: float
    t_next: float

    def drawn(self, rows: int) -> tuple[Tensor, Tensor]:
        """That many next states and their log-densities, without gradients, float64 apart from their bits."""
        with torch.no_grad():
            return self(None, rows)

    def log_prob(self, actions: Tensor, bend: float = 0.0) -> Tensor:
        """The log-densities of these next states, (batch,), perhaps of a bent network; without gradients."""
        with torch.no_grad():
            return self(actions, len(actions), bend)[1]

    def __call__(
        self, actions: Tensor | None, rows: int, bend: Tensor | float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Take the step with a batch of that many rows, all from the one state.

        Raises
        ------
        StepFailure : it raises, or returns something else than states and their log-densities.
        """
        x = self.x.expand(rows, *self.x.shape[1:]).clone()
        network = self.network.bent(bend)
        action = None if actions is None else actions.clone()
        try:
            result = self.step(network, x, self.t, self.t_next, action)
        except Exception as error:
            raise StepFailure(f"raises {type(error).__name__}: {error}") from error
        return _checked(result, rows)


def _checked(result: Any, rows: int) -> tuple[Tensor, Tensor]:
    if not isinstance(result, tuple) or len(result) < 2:
        raise StepFailure(f"returns {type(result).__name__}, and not (next_x, log_prob)")
    state, density = result[:2]
    if not isinstance(state, Tensor) or not isinstance(density, Tensor):
        raise StepFailure("returns no tensors as next state and log-density")
    if len(state) != rows:
        raise StepFailure(f"returns {len(state)} states for {rows}")
    if density.shape != (rows,):
        raise StepFailure(
            f"returns log-densities of shape {tuple(density.shape)} for {rows} states: there is one of each"
        )
    if not bool(state.isfinite().all()) or not bool(density.isfinite().all()):
        raise StepFailure("returns states or log-densities that are not finite")
    return state, density

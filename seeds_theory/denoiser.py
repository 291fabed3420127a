r"""Denoisers: :math:`D(x, \sigma) \approx E[x_0 \mid x_0 + \sigma\varepsilon = x]`, by formula or network.

The loop knows nothing else of a model: a Gaussian, a mixture and a network look the same to it. At an
infinite noise level the state passed is the unit noise itself, the limit of x / sigma.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from seeds_theory.errors import DenoiserError, ParameterError
from seeds_theory.forms import DIFFUSERS_NAMES, require_prediction, skip_and_out
from seeds_theory.schedule import DiscreteSchedule, Schedule, VarianceExploding

Network = Callable[..., Any]
"""A network: scaled states ``(batch, *event)``, times ``(batch,)`` and a condition, if there is one, to
outputs shaped like the states.

The entries of a condition that is a dictionary are keyword arguments. Outputs may be in what other libraries'
networks return: an object with ``.sample``, a dictionary with "sample", or a tuple that begins with them.
"""


class Denoiser(Protocol):
    """The protocol of a model."""

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """The estimate of the data given states ``(batch, *event)`` at noise level sigma, shaped like x."""
        ...


@dataclass(frozen=True)
class NetworkDenoiser:
    """A network trained on some schedule to predict something, as a denoiser.

    Parameters
    ----------
    network : called as ``network(alpha * x, t)``, in the schedule's coordinates; with a condition as
        ``network(alpha * x, t, condition)``, or with its entries as keyword arguments if it is a dictionary.
    schedule : the schedule it was trained on; its time is what the network is given.
    predicts : "data" (x0), "noise" (eps), "v", "flow" (velocity of rectified flow) or "score"; or a name of
        diffusers, as "v_prediction".
    round_time : give the network whole timesteps, the nearest ones (default for `DiscreteSchedule`).
    time_dtype : of the times; by default that of the states, float32 at least. A network that looks them up
        in a table, as ``torch.nn.Embedding`` does, takes ``torch.int64``.
    learned_variance : the network returns a variance too, in as many channels again, which is left out.
    """

    network: Network
    schedule: Schedule = field(default_factory=VarianceExploding)
    predicts: str = "noise"
    round_time: bool | None = None
    time_dtype: torch.dtype | None = None
    learned_variance: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "predicts", DIFFUSERS_NAMES.get(self.predicts, self.predicts))
        require_network(self.network)
        if not isinstance(self.schedule, Schedule):
            raise ParameterError(
                "a schedule is one such as RectifiedFlow(), or DiscreteSchedule(table); got "
                f"{type(self.schedule).__name__}"
            )
        require_prediction(self.predicts)
        if self.predicts == "F":
            raise ParameterError("an 'F' prediction has scalings of its own: use EDMDenoiser")

    def __call__(self, x: Tensor, sigma: float, *condition: Any) -> Tensor:
        """Evaluate the network at the time of this noise level and convert its output."""
        highest = self.schedule.highest_level  # a float32 grid may round it up
        reached = 0 <= sigma <= highest * (1 + 1e-6) or sigma == self.schedule.noise_level(
            self.schedule.t_max
        )
        t = float(self.schedule.time(sigma)) if reached else math.inf
        if not math.isfinite(t):
            raise ParameterError(
                f"{type(self.schedule).__name__} has no time for the noise level {sigma:g}: start the grid "
                f"at sigma_max={highest:.8g} or below"
            )
        rounds = isinstance(self.schedule, DiscreteSchedule)
        if rounds if self.round_time is None else self.round_time:
            t = float(round(t))
        alpha, spread = _coefficients(sigma, self.schedule, t)
        state = x * alpha if math.isfinite(sigma) else x * spread
        times = torch.full((len(x),), t, dtype=self.time_dtype or _time_dtype(x), device=x.device)
        skip, out = skip_and_out(self.predicts, alpha, spread)
        returned = evaluate(self.network, state, times, *condition)
        output = output_of(returned, x, learned_variance=self.learned_variance)
        return out * output if skip == 0 else skip * state + out * output


def require_network(network: object) -> None:
    """A network can be called: raises ParameterError."""
    if not callable(network):
        raise ParameterError(f"a network is a function of x and t; got {type(network).__name__}")


def _coefficients(sigma: float, schedule: Schedule, t: float) -> tuple[float, float]:
    """(alpha, sigma) with exactly the ratio asked for, also where t was rounded."""
    alpha = float(schedule.alpha(t))
    return (alpha, alpha * sigma) if math.isfinite(sigma) else (0.0, float(schedule.sigma(t)))


def evaluate(network: Network, state: Tensor, times: Tensor, *condition: Any) -> Any:
    """What the network returns under at most one condition, entries of a dictionary as keywords."""
    if len(condition) == 1 and isinstance(condition[0], Mapping):
        return network(state, times, **condition[0])
    return network(state, times, *condition)


def sample_in(returned: Any) -> Any:
    """What a network returned, out of what it is in."""
    if isinstance(returned, Mapping):
        return returned.get("sample")
    if isinstance(returned, Sequence) and len(returned):
        return returned[0]
    return returned if isinstance(returned, Tensor) else getattr(returned, "sample", returned)


def output_of(returned: Any, x: Tensor, *, learned_variance: bool = False) -> Tensor:
    """What a network returned for states x, shaped like them, whatever it is in; raises DenoiserError."""
    output = sample_in(returned)
    # Checked here: broadcasting would give a wrong shape the right one before the loop sees it.
    if not isinstance(output, Tensor):
        raise DenoiserError(
            f"a network returns a tensor {tuple(x.shape)} here, or something with it as sample; got "
            f"{type(returned).__name__}"
        )
    with_variance = x.ndim > 1 and output.shape == (len(x), 2 * x.shape[1], *x.shape[2:])
    if learned_variance and with_variance:
        return output[:, : x.shape[1]]
    if output.shape != x.shape:
        way_out = (
            ": with a learned variance? Then set learned_variance=True" if with_variance else ""
        )
        raise DenoiserError(
            f"a network returns a tensor {tuple(x.shape)} here; got {tuple(output.shape)}{way_out}"
        )
    return output


def _time_dtype(x: Tensor) -> torch.dtype:
    """float32 at least: bfloat16 cannot tell timesteps 999 and 1000 apart."""
    return torch.promote_types(x.dtype, torch.float32)


@dataclass(frozen=True)
class EDMDenoiser:
    r"""EDM's preconditioning (Karras et al. 2022, section 5).

    :math:`D = c_{skip}\,x + c_{out}\,F(c_{in}\,x, c_{noise})`.

    Parameters
    ----------
    network : F, called with ``c_in * x``, ``c_noise = log(sigma) / 4`` of shape ``(batch,)``, and a condition
        as that of a `NetworkDenoiser`.
    sigma_data : standard deviation of the data, 0.5 in EDM.
    """

    network: Network
    sigma_data: float = 0.5

    def __post_init__(self) -> None:
        require_network(self.network)
        if not 0 < self.sigma_data < math.inf:
            raise ParameterError(f"sigma_data is positive and finite; got {self.sigma_data}")

    def __call__(self, x: Tensor, sigma: float, *condition: Any) -> Tensor:
        """Scale, evaluate, and combine."""
        if not 0 < sigma < math.inf:
            raise ParameterError(f"EDM's noise levels are positive and finite; got {sigma}")
        skip, out = skip_and_out("F", 1.0, sigma, self.sigma_data)
        c_in = 1.0 / math.hypot(sigma, self.sigma_data)
        c_noise = torch.full((len(x),), math.log(sigma) / 4, dtype=_time_dtype(x), device=x.device)
        return skip * x + out * output_of(evaluate(self.network, c_in * x, c_noise, *condition), x)

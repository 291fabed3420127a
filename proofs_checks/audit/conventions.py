r"""What samplers outside the audit's protocol call their states, their times and their model's output.

A `Convention` is read from options of a target's name, as in ``file.py:sample?frame=flow&predicts=velocity``.
States are :math:`\alpha x`, where x is the audit's state at the noise level :math:`\sigma`:

======  =====================================  ===============
frame   alpha                                  time, if not said
======  =====================================  ===============
ve      1                                      sigma
vp      :math:`(1 + \sigma^2)^{-1/2}`          sigma
flow    :math:`(1 + \sigma)^{-1}`              flow
======  =====================================  ===============

Here is only what the words mean; `proofs_checks.audit.foreign` runs a sampler by them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from seeds_theory.errors import ParameterError
from seeds_theory.forms import skip_and_out
from seeds_theory.registry import Registry
from seeds_theory.schedule import (
    DiscreteSchedule,
    RectifiedFlow,
    Schedule,
    VariancePreservingCosine,
    VariancePreservingLinear,
    flow_alpha,
    preserving_alpha,
)

Map = Callable[[float], float]


@dataclass(frozen=True)
class Frame:
    """What states are: ``alpha(sigma)`` times x, and the time that is usual with them."""

    alpha: Map
    time: str


FRAMES = Registry(
    "frame",
    {
        "ve": Frame(lambda level: 1.0, "sigma"),
        "vp": Frame(preserving_alpha, "sigma"),
        "flow": Frame(flow_alpha, "flow"),
    },
)
"""The frames by name; each alpha at an infinite noise level is its limit."""


@dataclass(frozen=True)
class Time:
    """How noise levels are written.

    Parameters
    ----------
    time : of a noise level sigma >= 0.
    level : the noise level of a time.
    """

    time: Map
    level: Map

    @property
    def to_data(self) -> bool:
        """Whether it rises from noise to data."""
        return self.time(1.0) > self.time(2.0)

    def times(self, factor: float) -> Time:
        """The same in another unit: what it was, times the factor."""
        return Time(lambda level: factor * self.time(level), lambda t: self.level(t / factor))


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _quotient(value: float, by: float) -> float:
    return value / by if by > 0 else math.inf


def _of_schedule(schedule: Schedule) -> Time:
    return Time(lambda level: float(schedule.time(level)), lambda t: float(schedule.noise_level(t)))


_FLOW = _of_schedule(RectifiedFlow())
_DDPM = DiscreteSchedule(tuple(np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)).tolist()))

TIMES = Registry(
    "time",
    {
        "sigma": Time(lambda level: level, lambda t: t),
        "log-sigma": Time(_log, _exp),
        "log-snr": Time(lambda level: -_log(level), lambda t: _exp(-t)),
        "log-snr-squared": Time(lambda level: -2 * _log(level), lambda t: _exp(-t / 2)),
        "flow": _FLOW,
        "flow-up": Time(lambda level: 1 / (1 + level), lambda t: _quotient(1 - t, t)),
        "alpha-bar": Time(
            lambda level: preserving_alpha(level) ** 2,
            lambda t: math.sqrt(_quotient(1 - t, t)),
        ),
        "angle": Time(math.atan, lambda t: math.tan(t) if t < math.pi / 2 else math.inf),
        "vp-linear": _of_schedule(VariancePreservingLinear()),
        "vp-cosine": _of_schedule(VariancePreservingCosine()),
        "ddpm": _of_schedule(_DDPM),
    },
)
"""Times by name.

``sigma``, its log, and the log of alpha/sigma or of its square; ``flow``, the t of
:math:`(1 - t) x_0 + t z`, and ``flow-up``, 1 - t; ``alpha-bar``, alpha^2 of a variance-preserving state;
``angle``, the arc tangent of sigma; the time in [0, 1] of the linear and the cosine schedule; ``ddpm``, the
index in DDPM's linear table of 1000 levels.
"""

PREDICTIONS = Registry(
    "prediction",
    {"denoised": "data", "noise": "noise", "velocity": "flow", "v": "v", "score": "score"},
)
"""What the sampler's model returns, and its name in `seeds_theory.forms`.

``velocity`` is z - x_0, or x_0 - z where time rises from noise to data; ``v`` that of variance-preserving
states, alpha z - alpha sigma x_0, whatever the frame; ``score`` is that of the states' own law.
"""

ENDS = ("given", "zero", "appends")
"""Where a run ends.

``given``: at the last level of its grid. ``zero``: it insists on a grid that ends at noise level 0.
``appends``: from the last level of its grid it goes on to 0. In both the result is the state of its last
model call at the last positive level. A sampler with a grid of its own says ``zero``, or the noise level.
"""

ARRAYS = ("torch", "numpy", "jax")
ROLES = ("model", "x", "shape", "levels", "steps", "rng")
"""What a sampler may be called with.

``shape`` is that of the states, ``steps`` the number of steps; ``rng`` is jax's key, or a generator.
"""

STEP_NAMES = ("steps", "num_steps", "n_steps", "num_inference_steps", "sampling_steps", "n")

"""Parameters that are taken for the number of steps, if `takes` does not say."""

KEY_NAMES = ("key", "rng")
"""Parameters that are taken for jax's key, likewise."""


def _time(text: str) -> Time:
    name, star, factor = text.partition("*")
    found = TIMES[name]
    if not star:
        return found
    try:
        value = float(factor)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ParameterError(f"a time is a name, or a name*factor as flow*1000; got {text!r}")
    return found.times(value)


def _require_one_of(option: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ParameterError(f"{option} is one of {', '.join(known)}; got {value!r}")


@dataclass(frozen=True)
class Convention:
    """How a sampler differs from the audit's protocol.

    Parameters
    ----------
    frame : what its states are, one of `FRAMES`.
    time : in what its levels are written, one of `TIMES`, perhaps with a factor, as ``flow*1000``; that of
        the frame if not said.
    model_time : in what it tells the model the level, if not the same.
    predicts : what its model returns, one of `PREDICTIONS`.
    ends : where its runs end, see `ENDS`.
    grid : "given", or "own": it takes a number of steps and chooses its levels.
    start : "given", or "own": it is told the shape and draws the first state.
    arrays : "torch", "numpy" or "jax": what it works on.
    takes : its arguments in order, of `ROLES`, as ``x,model,levels``; ``name=role`` for a keyword.

    Raises
    ------
    UnknownNameError, ParameterError : each lists what is known.
    """

    frame: str = "ve"
    time: str | None = None
    model_time: str | None = None
    predicts: str = "denoised"
    ends: str | float = "given"
    grid: str = "given"
    start: str = "given"
    arrays: str = "torch"
    takes: str | None = None

    def __post_init__(self) -> None:
        _ = FRAMES[self.frame], PREDICTIONS[self.predicts]
        _ = self.level_time, self.time_of_model
        _require_one_of("grid", self.grid, ("given", "own"))
        _require_one_of("start", self.start, ("given", "own"))
        _require_one_of("arrays", self.arrays, ARRAYS)
        if self.grid == "given":
            _require_one_of("ends", self.ends, ENDS)
        elif self.ends != "zero" and not (
            isinstance(self.ends, int | float) and 0 < self.ends < math.inf
        ):
            raise ParameterError(
                "with grid=own say where it ends: ends=zero, or its last noise level, as ends=0.002; "
                f"got {self.ends!r}"
            )
        _require_roles(self.arguments((), ()), self)

    @property
    def alpha(self) -> Map:
        """The factor of its states, by noise level."""
        return FRAMES[self.frame].alpha

    @property
    def level_time(self) -> Time:
        """How its levels are written."""
        return _time(self.time or FRAMES[self.frame].time)

    @property
    def time_of_model(self) -> Time:
        """How its model is told the level."""
        return _time(self.model_time) if self.model_time else self.level_time

    def skip_and_out(self, level: float) -> tuple[float, float]:
        """The coefficients of D = skip state + out output at a positive, finite noise level."""
        alpha = self.alpha(level)
        if self.predicts == "v":
            preserving = preserving_alpha(level)
            skip, out = skip_and_out("v", preserving, preserving * level)
            return skip * preserving / alpha, out
        skip, out = skip_and_out(PREDICTIONS[self.predicts], alpha, alpha * level)
        falls = self.predicts == "velocity" and self.level_time.to_data
        return skip, -out if falls else out

    def arguments(
        self, positions: tuple[str, ...], names: tuple[str, ...]
    ) -> tuple[tuple[str, str | None], ...]:
        """The role of each argument, with its keyword or None, for a signature of these parameters."""
        if self.takes:
            pairs = (part.strip().rpartition("=") for part in self.takes.split(","))
            return tuple((role, keyword or None) for keyword, _, role in pairs)
        state = "shape" if self.start == "own" else "x"
        given: list[tuple[str, str | None]] = [("model", None), (state, None)]
        if self.grid == "given":
            given.append(("levels", None))
        else:
            free = [n for n in STEP_NAMES if n in names and n not in positions[:2]]
            given.append(("steps", free[0] if free else None))
        keys = [n for n in KEY_NAMES if n in names] if self.arrays == "jax" else []
        return (*given, *(("rng", name) for name in keys[:1]))


def _require_roles(arguments: tuple[tuple[str, str | None], ...], convention: Convention) -> None:
    roles = [role for role, _ in arguments]
    for role in roles:
        _require_one_of("a role in takes", role, ROLES)
    wanted = {
        "model",
        "shape" if convention.start == "own" else "x",
        "steps" if convention.grid == "own" else "levels",
    }
    if sorted({*roles} - {"rng"}) != sorted(wanted) or len({*roles}) < len(roles):
        raise ParameterError(
            f"takes names each of {', '.join(sorted(wanted))} once here; got {convention.takes!r} "
            "(shape goes with start=own, steps with grid=own)"
        )


OPTIONS = tuple(f.name for f in fields(Convention))
"""The options that are of a convention, unless a sampler has parameters of these names."""


def split_options(
    options: Mapping[str, Any], of_sampler: Set[str]
) -> tuple[Convention, dict[str, Any]]:
    """The convention that options name, and the rest; what the sampler itself takes is its own."""
    ours = {n: v for n, v in options.items() if n in OPTIONS and n not in of_sampler}
    rest = {n: v for n, v in options.items() if n not in ours}
    words = {n: v if n == "ends" else str(v) for n, v in ours.items()}
    return Convention(**words), rest

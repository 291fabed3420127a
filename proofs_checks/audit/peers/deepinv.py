"""deepinv: its SDE solvers on its diffusion processes, from the denoiser, on the times of the given levels.

The ``sde`` is ``edm`` (the time is the level), ``ve`` (its logarithm), ``vp`` (linear beta) or ``flow``;
its ``alpha`` is the audit's eta, and the solvers of DDPM and DDIM have their own. It casts what it gives a
denoiser to single precision; here that stays in double. A score is not defined at the level 0, where only
the ancestral solvers know what to do: with the others a run ends with the estimate at the last positive
level.

What deepinv imports for images and physics, and does not need here, is replaced while it is imported.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from proofs_checks.audit.peers import (
    Adapted,
    defaults,
    imported,
    require_known,
    to_zero_by_estimate,
)
from proofs_checks.audit.peers.checkout import standing_in
from proofs_checks.audit.peers.clocks import flow_time, linear_beta_time
from proofs_checks.audit.peers.counted import CountedModel, calls_a_step
from proofs_checks.audit.peers.precision import InDouble
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options
from seeds_theory.errors import ParameterError

SOLVERS = ("EulerSolver", "HeunSolver", "AncestralSolver", "DDPMSolver", "DDIMSolver")
PROCESSES = ("edm", "ve", "vp", "flow")

_BETA_MIN, _BETA_MAX = 0.1, 20.0
_SIGMA_MIN, _SIGMA_MAX = 0.001, 80.0
_OF_THE_GRID = ("timesteps", "t_start", "t_end", "num_steps", "rng")
_STAND_INS = (
    *("torchvision", "torchvision.transforms", "torchvision.transforms.functional"),
    *("torchvision.utils", "torchvision.datasets", "torchvision.datasets.folder"),
    *("torchvision.datasets.utils", "natsort", "h5py"),
)


def names() -> tuple[str, ...]:
    """All solvers, by the names of their classes."""
    _library()
    return SOLVERS


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A solver by the name of its class; options: of its constructor, ``sde`` and ``alpha``.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "solver of deepinv")
    solver = getattr(_library(), name)
    own = defaults(solver.__init__, without=_OF_THE_GRID)
    keywords: dict[str, Any] = own | {"sde": "edm"}
    if name not in ("DDPMSolver", "DDIMSolver"):
        keywords |= {"alpha": 1.0}
    require_options(name, options, tuple(keywords))
    if options.get("sde", "edm") not in PROCESSES:
        known = ", ".join(PROCESSES)
        raise ParameterError(f"{name}: sde is one of {known}; got {options['sde']!r}")

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        sde: str,
        alpha: float = 1.0,
        **settings: Any,
    ) -> Tensor:
        estimate = CountedModel(
            model, sigmas, extra_args, callback, calls_a_step(2 if name == "HeunSolver" else 1)
        )
        times = _times(sde, sigmas)
        process = _process(
            sde,
            alpha=alpha,
            denoiser=estimate,
            minus_one_one=False,
            solver=solver(times, **settings),
            dtype=x.dtype,
        )
        start = process.scale_t(times[0]) * x
        with InDouble():
            end = process.sample(start)
        return end / process.scale_t(times[-1])

    run = solve if issubclass(solver, _library().AncestralSolver) else to_zero_by_estimate(solve)
    return Adapted(name, run, {**keywords, **options})


@functools.cache
def _library() -> Any:
    before = set(sys.modules)
    with standing_in(_STAND_INS):
        sampling = imported("deepinv.sampling", "deepinv")
    for name in [n for n in sys.modules if n.split(".")[0] == "deepinv" and n not in before]:
        del sys.modules[name]
    return sampling


def _process(sde: str, **common: Any) -> Any:
    """A diffusion process of the library."""
    library = _library()
    if sde == "ve":
        return library.VarianceExplodingDiffusion(
            sigma_min=_SIGMA_MIN, sigma_max=_SIGMA_MAX, **common
        )
    if sde == "vp":
        return library.VariancePreservingDiffusion(beta_min=_BETA_MIN, beta_max=_BETA_MAX, **common)
    if sde == "flow":
        return library.FlowMatching(**common)
    level = {"sigma_t": lambda t: t, "sigma_prime_t": torch.ones_like}
    return library.EDMDiffusionSDE(**level, variance_exploding=True, **common)


def _times(sde: str, sigmas: Tensor) -> Tensor:
    """The times at which that process has the levels."""
    if sde == "ve":
        return (sigmas / _SIGMA_MIN).log() / math.log(_SIGMA_MAX / _SIGMA_MIN)
    if sde == "vp":
        return linear_beta_time(sigmas, _BETA_MIN, _BETA_MAX - _BETA_MIN)
    return flow_time(sigmas) if sde == "flow" else sigmas

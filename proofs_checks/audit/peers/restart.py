"""The official code of Restart sampling, Newbeeer/diffusion_restart_sampling at 8cbcb07:
benchmarks/generate_restart.py.

A descendant of EDM's sampler, driven as that one. ``restart=(t_min, t_max)`` is one restart, once at the
level of the grid nearest to t_min after going down; it spends as many steps as the grid has between the two
levels, so that it is refined with it, and ``S_noise`` scales its noise. The steps of a restart are on its
own grid, of ``rho`` and in single precision. Restart with PFGM++ is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from proofs_checks.audit.peers import Adapted, require_known
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.edm import Network, no_churn_after
from proofs_checks.audit.peers.running import Estimates, numbers_of, with_zero
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

CHECKOUT = Checkout(
    "Newbeeer/diffusion_restart_sampling",
    "8cbcb076330381216b2f60578bb6e381ce182683",
    "benchmarks",
    stand_ins=("torchvision.utils",),
)

_OPTIONS: dict[str, Any] = {
    "restart": (),
    "repeats": 1,
    "rho": 7,
    "S_churn": 0.0,
    "S_min": 0.0,
    "S_noise": 1.0,
}


def names() -> tuple[str, ...]:
    """The one sampler."""
    return ("restart_sampler",)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """The sampler; options: ``restart``, ``repeats`` of it, and others.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "sampler of diffusion_restart_sampling")
    require_options(name, options, tuple(_OPTIONS))
    module = CHECKOUT.module("generate_restart")
    module.dist.print0 = lambda *_: None
    function = module.restart_sampler

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        *,
        restart: tuple[float, ...],
        repeats: int,
        **of_function: Any,
    ) -> Tensor:
        estimates = Estimates(model, sigmas, extra_args, callback, count=2)
        levels = with_zero(sigmas)[:-1]
        plan = ""
        if restart:
            low, high = restart
            between = int(((levels > low) & (levels <= high)).sum())
            plan = json.dumps({"0": [between + 1, repeats, low, high]})
        of_function["S_min"] = no_churn_after(sigmas, of_function["S_min"])
        network = _Network(estimates, levels)
        with numbers_of(x):
            end = function(
                network, x / sigmas[0], num_steps=len(levels), restart_info=plan, **of_function
            )
        # A restart has calls of its own: the end is not known by their number.
        return end if sigmas[-1] == 0 else estimates.state

    return Adapted(name, solve, {**_OPTIONS, **options})


class _Network(Network):
    img_channels = img_resolution = 1
    """Of an image, which only PFGM++ asks for."""

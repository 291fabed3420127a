"""Wan 2.1: its two multistep schedulers for a flow, in the loop that pipelines of diffusers run.

The commit of Wan-Video/Wan2.1 is pinned in `CHECKOUT`. Both classes keep their levels as ``sigmas``, the
times of the flow; the given ones replace them in double precision, as for the schedulers of diffusers. What
a step casts to single precision stays in double.

``set_timesteps`` knows only an end at 0: for another it reads ``alphas_cumprod``, which neither class has.
And the ``dpmsolver`` types refuse an end at 0. So the setting is 0 while the grid is made, and what it was
afterwards; without that neither a grid that ends above 0 nor these types could run at all.

Left out: ``solver_p``, another scheduler as the predictor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from proofs_checks.audit.peers import require_known
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.diffusers import FLOW, scheduled
from proofs_checks.audit.protocol import Sampler

CHECKOUT = Checkout(
    "Wan-Video/Wan2.1", "9737cba9c1c3c4d04b33fcad41c111989865d315", root="wan/utils"
)

MODULES = {
    "FlowDPMSolverMultistepScheduler": "fm_solvers",
    "FlowUniPCMultistepScheduler": "fm_solvers_unipc",
}
"""The schedulers, and the module of each."""


def names() -> tuple[str, ...]:
    """Both schedulers, by the names of their classes."""
    return tuple(MODULES)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A scheduler by the name of its class, with options of its constructor.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "scheduler of Wan")
    scheduler = getattr(CHECKOUT.module(MODULES[name]), name)
    return scheduled(scheduler, replace(FLOW, impose=_impose), options)


def _impose(scheduler: Any, levels: Tensor) -> None:
    ending = scheduler.config.final_sigmas_type
    scheduler.register_to_config(final_sigmas_type="zero")
    FLOW.impose(scheduler, levels)
    scheduler.register_to_config(final_sigmas_type=ending)

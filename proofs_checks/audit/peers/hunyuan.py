"""HunyuanVideo: its one scheduler, Euler's method for a flow, in the loop that pipelines of diffusers run.

The commit of Tencent/HunyuanVideo is pinned in `CHECKOUT`. The class keeps its levels as ``sigmas``, the
times of the flow; the given ones replace them in double precision. What a step casts to single precision
stays in double.

Left out: ``reverse=False``, which counts the time from noise to data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proofs_checks.audit.peers import require_known
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.diffusers import FLOW, scheduled
from proofs_checks.audit.protocol import Sampler

CHECKOUT = Checkout(
    "Tencent/HunyuanVideo",
    "fa14b001c18f37191c938a9ef6baad3b9b472759",
    root="hyvideo/diffusion/schedulers",
)


def names() -> tuple[str, ...]:
    """The scheduler, by the name of its class."""
    return ("FlowMatchDiscreteScheduler",)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """The scheduler, with options of its constructor.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "scheduler of HunyuanVideo")
    module = CHECKOUT.module("scheduling_flow_match_discrete")
    return scheduled(getattr(module, name), FLOW, options)

r"""Precise: the steps that its trainer compares, those of one function ``sde_step_with_logprob``, in a loop.

The commit of Tencent-Hunyuan/Precise is pinned in `CHECKOUT`. Its ``sde_type`` is the name of a step here:
``flow_grpo`` and ``dance_grpo`` are Euler-Maruyama in the time of the flow, as in the repositories of these
names; ``cps`` is that of FlowCPS; ``precise`` solves the SDE of :math:`\eta = a^2 / 2` with the estimate
held, a its ``noise_level``, and ``dance_precise`` likewise that of DanceGRPO's noise, which varies. No noise
has a deviation below 1e-6.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from proofs_checks.audit.densities.protocol import Step
from proofs_checks.audit.peers import imported, require_known
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.trainers import in_a_loop, with_density
from proofs_checks.audit.protocol import Sampler

CHECKOUT = Checkout("Tencent-Hunyuan/Precise", "9a84f91b5acc634fb22f846acecf40b8c55b3350")
_OURS = ("sde_type", "compute_log_prob")
"""Keywords that are chosen here: the name of a step is its first."""


def names() -> tuple[str, ...]:
    """The steps, by the words of ``sde_type``."""
    return ("precise", "dance_precise", "cps", "flow_grpo", "dance_grpo")


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A step in a loop; option: ``noise_level``.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    return in_a_loop(name, _function(name), options, _OURS)


def load_step(name: str, options: Mapping[str, Any]) -> Step:
    """A step with its log-density; option and errors as of `load`."""
    return with_density(name, _function(name), options, _OURS)


def _function(name: str) -> Any:
    require_known(name, names(), "step of Precise")
    imported("diffusers", "diffusers")  # which it imports: its absence is told in our words
    module = CHECKOUT.module("precise_sde.diffusers_patch.sde_with_logprob")
    return functools.partial(module.sde_step_with_logprob, sde_type=name)

r"""flow_grpo: the step of its SDE for a flow, ``sde_step_with_logprob``, in the loop of its pipeline.

The commit of yifan123/flow_grpo is pinned in `CHECKOUT`. Its ``noise_level`` a adds noise of variance
:math:`a^2\,t\,(1 - t)^{-1}\,dt`, which is the SDE of the audit's :math:`\eta = a^2 / 2`.

Left out: the second function of the repository, the ODE of diffusers' own scheduler.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proofs_checks.audit.densities.protocol import Step
from proofs_checks.audit.peers import imported, require_known
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.trainers import in_a_loop, with_density
from proofs_checks.audit.protocol import Sampler

CHECKOUT = Checkout(
    "yifan123/flow_grpo",
    "ac4c86e8cae021841f1fde853d340e0db67690dd",
    root="flow_grpo/diffusers_patch",
)


def names() -> tuple[str, ...]:
    """The step, by the name of its function."""
    return ("sde_step_with_logprob",)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """The step in a loop; option: ``noise_level``.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    return in_a_loop(name, _function(name), options)


def load_step(name: str, options: Mapping[str, Any]) -> Step:
    """The step with its log-density; option and errors as of `load`."""
    return with_density(name, _function(name), options)


def _function(name: str) -> Any:
    require_known(name, names(), "step of flow_grpo")
    imported("diffusers", "diffusers")  # which it imports: its absence is told in our words
    return getattr(CHECKOUT.module("sd3_sde_with_logprob"), name)

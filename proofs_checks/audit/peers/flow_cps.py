r"""FlowCPS: the step of "Coefficients-Preserving Sampling", ``sde_step_with_logprob``, in a loop.

The commit of IamCreateAI/FlowCPS is pinned in `CHECKOUT`; it is a copy of flow_grpo with another step. From t
to r it keeps of the noise what new noise of deviation :math:`d = r \sin(\tfrac\pi2 a)` leaves, a its
``noise_level``. This does not depend on the length of the step, so finer grids have more noise.
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
    "IamCreateAI/FlowCPS",
    "b402c7a3d5b2539e6c42fed6c6c042bab9a1be05",
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
    require_known(name, names(), "step of FlowCPS")
    imported("diffusers", "diffusers")  # which it imports: its absence is told in our words
    return getattr(CHECKOUT.module("sd3_sde_with_logprob"), name)

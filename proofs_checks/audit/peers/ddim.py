r"""The code of DDIM, ermongroup/ddim at e8df66c: functions/denoising.py.

States are :math:`\alpha x`, the network predicts the noise, and the table of betas has a training step for
each positive level, all of which are visited. Both functions always end at 0: on a grid that does not, the
run goes on and the state at the last level is returned. They move tensors to a graphics card, which is left
out, and ``ddpm_steps`` clamps estimates to [-1, 1], the range of images: that too is left out, as the
audit's data have no range.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from proofs_checks.audit.peers import Adapted, require_known
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.clocks import preserving
from proofs_checks.audit.peers.running import (
    Estimates,
    OnTheHost,
    Unclamped,
    numbers_of,
    with_zero,
)
from proofs_checks.audit.peers.schedules import betas
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

CHECKOUT = Checkout("ermongroup/ddim", "e8df66cf02e457719930748b5c26e37e3126dfdd")

FUNCTIONS: dict[str, dict[str, Any]] = {"generalized_steps": {"eta": 0.0}, "ddpm_steps": {}}
"""The samplers, and the options of each with their defaults."""


def names() -> tuple[str, ...]:
    """Both samplers."""
    return tuple(FUNCTIONS)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A sampler; the option ``eta``, of ``generalized_steps``, is the root of the SDE's for small steps.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "sampler of ddim")
    require_options(name, options, tuple(FUNCTIONS[name]))
    function = getattr(CHECKOUT.module("functions.denoising"), name)

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        **of_function: Any,
    ) -> Tensor:
        estimates = Estimates(model, sigmas, extra_args, callback)
        rising = with_zero(sigmas)[:-1].flip(0)

        def predict(state: Tensor, t: Tensor) -> Tensor:
            sigma = rising[t.long()[0]]
            at = state / preserving(sigma)
            return (at - estimates(at, sigma)) / sigma

        start = preserving(sigmas[0]) * x
        with numbers_of(x), OnTheHost(), Unclamped():
            visited, table = range(len(rising)), betas(sigmas)
            return estimates.until_the_end(
                lambda: function(start, visited, predict, table, **of_function)[0][-1]
            )

    return Adapted(name, solve, {**FUNCTIONS[name], **options})

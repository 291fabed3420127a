"""The code of EDM2, NVlabs/edm2 at 4bf8162: the sampler of generate_images.py.

It makes its levels of ``sigma_max``, ``sigma_min`` and ``rho``. With rho = 1 and the grid for both ends, as
tensors, its formula gives just the grid. It always ends at 0: on a grid that does not, the run goes on and
the state at the last level is returned. Guidance, which needs a second network, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from proofs_checks.audit.peers import Adapted, defaults, require_known
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.edm import no_churn_after
from proofs_checks.audit.peers.running import Estimates, numbers_of, with_zero
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

CHECKOUT = Checkout("NVlabs/edm2", "4bf8162f601bcc09472ce8a32dd0cbe8889dc8fc")

_NOT_OPTIONS = ("labels", "gnet", "guidance", "dtype", "randn_like")
_OF_THE_GRID = ("num_steps", "sigma_min", "sigma_max", "rho")


def names() -> tuple[str, ...]:
    """The one sampler."""
    return ("edm_sampler",)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """The sampler, with its options of churn.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "sampler of edm2")
    function = CHECKOUT.module("generate_images").edm_sampler
    keywords = defaults(function, without=(*_NOT_OPTIONS, *_OF_THE_GRID))
    require_options(name, options, tuple(keywords))

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        **churn: Any,
    ) -> Tensor:
        estimates = Estimates(model, sigmas, extra_args, callback, count=2)
        levels = with_zero(sigmas)[:-1]

        def network(state: Tensor, sigma: Tensor, labels: None) -> Tensor:
            return estimates(state, sigma)

        churn["S_min"] = no_churn_after(sigmas, churn["S_min"])
        grid = {"sigma_max": levels, "sigma_min": levels, "rho": 1, "num_steps": len(levels)}
        with numbers_of(x):
            return estimates.until_the_end(
                lambda: function(network, x / sigmas[0], dtype=x.dtype, **grid, **churn)
            )

    return Adapted(name, solve, {**keywords, **options})

"""The code of EDM, NVlabs/edm at 008a4e5: the two samplers of generate.py.

Their levels go through ``net.round_sigma``, where a network rounds to those it was trained on. Here it
answers their whole table with the grid. Both always end at 0: on a grid that does not, the run goes on and
the state at the last level is returned. ``ablation_sampler`` takes its schedules as options; their own
grids are not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from proofs_checks.audit.peers import Adapted, defaults, require_known
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.running import Estimates, numbers_of, with_zero
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

CHECKOUT = Checkout("NVlabs/edm", "008a4e5316c8e3bfe61a62f874bddba254295afb")

SAMPLERS = ("edm_sampler", "ablation_sampler")

_OF_THE_GRID = ("class_labels", "num_steps", "sigma_min", "sigma_max", "rho")
_OF_A_TABLE = ("randn_like", "discretization", "epsilon_s", "C_1", "C_2", "M")


def names() -> tuple[str, ...]:
    """Both samplers."""
    return SAMPLERS


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A sampler of generate.py, with its options.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, SAMPLERS, "sampler of edm")
    function = getattr(CHECKOUT.module("generate"), name)
    keywords = defaults(function, without=(*_OF_THE_GRID, *_OF_A_TABLE))
    require_options(name, options, tuple(keywords))

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        **of_function: Any,
    ) -> Tensor:
        calls_a_step = 1 + (of_function.get("solver", "heun") == "heun")
        estimates = Estimates(model, sigmas, extra_args, callback, calls_a_step)
        levels = with_zero(sigmas)[:-1]
        of_function["S_min"] = no_churn_after(sigmas, of_function["S_min"])
        network = Network(estimates, levels)
        with numbers_of(x):
            return estimates.until_the_end(
                lambda: function(network, x / sigmas[0], num_steps=len(levels), **of_function)
            )

    return Adapted(name, solve, {**keywords, **options})


def no_churn_after(sigmas: Tensor, lowest: float) -> float:
    """S_min such that no noise is added at the last level, if the run stops there."""
    return lowest if sigmas[-1] == 0 else max(lowest, float(sigmas[-1]) * (1 + 1e-6))


class Network:
    """A network as EDM's samplers know it, trained on the given levels, which are all positive."""

    def __init__(self, estimates: Estimates, levels: Tensor) -> None:
        self._estimates, self._levels = estimates, levels
        self.sigma_min, self.sigma_max = float(levels[-1]), float(levels[0])

    def round_sigma(self, sigma: Tensor) -> Tensor:
        """The grid in place of a whole table; a single level is that one."""
        # A table that holds NaN, as that of one step does, remains one.
        return sigma if sigma.ndim == 0 else self._levels + 0 * sigma

    def __call__(self, x: Tensor, sigma: Tensor, class_labels: None = None) -> Tensor:
        """The denoised states."""
        return self._estimates(x, sigma)

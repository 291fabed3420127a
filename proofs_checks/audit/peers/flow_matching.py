"""flow_matching: its ``ODESolver`` gives a flow's velocity to a solver of torchdiffeq, on a grid of times.

The commit of facebookresearch/flow_matching is pinned in `CHECKOUT`; torchdiffeq is an installed package.
Its time goes from noise at 0 to data at 1, and its velocity with it: :math:`1 - t` and minus the velocity
of `flows`. The velocity of a denoiser is not defined at the level 0: there, the run ends with the estimate
at the last positive one.

Left out: the solvers of discrete states and on manifolds, adaptive methods and ``implicit_adams``, whose
calls a step are not known in advance (`torchdiffeq` has them).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from proofs_checks.audit.peers import Adapted, imported, require_known, to_zero_by_estimate
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.clocks import flow_time
from proofs_checks.audit.peers.counted import CountedModel, calls_a_step
from proofs_checks.audit.peers.flows import velocity
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

CHECKOUT = Checkout("facebookresearch/flow_matching", "11568d37f8d5a080e12aa7b5305d9c35ae07d136")


BEGIN: dict[str, Callable[[int], int]] = {
    "euler": calls_a_step(1),
    "midpoint": calls_a_step(2),
    "heun2": calls_a_step(2),
    "heun3": calls_a_step(3),
    "rk4": calls_a_step(4),
    "explicit_adams": lambda i: min(4 * i, i + 6),  # it starts with two Runge-Kutta steps
}
"""The methods, and how many calls each makes before a step."""


def names() -> tuple[str, ...]:
    """The methods of ``ODESolver``."""
    return tuple(BEGIN)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A method of ``ODESolver``; it has no options.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "method of flow_matching")
    require_options(name, options, ())
    imported("torchdiffeq", "torchdiffeq")
    solver = CHECKOUT.module("flow_matching.solver.ode_solver").ODESolver

    def solve(
        model: Model, x: Tensor, sigmas: Tensor, extra_args: Any, callback: Any, disable: Any
    ) -> Tensor:
        times = flow_time(sigmas)
        estimate = CountedModel(model, sigmas, extra_args, callback, BEGIN[name])

        def forward(x: Tensor, t: Tensor) -> Tensor:
            return -velocity(estimate, x, 1 - t)

        end = solver(forward).sample(
            (1 - times[0]) * x, step_size=None, method=name, time_grid=1 - times
        )
        return end / (1 - times[-1])

    return Adapted(name, to_zero_by_estimate(solve))

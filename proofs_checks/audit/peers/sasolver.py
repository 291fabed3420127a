r"""The official code of SA-Solver, scxue/SA-Solver at 876f3dd.

Its solver runs on a `GridSchedule`, in equal steps of that time, and the network predicts the noise.
``tau`` is the same at all times; it is the square root of this book's :math:`\eta`. ``few_steps`` takes its
last step without noise and stops there: to end at 0, the estimate at the last positive level follows.
``more_steps`` always goes on to 0. The grids of its own are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from proofs_checks.audit.peers import Adapted, require_known, to_zero_by_estimate
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.clocks import preserving
from proofs_checks.audit.peers.running import Estimates, numbers_of, quiet
from proofs_checks.audit.peers.schedules import GridSchedule
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

CHECKOUT = Checkout("scxue/SA-Solver", "876f3dd81b8687c6dc8cb92941feb15e71ac9420")

MODES = ("few_steps", "more_steps")

_OPTIONS = {
    "tau": 1.0,
    "predictor_order": 3,
    "corrector_order": 4,
    "pc_mode": "PEC",
    "algorithm_type": "data_prediction",
}


def names() -> tuple[str, ...]:
    """The values of ``mode``."""
    return MODES


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A ``mode`` of ``SASolver.sample``; options: ``tau``, ``predictor_order``, ``corrector_order``, others.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, MODES, "mode of SASolver")
    require_options(name, options, tuple(_OPTIONS))
    solver_class = quiet(CHECKOUT.module("sa_solver")).SASolver

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        *,
        tau: float,
        pc_mode: str,
        algorithm_type: str,
        **orders: int,
    ) -> Tensor:
        schedule = _Schedule(sigmas)
        estimates = Estimates(model, sigmas, extra_args, callback, 1 + (pc_mode == "PECE"))
        with numbers_of(x):
            solver = solver_class(
                schedule.noise_model(estimates), schedule, algorithm_type=algorithm_type
            )
            state = solver.sample(
                name,
                preserving(sigmas[0]) * x,
                lambda t: tau,
                len(sigmas) - 1,
                t_end=schedule.end,
                pc_mode=pc_mode,
                **orders,
            )
        # After the last level, more_steps asks for the estimate there and returns it.
        return estimates.state if name == "more_steps" else state / preserving(sigmas[-1])

    return Adapted(name, to_zero_by_estimate(solve), {**_OPTIONS, **options})


class _Schedule(GridSchedule):
    def edm_sigma(self, t: Tensor) -> Tensor:
        """sigma, which the constructor asks for."""
        return self.level(t)

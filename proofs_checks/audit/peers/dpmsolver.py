r"""The official code of DPM-Solver and DPM-Solver++, LuChengTHU/dpm-solver at 52bc3fb.

Its solver runs on a `GridSchedule`, in equal steps of that time, and the network predicts the noise.
``singlestep`` and ``singlestep_fixed`` count model calls: they get `order` of them for each step of the
grid, so that their outer steps are those of the grid; ``singlestep`` spends the calls of its last one on
two steps of lower order. ``adaptive`` takes from the grid its ends only. Ends at 0 with the estimate at the
last positive level, which is its ``denoise_to_zero``. Thresholding and the inverse are left out.
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

CHECKOUT = Checkout("LuChengTHU/dpm-solver", "52bc3fbcd5de56d60917b826b15d2b69460fc2fa")

_COMMON = {"order": 2, "algorithm_type": "dpmsolver++", "solver_type": "dpmsolver"}

METHODS: dict[str, dict[str, Any]] = {
    "multistep": {**_COMMON, "lower_order_final": True},
    "singlestep": _COMMON,
    "singlestep_fixed": _COMMON,
    "adaptive": {**_COMMON, "atol": 0.0078, "rtol": 0.05},
}
"""The values of ``method``, and the options of each with their defaults."""


def names() -> tuple[str, ...]:
    """All methods that can be loaded."""
    return tuple(METHODS)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A ``method`` of ``DPM_Solver.sample``, with its options and the constructor's ``algorithm_type``.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "method of DPM_Solver")
    require_options(name, options, tuple(METHODS[name]))
    solver_class = quiet(CHECKOUT.module("dpm_solver_pytorch")).DPM_Solver

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        *,
        order: int,
        algorithm_type: str,
        **of_sample: Any,
    ) -> Tensor:
        calls_a_step = order if name.startswith("singlestep") else 1
        estimates = Estimates(model, sigmas, extra_args, callback, calls_a_step)
        schedule = GridSchedule(sigmas)
        with numbers_of(x):
            solver = solver_class(
                schedule.noise_model(estimates), schedule, algorithm_type=algorithm_type
            )
            state = solver.sample(
                preserving(sigmas[0]) * x,
                steps=calls_a_step * (len(sigmas) - 1),
                order=order,
                t_end=schedule.end,
                skip_type="time_uniform",
                method=name,
                **of_sample,
            )
        return state / preserving(sigmas[-1])

    return Adapted(name, to_zero_by_estimate(solve), {**METHODS[name], **options})

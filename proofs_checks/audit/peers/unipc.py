"""The official code of UniPC, wl-zhao/UniPC at cf9de85.

Its solver runs on a `GridSchedule`, in equal steps of that time, and the network predicts the noise. Ends
at 0 with the estimate at the last positive level, which is its ``denoise_to_zero``. Thresholding is left
out.
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

CHECKOUT = Checkout("wl-zhao/UniPC", "cf9de85bf2ed68137e6fba5f165f451677b174c4")

VARIANTS = ("bh1", "bh2", "vary_coeff")

_OPTIONS = {"order": 2, "algorithm_type": "data_prediction", "lower_order_final": True}


def names() -> tuple[str, ...]:
    """The values of ``variant``."""
    return VARIANTS


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A ``variant`` of ``UniPC``, with options ``order``, ``algorithm_type`` and ``lower_order_final``.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, VARIANTS, "variant of UniPC")
    require_options(name, options, tuple(_OPTIONS))
    solver_class = quiet(CHECKOUT.module("uni_pc")).UniPC

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        *,
        algorithm_type: str,
        **of_sample: Any,
    ) -> Tensor:
        schedule = GridSchedule(sigmas)
        predict = schedule.noise_model(Estimates(model, sigmas, extra_args, callback))
        with numbers_of(x):
            solver = solver_class(predict, schedule, algorithm_type=algorithm_type, variant=name)
            state = solver.sample(
                preserving(sigmas[0]) * x,
                steps=len(sigmas) - 1,
                t_end=schedule.end,
                skip_type="time_uniform",
                **of_sample,
            )
        return state / preserving(sigmas[-1])

    return Adapted(name, to_zero_by_estimate(solve), {**_OPTIONS, **options})

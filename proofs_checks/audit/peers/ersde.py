r"""The official code of ER-SDE-Solver, QinpengCui/ER-SDE-Solver at 25ca6c2.

The methods ``ve_*`` take states x and the levels as they are; ``vp_*`` take states :math:`\alpha x` with
tables of alphas and sigmas. ``func_type`` is the number of its own noise scale function, 1 for the ODE and
7 by default. Other functions of the user's are left out. The methods ``ve_*`` go to
0 themselves; after ``vp_*``, whose integrals have no value there, the estimate at the last positive level
follows.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from proofs_checks.audit.peers import Adapted, require_known, to_zero_by_estimate
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.clocks import preserving
from proofs_checks.audit.peers.running import Estimates, numbers_of
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

CHECKOUT = Checkout("QinpengCui/ER-SDE-Solver", "25ca6c2e6b065754a55694dc6941a3259fa0f082")

METHODS = tuple(
    f"{kind}_{order}"
    for kind in ("ve", "vp")
    for order in ("1_order", "2_order_taylor", "3_order_taylor")
)


def names() -> tuple[str, ...]:
    """The methods of ``ER_SDE_Solver`` that sample."""
    return METHODS


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A method of ``ER_SDE_Solver``; the option ``func_type`` chooses the noise scale function.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, METHODS, "method of ER_SDE_Solver")
    require_options(name, options, ("func_type",))
    module, kind = CHECKOUT.module("er_sde_solver"), name[:2]
    method = getattr(module.ER_SDE_Solver(sde_type=kind), name)

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        func_type: int,
    ) -> Tensor:
        scale = functools.partial(module.customized_func, func_type=func_type)
        estimates = Estimates(model, sigmas, extra_args, callback)
        with numbers_of(x):
            if kind == "ve":
                return method(estimates, x, sigmas, sigmas, fn_sigma=scale)
            alphas = preserving(sigmas)

            def predict(state: Tensor, sigma: Tensor) -> Tensor:
                return estimates(state / preserving(sigma), sigma)

            state = method(predict, alphas[0] * x, alphas, alphas * sigmas, sigmas, fn_lambda=scale)
            return state / alphas[-1]

    whole = solve if kind == "ve" else to_zero_by_estimate(solve)
    return Adapted(name, whole, {"func_type": 7, **options})

"""diffusers' schedulers, in each mode and at each order.

Without DPMSolverSDE and CosineDPMSolverMultistep: a tree of their own takes minutes here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from proofs_checks.audit.entries import Entry, by_order, ode, of, sde
from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.peers import library


def sa_solver(
    model: Any,
    x: Tensor,
    sigmas: Tensor,
    extra_args: Any = None,
    callback: Any = None,
    disable: Any = None,
    tau: float = 1.0,
    order: int = 2,
) -> Tensor:
    """SASolver of diffusers with one tau at all times, as its own option, a function, is in no name."""
    options = {
        "tau_func": lambda t: tau,
        "predictor_order": order,
        "corrector_order": order,
    }
    solve = library("diffusers").load("SASolverScheduler", options)
    return solve(model, x, sigmas, extra_args, callback, disable)


def _d(name: str, claims: Expectation | None, **options: object) -> Entry:
    return of("diffusers", f"{name}Scheduler", claims, **options)


def _orders(scheduler: str, orders: Iterable[int] = (1, 2, 3), **options: object) -> list[Entry]:
    """A multistep or singlestep scheduler of the ODE at each order of its option."""
    return by_order("diffusers", scheduler, "solver_order", orders, **options)


def _both_modes(scheduler: str) -> list[Entry]:
    """DPM-Solver++ of the ODE and of the SDE, at each order."""
    mode = "sde-dpmsolver++"
    stochastic = [
        of("diffusers", scheduler, sde(k), algorithm_type=mode, solver_order=k) for k in (1, 2, 3)
    ]
    return _orders(scheduler) + stochastic


MULTISTEP, SINGLESTEP = "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler"
FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}

ENTRIES: tuple[Entry, ...] = (
    _d("DDPM", sde(1)),
    _d("DDPM", sde(1), variance_type="fixed_large"),
    _d("DDPM", sde(1), variance_type="fixed_small_log"),
    _d("DDPM", sde(1), variance_type="fixed_large_log"),
    _d("DDIM", ode(1)),
    _d("DDIM", sde(1), eta=1.0),
    _d("PNDM", None),
    _d("PNDM", None, skip_prk_steps=True),
    _d("PNDM", None, prediction_type="v_prediction"),
    _d("IPNDM", None),
    _d("EulerDiscrete", ode(1)),
    _d("EulerDiscrete", None, s_churn=10),
    _d("EulerAncestralDiscrete", sde(1)),
    _d("LMSDiscrete", ode(2), order=2),
    _d("HeunDiscrete", ode(2)),
    _d("KDPM2Discrete", ode(2)),
    _d("KDPM2AncestralDiscrete", sde(2)),
    *_both_modes(MULTISTEP),
    *_orders(MULTISTEP, (2, 3), algorithm_type="dpmsolver"),
    of("diffusers", MULTISTEP, sde(2), algorithm_type="sde-dpmsolver"),
    of("diffusers", MULTISTEP, ode(2), solver_type="heun"),
    of("diffusers", MULTISTEP, ode(2), **FLOW),
    *_both_modes(SINGLESTEP),
    of(
        "diffusers",
        SINGLESTEP,
        sde(2),
        algorithm_type="sde-dpmsolver++",
        solver_order=3,
        solver_type="heun",
    ),
    *_orders(SINGLESTEP, (2, 3), algorithm_type="dpmsolver"),
    *_orders("UniPCMultistepScheduler"),
    *_orders("UniPCMultistepScheduler", lower_order_final=False),
    *_orders("UniPCMultistepScheduler", (2,), solver_type="bh1"),
    *_orders("UniPCMultistepScheduler", (2,), predict_x0=False),
    *_orders("DEISMultistepScheduler"),
    _d("SASolver", None),
    Entry(f"{__name__}:sa_solver?tau=1&order=2", sde(2)),
    Entry(f"{__name__}:sa_solver?tau=1&order=3", sde(3)),
    _d("EDMEuler", ode(1)),
    _d("EDMEuler", None, s_churn=10),
    *_both_modes("EDMDPMSolverMultistepScheduler"),
    _d("FlowMatchEulerDiscrete", ode(1)),
    _d("FlowMatchEulerDiscrete", None, stochastic_sampling=True),
    _d("FlowMatchEulerDiscrete", None, s_churn=10),
    _d("FlowMatchHeunDiscrete", ode(2)),
    _d("FlowMatchHeunDiscrete", None, s_churn=10),
    _d("LTXEulerAncestralRF", sde(1)),
)

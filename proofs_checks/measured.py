"""What order claims measure: exact errors on Gaussian data of several variances at once.

All coordinates of `DATA_SET` are independent problems, so that one run serves all variances.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import torch
from torch import Tensor

from proofs_checks.ledger import Evidence, measure
from seeds_theory import make_plan, uniform_log_snr
from seeds_theory.tableau import Tableau
from toy_models.convergence import Fit, fit_exact, plan_response
from toy_models.gaussian import Gaussian
from toy_models.response import Response, strong_errors, weak_errors

WITHIN = 0.05
"""How near a measured order is to the claimed one."""
STEPS = (32, 64, 128, 256, 512)
VARIANCES = (0.25, 1.0, 4.0, 25.0)
# Ends at which no constant K of any method vanishes for these variances: see orders-accidental.
START, STOP = 4.0, 0.5
DATA_SET = Gaussian(torch.zeros(len(VARIANCES)), torch.tensor(VARIANCES))


@cache
def responses(method: str | Tableau, prediction: str, eta: float = 1.0) -> tuple[Response, ...]:
    """The response of a method for each number of steps."""
    grids = (uniform_log_snr(START, STOP, n) for n in STEPS)
    return tuple(
        plan_response(make_plan(method, grid, eta=eta, prediction=prediction), DATA_SET)
        for grid in grids
    )


def fitted(errors: Iterable[Tensor]) -> list[Fit]:
    """The order shown by errors (d,) at `STEPS`, for each coordinate."""
    rows = [error.tolist() for error in errors]
    return [fit_exact(STEPS, column) for column in zip(*rows, strict=True)]


def order_fits(method: str | Tableau, prediction: str, eta: float = 1.0) -> dict[str, list[Fit]]:
    """The fitted strong and weak order for each data variance."""
    found = responses(method, prediction, eta)
    return {
        "strong": fitted(strong_errors(r, DATA_SET, START, STOP, eta) for r in found),
        "weak": fitted(weak_errors(r, DATA_SET, START, STOP) for r in found),
    }


def measure_order(fits: Sequence[Fit], expected: float, what: str) -> Evidence:
    """The order farthest from the claim decides; a missing one refutes it."""
    if any(fit.order is None for fit in fits):
        return measure(None, 0.0, expected, WITHIN, f"order of {what}")
    orders = [(fit.order or 0.0, fit.uncertainty or 0.0) for fit in fits]
    order, spread = max(orders, key=lambda pair: abs(pair[0] - expected))
    return measure(order, spread, expected, WITHIN, f"order farthest from the claim, of {what}")


def measure_limit(ratios: Iterable[Sequence[Tensor]], within: float) -> Evidence:
    """Whether ratios (d,), each at half the last one's step, tend to 1: extrapolated, with the last change.

    Three of each, for two extrapolations.
    """
    pairs: list[tuple[float, float]] = []
    for first, second, third in ratios:
        coarse, fine = 2 * second - first, 2 * third - second
        limit = (4 * fine - coarse) / 3
        pairs += zip(limit.tolist(), (fine - coarse).abs().tolist(), strict=True)
    worst, spread = max(pairs, key=lambda pair: abs(pair[0] - 1))
    return measure(
        worst, spread, 1.0, within, f"ratio farthest from 1, of {len(pairs)}, extrapolated"
    )

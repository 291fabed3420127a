"""torchsde's methods, of the SDE and of the ODE."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, each, ode, of

METHODS = (
    "euler",
    "milstein",
    "srk",
    "midpoint",
    "heun",
    "euler_heun",
    "reversible_heun",
    "log_ode",
)
ORDERS = {"euler": 1, "milstein": 1, "midpoint": 2, "heun": 2, "reversible_heun": 2}
"""Of the ODE."""

ENTRIES: tuple[Entry, ...] = (
    *each("torchsde", None, METHODS),
    *(of("torchsde", name, ode(k), eta=0) for name, k in ORDERS.items()),
)

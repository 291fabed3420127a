"""ODESolver of flow_matching, with each method of fixed steps."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode

ORDERS = {"euler": 1, "midpoint": 2, "heun2": 2, "heun3": 3, "rk4": 4}

ENTRIES: tuple[Entry, ...] = (
    *(Entry(f"flow_matching:{name}", ode(order)) for name, order in ORDERS.items()),
    Entry("flow_matching:explicit_adams"),
)

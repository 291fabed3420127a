"""torchdiffeq's methods as samplers of the probability-flow ODE."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode

ORDERS = {"euler": 1, "midpoint": 2, "heun2": 2, "heun3": 3, "rk4": 4}
TOLERANCES = "rtol=1e-5&atol=1e-5"

ENTRIES: tuple[Entry, ...] = (
    *(Entry(f"torchdiffeq:{name}", ode(order)) for name, order in ORDERS.items()),
    Entry("torchdiffeq:explicit_adams"),
    Entry("torchdiffeq:explicit_adams?max_order=5", ode(4)),
    Entry("torchdiffeq:implicit_adams", ode(4)),
    *(Entry(f"torchdiffeq:{name}?{TOLERANCES}") for name in ("bosh3", "dopri5", "dopri8")),
)

"""diffrax's solvers: one of those that differ little on additive noise: jax calls the model back slowly."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, each, ode, of

OF_THE_SDE = ("Euler", "Heun", "ReversibleHeun", "SEA", "SRA1", "ShARK")
ORDERS = {"Bosh3": 3, "Tsit5": 5, "Dopri5": 5, "Dopri8": 8}

ENTRIES: tuple[Entry, ...] = (
    *each("diffrax", None, OF_THE_SDE),
    of("diffrax", "Heun", ode(2), eta=0),
    *(of("diffrax", name, ode(k)) for name, k in ORDERS.items()),
)

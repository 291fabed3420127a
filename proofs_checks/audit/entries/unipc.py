"""UniPC's own code: each variant and order, of the ODE; lower orders at the end are its default."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode

ENTRIES: tuple[Entry, ...] = (
    Entry("unipc:bh1?order=2&lower_order_final=false", ode(2)),
    Entry("unipc:bh1?order=3&lower_order_final=false", ode(3)),
    Entry("unipc:bh2?order=2&lower_order_final=false", ode(2)),
    Entry("unipc:bh2?order=3&lower_order_final=false", ode(3)),
    Entry("unipc:vary_coeff?order=2&lower_order_final=false", ode(2)),
    Entry("unipc:vary_coeff?order=3&lower_order_final=false", ode(3)),
    Entry("unipc:bh1?order=1&lower_order_final=false", ode(1)),
    Entry("unipc:bh2?order=3"),
    Entry(
        "unipc:bh2?order=2&algorithm_type=noise_prediction&lower_order_final=false",
        ode(2),
    ),
    Entry(
        "unipc:vary_coeff?order=2&algorithm_type=noise_prediction&lower_order_final=false",
        ode(2),
    ),
)

"""DPM-Solver-v3's own code: each order, with and without corrector."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode

ENTRIES: tuple[Entry, ...] = (
    Entry("dpmsolverv3:multistep?order=1&use_corrector=false", ode(1)),
    Entry(
        "dpmsolverv3:multistep?order=2&use_corrector=false&lower_order_final=false",
        ode(2),
    ),
    Entry(
        "dpmsolverv3:multistep?order=3&use_corrector=false&lower_order_final=false",
        ode(3),
    ),
    Entry("dpmsolverv3:multistep"),
    Entry("dpmsolverv3:multistep?p_pseudo=true"),
    Entry(
        "dpmsolverv3:multistep?l=0.5&s=0.2&b=0.1&order=2&use_corrector=false&lower_order_final=false",
        ode(2),
    ),
)

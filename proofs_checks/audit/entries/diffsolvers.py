"""diff-sampler: each sampler at its orders."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, ode

ENTRIES: tuple[Entry, ...] = (
    Entry("diffsolvers:euler", ode(1)),
    Entry("diffsolvers:euler?afs=true"),
    Entry("diffsolvers:heun", ode(2)),
    Entry("diffsolvers:dpm_2", ode(2)),
    Entry("diffsolvers:dpm_2?r=0.3", ode(2)),
    Entry("diffsolvers:ipndm?max_order=1"),
    Entry("diffsolvers:ipndm?max_order=2"),
    Entry("diffsolvers:ipndm?max_order=3"),
    Entry("diffsolvers:ipndm?max_order=4"),
    Entry("diffsolvers:ipndm_v?max_order=2", ode(2)),
    Entry("diffsolvers:ipndm_v?max_order=3", ode(3)),
    Entry("diffsolvers:ipndm_v?max_order=4", ode(4)),
    Entry("diffsolvers:deis?max_order=2"),
    Entry("diffsolvers:deis?max_order=3"),
    Entry("diffsolvers:deis?max_order=4"),
    Entry("diffsolvers:deis?max_order=3&deis_mode=rhoab"),
    Entry("diffsolvers:dpm_pp?max_order=2&lower_order_final=false", ode(2)),
    Entry("diffsolvers:dpm_pp?max_order=3&lower_order_final=false", ode(3)),
    Entry(
        "diffsolvers:dpm_pp?max_order=3&lower_order_final=false&predict_x0=false",
        ode(3),
    ),
    Entry("diffsolvers:unipc?max_order=2&lower_order_final=false", ode(2)),
    Entry("diffsolvers:unipc?max_order=3&lower_order_final=false", ode(3)),
    Entry("diffsolvers:unipc?max_order=3&variant=bh1&lower_order_final=false", ode(3)),
)

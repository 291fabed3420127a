"""azula's samplers, the multistep ones at each order."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, by_order, ode, of

MULTISTEP = ("zABSampler", "vABSampler", "zEABSampler", "xEABSampler", "REABSampler")

ENTRIES: tuple[Entry, ...] = (
    of("azula", "DDPMSampler", None),
    of("azula", "DDIMSampler", ode(1)),
    of("azula", "DDIMSampler", None, eta=1.0),
    of("azula", "EulerSampler", ode(1)),
    of("azula", "HeunSampler", ode(2)),
    of("azula", "ItoSampler", None),
    of("azula", "ItoSampler", None, eta=0.0),
    *(entry for name in MULTISTEP for entry in by_order("azula", name, "order", (1, 2, 3))),
    of("azula", "PCSampler", None),
)

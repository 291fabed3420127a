"""The survey: other libraries' samplers under audit, as a record with versions, command and date.

``python -m proofs_checks.audit.survey FILE`` makes the record. The book shows it, and makes it anew where
the libraries are installed and the record is of other versions of them or of the audit.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proofs_checks.audit.checks import audit_all
from proofs_checks.audit.subject import Expectation

PACKAGES = {
    "kdiffusion": "k-diffusion",
    "diffusers": "diffusers",
    "azula": "azula",
    "torchsde": "torchsde",
    "diffrax": "diffrax",
}
"""The adapter's name to the name of the distribution."""


@dataclass(frozen=True)
class Entry:
    """A sampler in the survey, and the order its own name or options claim, if any."""

    target: str
    claims: Expectation | None = None


def _multistep(scheduler: str) -> list[Entry]:
    """Both modes of DPM-Solver++ at every order; a higher order promises not to be worse than order 2."""
    ode = [Entry(f"{scheduler}?solver_order={k}", Expectation(ode=k)) for k in (1, 2, 3)]
    sde = [
        Entry(
            f"{scheduler}?algorithm_type=sde-dpmsolver++&solver_order={k}",
            Expectation(weak=min(k, 2)),
        )
        for k in (1, 2, 3)
    ]
    return ode + sde


ENTRIES: tuple[Entry, ...] = ()
"""What is audited, by library."""


def versions() -> dict[str, str | None]:
    """The installed version of each library; None if it is not installed."""
    found: dict[str, str | None] = {}
    for distribution in [*PACKAGES.values(), "torch"]:
        try:
            found[distribution] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            found[distribution] = None
    return found


def fingerprint() -> str:
    """A hash of the code that the record depends on."""
    here = Path(__file__).parent
    root = here.parent.parent
    sources = [*here.rglob("*.py"), *(root / "seeds_theory").rglob("*.py")]
    sources += (root / "toy_models").rglob("*.py")
    digest = hashlib.sha256()
    for source in sorted(sources):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def make(path: Path, *, jobs: int = 2, progress: bool = False) -> dict[str, Any]:
    """Audit all entries and write the record."""
    claims = [entry.claims for entry in ENTRIES]
    reports = audit_all([e.target for e in ENTRIES], claims, jobs=jobs, progress=progress)
    record = {
        "command": "make survey",
        "date": datetime.date.today().isoformat(),
        "versions": versions(),
        "audit": fingerprint(),
        "reports": [report.to_json() for report in reports],
    }
    path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    return record


def survey(path: Path) -> dict[str, Any]:
    """The record, made anew if it is out of date and all libraries are installed."""
    record: dict[str, Any] = json.loads(path.read_text())
    installed = versions()
    complete = all(installed[name] for name in PACKAGES.values())
    current = {"versions": installed, "audit": fingerprint()}
    if complete and current != {name: record[name] for name in current}:
        return make(path)
    return record

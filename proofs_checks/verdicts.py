"""The ledger decided: on several processes, and kept in a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import proofs_checks
import seeds_theory
import toy_models
from proofs_checks.catalogue import all_claims, matching_names
from proofs_checks.ledger import Record, decide
from seeds_theory.command import write_json
from seeds_theory.processes import in_processes


def run(ids: Sequence[str] = (), *, jobs: int = 2, progress: bool = False) -> list[Record]:
    """Decide the claims of these ids (all for none), on that many processes, in the ledger's order."""
    names = matching_names(ids)
    # In chunks: neighbours in the ledger often share what they compute.
    return in_processes(_decide_by_id, names, jobs=jobs, label="claims", progress=progress, chunk=4)


def ledger(path: Path) -> list[dict[str, Any]]:
    """The records in a JSON file; if it is missing, or older than the code, decided and written anew."""
    sources = [
        source
        for package in (proofs_checks, seeds_theory, toy_models)
        for source in Path(str(package.__file__)).parent.rglob("*.py")
    ]
    newest = max(source.stat().st_mtime for source in sources)
    if not path.exists() or path.stat().st_mtime < newest:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json([record.to_json() for record in run()], str(path))
    return list(json.loads(path.read_text()))


def _decide_by_id(name: str) -> Record:
    return decide(all_claims()[name])

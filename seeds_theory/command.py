"""What the project's commands share: JSON output, early checks, errors as one line and status 2."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import typer

from seeds_theory.errors import ParameterError, SeedsError


def run_command(app: typer.Typer, name: str) -> None:
    """Run a typer app; bad input ends in one line on stderr and exit status 2."""
    try:
        app()
    except SeedsError as error:
        print(f"{name}: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def require_writable(*targets: str | Path | None) -> None:
    """Before any work: each target can be a file, in a folder that exists. "-" and None pass."""
    for target in targets:
        if target is None or str(target) == "-":
            continue
        if not Path(target).resolve().parent.is_dir():
            raise ParameterError(f"no folder {Path(target).parent} to write {target} in: create it")
        if Path(target).is_dir():
            raise ParameterError(f"{target or chr(39) * 2} is a folder: name a file in it")


def write_json(records: list[dict[str, Any]], target: str) -> None:
    """Write records to a file, or to stdout for "-"."""
    text = json.dumps(records, indent=1, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
    else:
        Path(target).write_text(text)

"""What is in a checkpoint, as plain data and as a table."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path
from typing import Any

from gpu_runs.checkpoint import read_checkpoint
from gpu_runs.errors import printable
from seeds_theory.extras import optional_imports

with optional_imports():
    from rich.markup import escape
    from rich.table import Table

_ROWS, _CELL = 100, 300
"""Lines of one kind in the table, and characters in a cell; the JSON holds them all."""


def describe(path: str | Path) -> dict[str, Any]:
    """What a checkpoint holds, as plain data; an upper noise level of None is no bound.

    Raises
    ------
    CheckpointError : as of `gpu_runs.load_checkpoint`, which would not open the file either.
    """
    checkpoint = read_checkpoint(path)
    net = checkpoint.network()
    spec = checkpoint.spec
    return {
        "file": str(checkpoint.path),
        "format": checkpoint.format,
        "sha256": checkpoint.sha256,
        "preconditioning": spec.preconditioning,
        "architecture": spec.architecture,
        "resolution": spec.resolution,
        "channels": spec.channels,
        "classes": spec.label_dim,
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "stored_as": sorted(
            {str(tensor.dtype).removeprefix("torch.") for tensor in checkpoint.tensors.values()}
        ),
        "sigma_min": spec.sigma_min,
        "sigma_max": None if math.isinf(spec.sigma_max) else spec.sigma_max,
        "constants": dict(net.constant),
        "options": spec.options,
        "metadata": checkpoint.metadata,
    }


def description_table(description: dict[str, Any]) -> Table:
    """The description as a table, an option a line; long ones are cut, as they are the file's to choose."""
    table = Table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in description.items():
        if isinstance(value, dict):
            for inner, detail in islice(value.items(), _ROWS):
                table.add_row(_cell(f"{name}: {inner}"), _cell(detail))
            if len(value) > _ROWS:
                table.add_row(name, f"{len(value) - _ROWS:,} more")
        elif isinstance(value, list):
            table.add_row(name, _cell(", ".join(value)))
        elif name == "parameters":
            table.add_row(name, f"{value:,}")
        else:
            table.add_row(name, "none" if value is None else _cell(value))
    return table


def _cell(value: object) -> str:
    text = printable(value)
    return escape(text if len(text) <= _CELL else f"{text[:_CELL]}... ({len(text):,} characters)")

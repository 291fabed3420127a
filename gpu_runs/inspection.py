"""`seeds-inspect` and `seeds-convert`: what is in a checkpoint, and the same in the project's own format."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gpu_runs.checkpoint import EMBEDDED, read_checkpoint, save_checkpoint
from gpu_runs.errors import printable
from seeds_theory.command import one_of, require_new, require_writable, run_command, write_json
from seeds_theory.errors import ParameterError

_ROWS, _CELL = 100, 300
"""Lines of one kind in the table, and characters in a cell; the JSON holds them all."""

inspect_app = typer.Typer(rich_markup_mode="rich")
convert_app = typer.Typer(rich_markup_mode="rich")


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


@inspect_app.command()
def inspect(
    file: Annotated[
        str,
        typer.Argument(
            help="EDM pickle, safetensors, or an embedded name.", autocompletion=one_of(EMBEDDED)
        ),
    ],
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write JSON; - for stdout.")
    ] = None,
) -> None:
    """Describe the network in a checkpoint FILE, without running anything that the file holds.

    Example: [bold]seeds-inspect edm-cifar10-32x32-uncond-vp.pkl[/bold]
    """
    require_writable(json_file)
    description = describe(file)
    Console(stderr=json_file == "-").print(description_table(description))
    if json_file:
        write_json(description, json_file)


@convert_app.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="A checkpoint of either format.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A .safetensors file.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write the checkpoint IN as safetensors, with the description of the network in the header.

    Weights of less than single precision become single precision; the metadata are kept.

    Example: [bold]seeds-convert edm-cifar10-32x32-uncond-vp.pkl cifar10.safetensors[/bold]
    """
    require_writable(target)
    if target.suffix != ".safetensors":
        raise ParameterError(f"the file to write ends in .safetensors; got {target}")
    require_new(target, force)
    checkpoint = read_checkpoint(source)
    origin = {"converted_from": checkpoint.path.name, "sha256": checkpoint.sha256}
    net = checkpoint.network(dtype=checkpoint.widest())
    save_checkpoint(net, target, {**checkpoint.metadata, **origin})
    Console().print(
        f"{target}: {target.stat().st_size:,} bytes", soft_wrap=True, highlight=False, markup=False
    )


def inspect_main() -> None:
    """The console script seeds-inspect."""
    run_command(inspect_app, "seeds-inspect")


def convert_main() -> None:
    """The console script seeds-convert."""
    run_command(convert_app, "seeds-convert")

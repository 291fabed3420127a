"""`seeds-inspect` and `seeds-convert`: what is in a checkpoint, and the same in the project's own format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gpu_runs.checkpoint_files import EMBEDDED, checkpoint_path
from seeds_theory.command import one_of, require_new, require_writable, run_command, write_json
from seeds_theory.errors import ParameterError

inspect_app = typer.Typer(rich_markup_mode="rich")
convert_app = typer.Typer(rich_markup_mode="rich")


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
    checkpoint_path(file)
    from gpu_runs.inspection import describe, description_table

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
    checkpoint_path(source)
    from gpu_runs.checkpoint import read_checkpoint, save_checkpoint

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

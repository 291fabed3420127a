"""`seeds-inspect` and `seeds-convert`: what is in a checkpoint, and the same in the project's own format."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gpu_runs.checkpoints.checkpoint_files import EMBEDDED, checkpoint_path
from gpu_runs.checkpoints.network_names import FORMS, require_network
from gpu_runs.errors import printable
from seeds_theory.command import (
    console,
    one_of,
    require_new,
    require_writable,
    run_command,
    write_json,
)
from seeds_theory.errors import ParameterError

inspect_app = typer.Typer(rich_markup_mode="rich")
convert_app = typer.Typer(rich_markup_mode="rich")


@inspect_app.command()
def inspect(
    network: Annotated[str, typer.Argument(help=FORMS, autocompletion=one_of(EMBEDDED))],
    check: Annotated[
        bool, typer.Option("--check", help="See whether it behaves as a denoiser, too.")
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(help="Of the check, as cpu or cuda:1. Default: the GPU, if there is one."),
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write JSON; - for stdout.")
    ] = None,
) -> None:
    """Describe a NETWORK: a checkpoint or a folder of diffusers, of which nothing is run, or your own code.

    With --check it is called some thirty times. A posterior mean is nearer to the data than any sum of it and
    the state; a network that is none has a wrong sign, prediction, schedule or scaling, and ends in a line on
    stderr that says what it looks like, and in status 1.

    Example: [bold]seeds-inspect edm-cifar10-32x32-uncond-vp.pkl[/bold]

    What a file of another project does not say stands behind its name, as the options of that project:
    [bold]seeds-inspect edm_imagenet64_ema.pt@training_mode=edm --check[/bold]

    Of your own code: [bold]seeds-inspect my_network.py:network --check[/bold]
    """
    require_writable(json_file)
    if device is not None and not check:
        raise ParameterError("--device is of the check: add --check, or leave it out")
    require_network(network)
    from gpu_runs.checkpoints.inspection import describe, description_table
    from gpu_runs.machine.device import require_device

    description = describe(network, require_device(device if check else "cpu"), check=check)
    fault = description.get("fault")
    console(json_file).print(description_table(description))
    if json_file:
        write_json(description, json_file)
    if fault:
        print(f"seeds-inspect: no denoiser: {fault}", file=sys.stderr)
        raise typer.Exit(1)


@convert_app.command()
def convert(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="A checkpoint file, as of seeds-inspect.")
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A .safetensors file.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write the checkpoint IN as safetensors, with the description of the network in the header.

    Weights of less than single precision become single precision; the metadata are kept.

    Example: [bold]seeds-convert edm-cifar10-32x32-uncond-vp.pkl cifar10.safetensors[/bold]

    The description has what a file of another project does not say:
    [bold]seeds-convert checkpoint_8.pth@sde=vpsde cifar10.safetensors[/bold]
    """
    require_writable(target)
    if target.suffix != ".safetensors":
        raise ParameterError(f"the file to write ends in .safetensors; got {target}")
    require_new(target, force)
    checkpoint_path(source)
    from gpu_runs.checkpoints.checkpoint import read_checkpoint, save_checkpoint

    checkpoint = read_checkpoint(source)
    origin = {"converted_from": checkpoint.path.name, "sha256": checkpoint.sha256}
    if checkpoint.read_as:
        origin["read_as"] = checkpoint.read_as
    net = checkpoint.network(dtype=checkpoint.widest())
    save_checkpoint(net, target, {**checkpoint.metadata, **origin})
    console().print(
        f"{printable(target)}: {target.stat().st_size:,} bytes",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


def inspect_main() -> None:
    """The console script seeds-inspect."""
    run_command(inspect_app, "seeds-inspect")


def convert_main() -> None:
    """The console script seeds-convert."""
    run_command(convert_app, "seeds-convert")

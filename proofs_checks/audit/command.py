"""`seeds-audit`: a certificate for anybody's sampler, from the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.findings import Severity
from proofs_checks.audit.names import LIBRARIES, require_target_name
from seeds_theory.catalogue import SAMPLER_NAMES
from seeds_theory.command import (
    one_of,
    require_picture,
    require_writable,
    run_command,
    write_json,
)
from seeds_theory.errors import ParameterError, SeedsError

app = typer.Typer(rich_markup_mode="rich")


@app.command()
def seeds_audit(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="module:function or file.py:function with the k-diffusion signature; pipe:COMMAND, a "
            "program; diffusers:Class?option=value&...; a name from --list.",
            autocompletion=one_of(SAMPLER_NAMES),
        ),
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option(
            metavar="ORDERS", help="As weak=2,strong=1 or ode=3: a lower one is an error."
        ),
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write JSON; - for stdout.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a plot: .png, .svg or .pdf.")
    ] = None,
    fail_on: Annotated[
        Severity, typer.Option(help="Exit with 1 if there is a finding this bad or worse.")
    ] = Severity.error,
    jobs: Annotated[int, typer.Option(min=1, help="Processes to use.")] = 2,
    list_: Annotated[bool, typer.Option("--list", help="List known samplers and leave.")] = False,
) -> None:
    """Say of any sampler what it converges to, how fast, and how it behaves.

    It runs unmodified, on Gaussian data, where its errors are exact and take no sampling, and on a mixture.

    Exit status: 0 no finding as bad as --fail-on, 1 findings, 2 a wrong call.

    Example: [bold]seeds-audit k_diffusion.sampling:sample_dpmpp_sde seeds-2 --plot audit.png[/bold]
    """
    if list_:
        _list(Console())
        return
    if not targets:
        raise ParameterError("name one or more samplers; see --list and --help")
    expectation = Expectation.parse(expect) if expect else None
    require_writable(json_file, plot)
    require_picture(plot)
    for name in targets:
        require_target_name(name)
    from proofs_checks.audit.checks import audit_all
    from proofs_checks.audit.report import figure, render
    from proofs_checks.audit.targets import find_target
    from proofs_checks.pipe import ended_by_signals

    show = sys.stderr.isatty()
    with ended_by_signals():
        for name in targets:
            find_target(name)  # a wrong one ends here, not after the work on the right ones
        reports = audit_all(targets, [expectation] * len(targets), jobs=jobs, progress=show)
    Console(stderr=json_file == "-").print(render(reports), end="")
    if json_file:
        write_json([report.to_json() for report in reports], json_file)
    if plot:
        figure(reports).savefig(plot)
    if any(report.above(fail_on) for report in reports):
        raise typer.Exit(1)


def _list(console: Console) -> None:
    from proofs_checks.audit.peers import library

    console.print(f"this library: {', '.join(SAMPLER_NAMES)}")
    for name in LIBRARIES:
        try:
            names = ", ".join(f"{name}:{sampler}" for sampler in library(name).names())
            console.print(names, highlight=False)
        except SeedsError as error:
            console.print(f"{name}: {error}", highlight=False)
    console.print("anything else: module:function, file.py:function, pipe:COMMAND")


def main() -> None:
    """The console script."""
    run_command(app, "seeds-audit")


if __name__ == "__main__":
    main()

"""`seeds-conformance`: test vectors for samplers in any language, and a check of programs against them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proofs_checks.conformance.stored import by_method, chosen_files, committed, schema
from seeds_theory.command import one_of, run_command

if TYPE_CHECKING:
    from rich.console import Console

    from proofs_checks.conformance.check import Results

_MOST_NAMED = 8  # of the samplers that a program does not offer

app = typer.Typer(
    rich_markup_mode="rich",
    no_args_is_help=True,
    help="Test vectors for samplers in any language, and a check of programs against them.\n\n"
    "Example: [bold]seeds-conformance check -- ./my_sampler[/bold]; each command's --help has one, too.",
)


def _names() -> Iterable[str]:
    return by_method(committed())


Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        help="Only this sampler's cases; may be given several times.",
        autocompletion=one_of(_names),
    ),
]


@app.command()
def write(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; made if missing.")],
    force: Annotated[bool, typer.Option(help="Replace files that are there already.")] = False,
) -> None:
    """Compute the vectors of every sampler of the library: a JSON file each, and their schema.

    A case is a grid, an eta and states; the normals, with the stretches that they belong to; and what must
    come out: the model's inputs at every call and the state after every step.

    Example: [bold]seeds-conformance write vectors[/bold]
    """
    from proofs_checks.conformance import vectors
    from seeds_theory.command import require_new
    from seeds_theory.errors import ParameterError
    from seeds_theory.progress import with_bar
    from seeds_theory.solver import SOLVERS

    if not folder.resolve().parent.is_dir() or (folder.exists() and not folder.is_dir()):
        raise ParameterError(f"{folder} is no folder, nor one that can be made here: name another")
    for name in (*SOLVERS, "schema"):
        require_new(folder / f"{name}.json", force)
    folder.mkdir(exist_ok=True)
    (folder / "schema.json").write_text(schema())
    for name in with_bar(SOLVERS, show=sys.stderr.isatty(), desc="samplers", leave=False):
        vectors.write(folder, name)
    print(f"{len(SOLVERS)} samplers in {folder}")


@app.command()
def check(
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND...", help="The program, with its arguments.")
    ],
    method: Methods = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--vectors",
            metavar="DIR",
            help="The vectors; by default those that come with the package.",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="The longest that a run may take.")] = 30,
) -> None:
    """Run the vectors against a program that speaks the protocol on its standard input and output.

    A line for each case that fails says what differs first. Samplers that the program answers with an error
    are not offered; that is no failure if others are, but of those that --method names.

    Exit status: 0 all that is offered is right, 1 something is not, 2 a wrong call.

    Example: [bold]seeds-conformance check --method seeds-3 -- ./my_sampler[/bold]
    """
    vectors, methods = folder or committed(), tuple(method or ())
    chosen_files(vectors, methods)  # a wrong name ends here, before anything is loaded

    from rich.console import Console

    from proofs_checks.conformance.check import check as run_check
    from proofs_checks.conformance.vectors import load

    cases = load(vectors, methods)
    results = run_check(command, cases, seconds=seconds, progress=sys.stderr.isatty())
    _print(Console(), results)
    if not results.passed or set(methods).intersection(results.not_offered):
        raise typer.Exit(1)


def _print(console: Console, results: Results) -> None:
    from rich.table import Table

    absent = results.not_offered
    table = Table("sampler", "cases", "right")
    for variant, outcomes in results.variants.items():
        if variant not in absent:
            right = sum(outcome.fault is None for outcome in outcomes)
            style = None if right == len(outcomes) else "red"
            table.add_row(variant, str(len(outcomes)), str(right), style=style)
    if table.row_count:
        console.print(table)
    faults = [f"{o.case.variant}, {o.case.name}: {o.fault}" for o in results.faults]
    if absent:
        few = len(absent) <= _MOST_NAMED
        faults.append(
            f"not offered: {', '.join(absent) if few else f'{len(absent)} other variants'}"
        )
    if not table.row_count and results.outcomes:
        faults.append(f"nothing is offered: it {results.outcomes[0].fault}")
    if results.ended:
        faults.append(f"the program: {results.ended}")
    for line in faults:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@app.command()
def serve(
    method: Annotated[
        str | None,
        typer.Option(
            help="The sampler of a run whose options name none.", autocompletion=one_of(_names)
        ),
    ] = None,
) -> None:
    """Be such a program: serve any sampler of the library on standard input and output.

    It ends with its input. seeds-conformance check -- seeds-conformance serve has it checked.

    Example: [bold]seeds-conformance serve --method seeds-3[/bold]
    """
    from seeds_theory.catalogue import require_sampler_name

    if method is not None:
        require_sampler_name(method)

    from proofs_checks.conformance.serve import serve as run_serve

    run_serve(method)


def main() -> None:
    """The console script."""
    run_command(app, "seeds-conformance")


if __name__ == "__main__":
    main()

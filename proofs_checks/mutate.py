"""`seeds-mutate`: does the ledger notice a wrong coefficient? See `proofs_checks.mutation`."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from seeds_theory.catalogue import METHOD_NAMES, require_method_name
from seeds_theory.command import one_of, run_command

app = typer.Typer(rich_markup_mode="rich")


@app.command()
def mutate(
    methods: Annotated[
        list[str] | None,
        typer.Argument(
            help="Registered methods. Default: all.", autocompletion=one_of(METHOD_NAMES)
        ),
    ] = None,
) -> None:
    """Change every coefficient of every tableau and of the emitted code in turn.

    Exit status: 0 if a claim fails each time, 1 if not.

    Example: [bold]seeds-mutate seeds-2 seeds-3[/bold]
    """
    for name in methods or ():
        require_method_name(name)
    from proofs_checks.mutation import run

    results = run(methods or (), progress=sys.stderr.isatty())
    table = Table("method", "mutants", "killed", "by")
    for name in dict.fromkeys(mutant.method for mutant, _ in results):
        killers = Counter(by for mutant, by in results if mutant.method == name)
        survived = killers.pop(None, 0)
        listed = ", ".join(f"{by} {count}" for by, count in killers.most_common())
        total = killers.total() + survived
        table.add_row(name, str(total), str(killers.total()), listed)
    console = Console()
    console.print(table)
    survivors = [mutant for mutant, by in results if by is None]
    for mutant in survivors:
        console.print(f"survived: {mutant.method}, {mutant.change}", markup=False)
    killed = len(results) - len(survivors)
    console.print(f"killed / total: {killed} / {len(results)} = {killed / len(results):.3f}")
    if survivors:
        raise typer.Exit(1)


def main() -> None:
    """The console script."""
    run_command(app, "seeds-mutate")


if __name__ == "__main__":
    main()

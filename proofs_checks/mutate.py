"""`seeds-mutate`: does the ledger notice a wrong coefficient, and a wrong line?

See `proofs_checks.mutation` and `proofs_checks.source_mutation`.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from seeds_theory.catalogue import METHOD_NAMES, require_method_name
from seeds_theory.command import one_of, require_writable, run_command, write_json

app = typer.Typer(rich_markup_mode="rich")


@app.command()
def mutate(
    methods: Annotated[
        list[str] | None,
        typer.Argument(
            help="Registered methods. Default: all.", autocompletion=one_of(METHOD_NAMES)
        ),
    ] = None,
    sources: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Change instead N places in each module that the ledger rests on.",
        ),
    ] = 0,
    modules: Annotated[
        list[str] | None, typer.Option("--module", help="With --sources: these modules only.")
    ] = None,
    record: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="With --sources: a record to go on with."),
    ] = None,
) -> None:
    """Change every coefficient of every tableau and of the emitted code in turn.

    Exit status: 0 if a claim fails each time, 1 if not. With --sources: if a claim or a test fails, or if the
    record says why none does.

    Example: [bold]seeds-mutate seeds-2 seeds-3[/bold]
    """
    for name in methods or ():
        require_method_name(name)
    if sources:
        _mutate_sources(sources, modules or (), record)
        return
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


def _mutate_sources(count: int, modules: Sequence[str], file: str | None) -> None:
    from proofs_checks.source_mutation import Record, run, unexplained

    require_writable(file)
    entries: list[Record] = []
    if file and Path(file).exists():
        entries = json.loads(Path(file).read_text(encoding="utf-8"))
    for record in run(count, modules, entries, progress=sys.stderr.isatty()):
        entries.append(record)
        if file:
            write_json([dict(entry) for entry in entries], file)
    console = Console()
    left = unexplained(entries)
    for record in left:
        console.print(
            f"survived: {record['module']}, {record['name']}: {record['change']}", markup=False
        )
    killed = sum(1 for record in entries if record["by"])
    console.print(f"killed / total: {killed} / {len(entries)} = {killed / len(entries):.3f}")
    if left:
        raise typer.Exit(1)


def main() -> None:
    """The console script."""
    run_command(app, "seeds-mutate")


if __name__ == "__main__":
    main()

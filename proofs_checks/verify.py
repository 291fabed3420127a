"""`seeds-verify`: decide the claims of the ledger and say whether they came out as expected."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from proofs_checks.catalogue import claim_names, matching_names
from proofs_checks.claims import CHAPTERS
from seeds_theory.command import one_of, require_writable, run_command, write_json

if TYPE_CHECKING:
    from proofs_checks.ledger import Record

app = typer.Typer(rich_markup_mode="rich")


def _claims_and_chapters() -> list[str]:
    return [*CHAPTERS, *claim_names()]


@app.command()
def verify(
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            help="Claims, or their first words, as phi. Default: all.",
            autocompletion=one_of(_claims_and_chapters),
        ),
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write JSON; - for stdout.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes to use.")] = 2,
) -> None:
    """Decide every claim; exit 0 if each verdict is the expected one, 1 if not, 2 on misuse.

    Example: [bold]seeds-verify phi exact --json claims.json[/bold]
    """
    require_writable(json_file)
    matching_names(ids or ())  # a wrong name ends here, before anything is loaded
    from proofs_checks.verdicts import run

    records = run(ids or (), jobs=jobs, progress=sys.stderr.isatty())
    console = Console(stderr=json_file == "-")
    console.print(_table(records))
    counts = Counter(record.verdict.value for record in records)
    surprises = [record for record in records if not record.as_expected]
    listed = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    console.print(f"{len(records)} claims: {listed}; {len(surprises)} not as expected")
    if json_file:
        write_json([record.to_json() for record in records], json_file)
    if surprises:
        raise typer.Exit(1)


def _table(records: Sequence[Record]) -> Table:
    table = Table()
    table.add_column("claim", no_wrap=True)  # to be copied
    table.add_column("verdict", overflow="fold")
    table.add_column("evidence", overflow="fold")
    table.add_column("s", justify="right")
    for record in records:
        verdict = record.verdict.value
        if not record.as_expected:
            verdict = f"[bold red]{verdict}, expected {record.expected.value}[/bold red]"
        # A proof that fails quotes formulas: their brackets are not markup.
        summary = record.evidence.summary.replace("[", r"\[")
        table.add_row(record.id, verdict, summary, f"{record.seconds:.1f}")
    return table


def main() -> None:
    """The console script."""
    run_command(app, "seeds-verify")


if __name__ == "__main__":
    main()

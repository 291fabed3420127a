"""The results of a benchmark on disk, whole after a kill at any time.

A folder holds run.json, which says what the rows are of, and results.csv, one row for each finished cell.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from gpu_runs.benchmarks.plans import Cell
from gpu_runs.files.whole import blamed_on, whole_file
from seeds_theory.errors import SeedsError

HEADER, ROWS = "run.json", "results.csv"

Key = tuple[str, str, str, int, int]


class ResultsError(SeedsError):
    """Results that cannot be read, or that are of another benchmark."""


@dataclass(frozen=True)
class Row:
    """A finished cell: scores as of `gpu_runs.scores.report.Scores`, or in `error` why there are none.

    options : JSON. seconds : of the whole cell. images_per_second : of making the images alone.
    """

    label: str
    method: str
    options: str
    steps: int
    nfe: int
    block: int
    first_seed: int
    images: int
    frechet: float | None = None
    floor: float | None = None
    kernel: float | None = None
    kernel_error: float | None = None
    class_score: float | None = None
    precision: float | None = None
    recall: float | None = None
    seconds: float | None = None
    images_per_second: float | None = None
    error: str = ""

    @property
    def key(self) -> Key:
        """What tells its cell from the others of the benchmark."""
        return (self.label, self.method, self.options, self.steps, self.block)


def key_of(cell: Cell) -> Key:
    """The key of a cell's row."""
    curve = cell.curve
    return (curve.label, curve.method, curve.options_text, cell.steps, cell.block)


_COLUMNS = [part.name for part in fields(Row)]
_READERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float | None": lambda text: float(text) if text else None,
}
"""How the text of a column becomes what the field of that type holds."""


@dataclass
class Results:
    """The rows of a benchmark in its folder; header is what run.json holds."""

    folder: Path
    header: dict[str, Any]
    rows: list[Row]

    def append(self, row: Row) -> None:
        """Add a row; it is on the disk when this returns. Raises OutputError."""
        with blamed_on(self.folder), (self.folder / ROWS).open("a", encoding="utf-8") as file:
            file.write(_csv([row]))
            file.flush()
            os.fsync(file.fileno())
        self.rows.append(row)

    def to_json(self) -> dict[str, Any]:
        """The header and the rows as plain values."""
        records = [dict(zip(_COLUMNS, astuple(row), strict=True)) for row in self.rows]
        return {"header": self.header, "rows": records}


def open_results(folder: Path, header: dict[str, Any]) -> Results:
    """The results in a folder, to be added to; with the header of this run, which is written.

    Rows of cells that failed are left out: such cells are tried again. So is a last row that was cut off.

    Raises
    ------
    ResultsError : the folder has results of another benchmark, or of one with more cells, or other files.
    OutputError : it cannot be written.
    """
    header = json.loads(json.dumps(header))  # as it will be read
    rows: list[Row] = []
    if (folder / HEADER).exists() or (folder / ROWS).exists():
        there = read_results(folder)
        _require_same(there, header)
        header["runs"] = there.header["runs"] + header["runs"]
        rows = [row for row in there.rows if not row.error]
    elif foreign := [file.name for file in folder.glob("[!.]*") if file.suffix != ".part"]:
        raise ResultsError(
            f"{folder} holds files, as {foreign[0]}, but no results of a benchmark: choose another --out"
        )
    # The rows last: as long as they are missing, they are none yet.
    for name, text in ((HEADER, json.dumps(header, indent=1)), (ROWS, _csv(rows, heading=True))):
        with whole_file(folder / name) as part:
            part.write_text(text, encoding="utf-8")
    return Results(folder, header, rows)


def _require_same(there: Results, header: dict[str, Any]) -> None:
    for name in ("settings", "blocks", "cells"):
        old, new = there.header[name], header[name]
        if name == "settings":
            changed = next((key for key in {**old, **new} if old.get(key) != new.get(key)), None)
            why = f"{changed} = {old.get(changed)!r}, here {new.get(changed)!r}" if changed else ""
        elif name == "blocks":
            why = f"{old} blocks, here {new}" if new < old else ""
        else:
            lost = next((cell for cell in old if cell not in new), None)
            why = f"{lost['label']} at {lost['steps']} steps, not so here" if lost else ""
        if why:
            raise ResultsError(
                f"{there.folder} has results of another benchmark, with {why}: they are never mixed, "
                "choose another --out"
            )


def read_results(folder: str | Path) -> Results:
    """The results in a folder, also of a run that is not at its end.

    Raises
    ------
    ResultsError : there are none, or they are damaged.
    """
    folder = Path(folder)
    try:
        header = json.loads((folder / HEADER).read_text(encoding="utf-8"))
        text = (folder / ROWS).read_text(encoding="utf-8") if (folder / ROWS).exists() else ""
        runs, cells = header["runs"], header["cells"]
        known = {(c["label"], c["method"], c["options"], c["steps"]) for c in cells}
        if not isinstance(header["settings"], dict) or not isinstance(runs, list):
            raise ValueError("run.json is not of a benchmark")
        rows = _rows(text)
        for row in rows:
            if row.key[:4] not in known or row.block >= header["blocks"]:
                raise ValueError(f"no cell {row.label}, {row.steps} steps, block {row.block}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, csv.Error) as error:
        why = " ".join(str(error).split())
        raise ResultsError(
            f"{folder} has no results of a benchmark ({why}): choose another folder"
        ) from None
    return Results(folder, header, rows)


def _rows(text: str) -> list[Row]:
    """The rows in the text of a file; without a last one that a killed run has cut off."""
    lines = text[: text.rfind("\n") + 1].split("\n")[:-1]
    reader = csv.reader(lines, strict=True)
    if lines and next(reader) != _COLUMNS:
        raise ValueError(f"the columns are not {','.join(_COLUMNS)}")
    return [
        Row(*(_READERS[str(part.type)](v) for part, v in zip(fields(Row), record, strict=True)))
        for record in reader
    ]


def _csv(rows: Iterable[Row], *, heading: bool = False) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if heading:
        writer.writerow(_COLUMNS)
    writer.writerows(astuple(row) for row in rows)
    return text.getvalue()

"""The results of a benchmark on disk, whole after a kill at any time, and added to by many processes.

A folder holds run.json, which says what the rows are of; results.csv, a row for each finished cell, scored
against the data; and law.csv, a row for each cell that was compared with the fine solution of its SDE.
These three are the record. Beside them are the images, from which it can be made again.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from gpu_runs.benchmarks.plans import Cell
from gpu_runs.benchmarks.sharing import held
from gpu_runs.files.strict_json import strict_object
from gpu_runs.files.whole import whole_file
from seeds_theory.errors import SeedsError

HEADER, ROWS, LAWS = "run.json", "results.csv", "law.csv"
_LOCK = ".lock"

Key = tuple[str, str, str, int, int]


class ResultsError(SeedsError):
    """Results that cannot be read, or that are of another benchmark."""


@dataclass(frozen=True)
class Row:
    """A finished cell: scores as of `gpu_runs.scores.report.Scores`, or in `error` why there are none.

    options : JSON. frechet_values : the pseudo-values of the Frechet distance over the block's seeds, as of
    `gpu_runs.benchmarks.estimates`. seconds : that the images took. images_per_second : of making them.
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
    frechet_values: tuple[float, ...] = ()
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

    @property
    def is_whole(self) -> bool:
        """Whether it has the scores that every finished cell has, or an error."""
        scored = self.frechet is not None and self.images_per_second is not None
        return self.nfe > 0 and (bool(self.error) or (scored and len(self.frechet_values) > 1))


@dataclass(frozen=True)
class LawRow:
    """A cell against the fine solution of its eta on the same seeds: the solver's own error.

    fine : the label of that solution. All else are pseudo-values over the block's seeds: of the Frechet and
    the kernel distance of the features, and of the mean square over pixels, in [-1, 1], of the difference of
    two images of one seed; none of that for a cell that does not follow the same Brownian motion.
    """

    label: str
    method: str
    options: str
    steps: int
    nfe: int
    block: int
    fine: str
    frechet_values: tuple[float, ...] = ()
    kernel_values: tuple[float, ...] = ()
    square_values: tuple[float, ...] = ()

    @property
    def key(self) -> Key:
        """As of `Row`."""
        return (self.label, self.method, self.options, self.steps, self.block)

    @property
    def is_whole(self) -> bool:
        """As of `Row`."""
        always = min(len(self.frechet_values), len(self.kernel_values))
        return self.nfe > 0 and always > 1 and len(self.square_values) != 1


Record = TypeVar("Record", Row, LawRow)


def key_of(cell: Cell) -> Key:
    """The key of a cell's row."""
    curve = cell.curve
    return (curve.label, curve.method, curve.options_text, cell.steps, cell.block)


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is no score")
    return value


_READERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float | None": lambda text: _finite(text) if text else None,
    "tuple[float, ...]": lambda text: tuple(map(_finite, text.split())),
}
"""How the text of a column becomes what the field of that type holds."""


@dataclass
class Results:
    """What a benchmark has found, in its folder; header is what run.json holds."""

    folder: Path
    header: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    laws: list[LawRow] = field(default_factory=list)

    def append(self, row: Row | LawRow) -> None:
        """Add a row, if no other process has; it is on the disk when this returns.

        Raises
        ------
        ResultsError, OutputError : what is there is damaged, or cannot be written.
        """
        with held(self.folder / _LOCK):
            self.refresh()
            if isinstance(row, Row):
                _add(self.folder / ROWS, self.rows, row)
            else:
                _add(self.folder / LAWS, self.laws, row)

    def refresh(self) -> None:
        """Read what other processes have added. Raises ResultsError."""
        there = read_results(self.folder)
        self.header, self.rows, self.laws = there.header, there.rows, there.laws

    def to_json(self) -> dict[str, Any]:
        """The header and the rows as plain values."""
        return {
            "header": self.header,
            "rows": [_plain(row) for row in self.rows],
            "laws": [_plain(row) for row in self.laws],
        }


def _add(file: Path, rows: list[Record], row: Record) -> None:
    if row.key not in {other.key for other in rows}:
        rows.append(row)
        _write(file, _csv(type(row), rows))


def _write(file: Path, text: str) -> None:
    with whole_file(file) as part:
        part.write_text(text, encoding="utf-8")


def open_results(folder: Path, header: dict[str, Any]) -> Results:
    """The results in a folder, to be added to; with the header of this run, which is written.

    Rows of cells that failed are left out: such cells are tried again.

    Raises
    ------
    ResultsError : the folder has results of another benchmark, or of one with more cells, or other files.
    OutputError : it cannot be written.
    """
    header = json.loads(json.dumps(header))  # as it will be read
    with held(folder / _LOCK):
        results = Results(folder, header)
        if (folder / HEADER).exists() or (folder / ROWS).exists():
            there = read_results(folder)
            _require_same(there, header)
            header["runs"] = there.header["runs"] + header["runs"]
            results.rows = [row for row in there.rows if not row.error]
            results.laws = there.laws
        elif foreign := [f.name for f in folder.glob("[!.]*") if f.suffix != ".part"]:
            raise ResultsError(
                f"{folder} holds files, as {foreign[0]}, but no results of a benchmark: choose "
                "another --out"
            )
        # The rows last: as long as they are missing, they are none yet.
        _write(folder / HEADER, json.dumps(header, indent=1))
        _write(folder / LAWS, _csv(LawRow, results.laws))
        _write(folder / ROWS, _csv(Row, results.rows))
    return results


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
        header = strict_object((folder / HEADER).read_text(encoding="utf-8"))
        _require_header(header)
        results = Results(folder, header, _rows(folder / ROWS, Row), _rows(folder / LAWS, LawRow))
        known = {(c["label"], c["method"], c["options"], c["steps"]) for c in header["cells"]}
        rows: list[Row | LawRow] = [*results.rows, *results.laws]
        for row in rows:
            if row.key[:4] not in known or not 0 <= row.block < header["blocks"]:
                raise ValueError(f"no cell {row.label}, {row.steps} steps, block {row.block}")
            if not row.is_whole:
                raise ValueError(
                    f"{row.label}, {row.steps} steps, block {row.block}: scores are missing"
                )
    except (OSError, ValueError, KeyError, TypeError, RecursionError, csv.Error) as error:
        why = " ".join(str(error).split())
        raise ResultsError(
            f"{folder} has no results of a benchmark ({why}): choose another folder"
        ) from None
    return results


_HEADER: dict[str, type] = {
    "settings": dict,
    "blocks": int,
    "cells": list,
    "curves": list,
    "budgets": list,
    "runs": list,
    "remarks": list,
    "distance": str,
    "files": dict,
}
_ENTRIES: dict[str, dict[str, tuple[type, ...]]] = {
    "cells": {"label": (str,), "method": (str,), "options": (str,), "steps": (int,)},
    "curves": {
        "label": (str,),
        "published": (int, float, type(None)),
        "recalled": (bool,),
        "fine": (str, type(None)),
    },
}


def _require_header(header: Any) -> None:
    """Raises ValueError, KeyError or TypeError for what is not the content of run.json."""
    for name, kind in _HEADER.items():
        if not isinstance(header[name], kind) or isinstance(header[name], bool):
            raise ValueError(f"{HEADER}: {name} is not of a benchmark")
    for name, parts in _ENTRIES.items():
        for entry in header[name]:
            for part, kinds in parts.items():
                if not isinstance(entry[part], kinds):
                    raise ValueError(f"{HEADER}: {name}: {part} is not of a benchmark")
    if not all(isinstance(budget, int) for budget in header["budgets"]):
        raise ValueError(f"{HEADER}: budgets are not of a benchmark")
    if not isinstance(header["files"]["network"], str):
        raise ValueError(f"{HEADER}: it names no network")
    images = header["settings"]["images"]
    if not isinstance(images, int) or not header["cells"]:
        raise ValueError(f"{HEADER}: it has no images or no cells")


def _rows(file: Path, kind: type[Record]) -> list[Record]:
    """The rows in a file; none if there is no file, or nothing in it."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    reader = csv.reader(text.split("\n")[:-1], strict=True)
    columns = [part.name for part in fields(kind)]
    if text and next(reader, None) != columns:
        raise ValueError(f"the columns of {file.name} are not {','.join(columns)}")
    readers = [_READERS[str(part.type)] for part in fields(kind)]
    rows = [
        kind(*(read(value) for read, value in zip(readers, record, strict=True)))
        for record in reader
    ]
    if len({row.key for row in rows}) < len(rows):
        raise ValueError(f"{file.name} has a cell twice")
    return rows


def _csv(kind: type[Record], rows: Iterable[Record]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([part.name for part in fields(kind)])
    for row in rows:
        writer.writerow([_text(value) for value in astuple(row)])
    return text.getvalue()


def _text(value: Any) -> Any:
    # Values are read as they are written: seven digits are far below their scatter.
    return " ".join(f"{v:.7g}" for v in value) if isinstance(value, tuple) else value


def _plain(row: Row | LawRow) -> dict[str, Any]:
    return dict(zip([part.name for part in fields(row)], astuple(row), strict=True))

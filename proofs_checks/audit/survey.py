"""The survey: other libraries' samplers under audit, as a record with versions, commands and dates.

``python -m proofs_checks.audit.survey FILE`` makes the record, all of it or some libraries'.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import hashlib
import importlib.metadata
import json
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from proofs_checks.audit.checks import audit_all
from proofs_checks.audit.densities.targets import audit_densities
from proofs_checks.audit.entries import Entry, densities_of, entries_of
from proofs_checks.audit.findings import Severity
from proofs_checks.audit.names import LIBRARIES
from proofs_checks.audit.peers import library as adapter
from proofs_checks.audit.peers import require_known
from proofs_checks.audit.report import Report
from proofs_checks.audit.reproductions import library_of, reproduce, scripts
from proofs_checks.audit.targets import find_target
from seeds_theory.command import one_of, require_writable, run_command, write_json
from seeds_theory.errors import LibraryError

ENTRIES: tuple[Entry, ...] = tuple(entry for name in LIBRARIES for entry in entries_of(name))
"""What is audited, by library."""

_DISTRIBUTIONS = {"kdiffusion": "k-diffusion"}
"""Where the name of the distribution is not the adapter's."""

_PRINTING = ("command.py", "survey.py", "reproductions.py", "fetching.py")
"""Modules of the audit that change no finding."""


# ---------------------------------------------------------------------------------- what a row is of


def version(library: str) -> str | None:
    """The version that is installed, or ``owner/name@commit`` of the checkout; None if there is none."""
    checkout = getattr(adapter(library), "CHECKOUT", None)
    try:
        if checkout is None:
            return importlib.metadata.version(_DISTRIBUTIONS.get(library, library))
        return f"{checkout.repository}@{checkout.commit[:12]}" if checkout.folder else None
    except (importlib.metadata.PackageNotFoundError, LibraryError):
        return None


@functools.cache
def fingerprint(library: str) -> str:
    """A hash of the audit's own code as one library meets it: other code may say other things.

    What only prints is left out, and so are the entries and the adapters of the libraries that this one's
    adapter does not import, and what looks at densities where the library has none.
    """
    here, own = Path(__file__).parent, _adapters(library)
    without = () if densities_of(library) else ("densities/",)
    others = {f"peers/{name}.py" for name in LIBRARIES if name not in own}
    others |= {f"entries/{name}.py" for name in LIBRARIES if name != library}
    digest = hashlib.sha256()
    for path in sorted(here.rglob("*.py")):
        name = path.relative_to(here).as_posix()
        if name not in (*_PRINTING, *others) and not name.startswith(without):
            digest.update(name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _adapters(library: str) -> set[str]:
    """The adapter of a library and those that it imports, by name."""
    found: set[str] = set()
    pending = [library]
    while pending:
        name = pending.pop()
        found.add(name)
        source = (Path(__file__).parent / "peers" / f"{name}.py").read_text()
        pending += [o for o in LIBRARIES if o not in found and f".peers.{o} import" in source]
    return found


def is_current(row: dict[str, Any]) -> bool:
    """Whether a row is of this code of the audit, and of the library's version here, if it is here."""
    made, library = row["made"], row["library"]
    here = version(library)
    return made["audit"] == fingerprint(library) and here in (None, made["version"])


# ------------------------------------------------------------------------------------------ the record


def survey(path: Path) -> dict[str, Any]:
    """The record as it is; `outdated` and `missing` say what should be made anew."""
    return json.loads(path.read_text())


def outdated(record: dict[str, Any]) -> dict[str, int]:
    """How many rows of each library are not current, of those that have some."""
    return dict(Counter(row["library"] for row in record["reports"] if not is_current(row)))


def missing(record: dict[str, Any]) -> dict[str, int]:
    """How many entries of each library have no row, of those that have some."""
    there = {row["target"] for row in record["reports"]}
    return dict(Counter(entry.library for entry in ENTRIES if entry.target not in there))


def make(
    path: Path,
    libraries: Sequence[str] = LIBRARIES,
    *,
    jobs: int = 2,
    progress: bool = False,
    tell: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Audit the entries of libraries and write the record, strict JSON, after each of them.

    What an existing record says of other libraries, and of those that are not here, is kept.

    Parameters
    ----------
    libraries : adapters' names.
    tell : is given a line for each library: what was found, or why it is left out.

    Raises
    ------
    UnknownNameError : no such library; before any work.
    """
    for name in libraries:
        require_known(name, LIBRARIES, "library in the survey")
    empty: dict[str, Any] = {"reproductions": {}, "reports": [], "densities": []}
    record = survey(path) if path.exists() else empty
    for name in libraries:
        try:
            rows, densities = _audited(name, jobs, progress), _densities(name)
        except LibraryError as error:
            tell(f"{name}: left out: {error}")
            continue
        record = _with(record, rows, densities, _outputs(name, tell))
        _write(record, path)
        tell(f"{name}: {summary(rows)}")
    record = _with(record, [], [], _outputs(None, tell))
    _write(record, path)
    return record


def _audited(library: str, jobs: int, progress: bool) -> list[dict[str, Any]]:
    """The rows of a library; raises LibraryError if it is not there."""
    entries = [entry for entry in ENTRIES if entry.library == library]
    with warnings.catch_warnings(action="ignore"):
        find_target(entries[0].target)  # before processes start
    made = _made(library)
    with _quiet_workers():
        reports = audit_all(
            [entry.target for entry in entries],
            [entry.claims for entry in entries],
            jobs=jobs,
            progress=progress,
        )
    return [_row(entry, report, made) for entry, report in zip(entries, reports, strict=True)]


def _made(library: str) -> dict[str, str | None]:
    """What a row is of; taken before the work: it is of what was there at its start."""
    return {
        "date": datetime.date.today().isoformat(),
        "audit": fingerprint(library),
        "version": version(library),
        "torch": importlib.metadata.version("torch"),
    }


def _densities(library: str) -> list[dict[str, Any]]:
    """The rows of a library's steps with a log-density."""
    made = _made(library)
    reports = audit_densities(densities_of(library))
    return [{"library": library, "made": made, **report.to_json()} for report in reports]


def _outputs(library: str | None, tell: Callable[[str], None]) -> dict[str, str]:
    """What the scripts about a library print, or those of no library here."""
    found = {}
    for name, script in scripts().items():
        if library_of(name) == library:
            try:
                found[name] = reproduce(script)
            except ImportError as error:
                tell(f"{script.name}: left out: {error}")
    return found


def _row(entry: Entry, report: Report, made: dict[str, str | None]) -> dict[str, Any]:
    claimed = entry.claims.said if entry.claims else {}
    content = _brief(report.to_json())
    return {"library": entry.library, "claims": claimed, "made": made, **content}


def _brief(report: dict[str, Any]) -> dict[str, Any]:
    """A report without what can be had otherwise: how to reproduce findings, digits that nobody reads."""
    errors, alone = report["errors"], report["alone"]
    return report | {
        "findings": [
            {key: value for key, value in finding.items() if key != "reproduction"}
            for finding in report["findings"]
        ],
        "errors": errors and errors | {"weak": [_rounded(error) for error in errors["weak"]]},
        "alone": alone and _brief(alone),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _with(
    record: dict[str, Any],
    rows: list[dict[str, Any]],
    densities: list[dict[str, Any]],
    outputs: dict[str, str],
) -> dict[str, Any]:
    """The record with these rows and outputs in place of others of their names, in order."""
    found = {row["target"]: row for row in (*record["reports"], *rows)}
    reports = [found[entry.target] for entry in ENTRIES if entry.target in found]
    steps = {row["target"]: row for row in (*record["densities"], *densities)}
    of_steps = [target for name in LIBRARIES for target in densities_of(name)]
    kept = {**record["reproductions"], **outputs}
    torch = {row["made"]["torch"] for row in reports}
    return {
        "command": "make survey",
        "date": max((row["made"]["date"] for row in reports), default=None),
        "versions": {
            **{row["library"]: row["made"]["version"] for row in reports},
            "torch": ", ".join(sorted(torch)),
        },
        "reproductions": {name: kept[name] for name in scripts() if name in kept},
        "reports": reports,
        "densities": [steps[target] for target in of_steps if target in steps],
    }


def _write(record: dict[str, Any], path: Path) -> None:
    """In one go: what is there stays whole, whenever this ends."""
    part = path.with_name(path.name + ".part")
    write_json(record, str(part))
    os.replace(part, path)


@contextlib.contextmanager
def _quiet_workers() -> Iterator[None]:
    """Keep the libraries' warnings out of the terminal: what matters is a finding."""
    quiet = {"PYTHONWARNINGS": "ignore", "DIFFUSERS_VERBOSITY": "error", "OMP_NUM_THREADS": "1"}
    before = {name: os.environ.get(name) for name in quiet}
    os.environ.update(quiet)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# ----------------------------------------------------------------------------------------- the command

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command()
def survey_command(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The record to write, JSON.")],
    libraries: Annotated[
        list[str] | None,
        typer.Option(
            "--library",
            metavar="NAME",
            help="Only this one; may be repeated. The record's other rows stay as they are.",
            autocompletion=one_of(LIBRARIES),
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes to use.")] = 2,
) -> None:
    """Audit the samplers of other libraries, and write the record after each library.

    All of them take more than an hour on two cores. `make peers` installs those that are packages; the
    others run from checkouts, which `make checkouts` fetches: name their folder in SEEDS_CHECKOUTS. What is
    not there is left out, with the reason.

    Example: [bold]python -m proofs_checks.audit.survey book/survey.json --library azula --jobs 4[/bold]
    """
    require_writable(path)
    record = make(path, libraries or LIBRARIES, jobs=jobs, progress=sys.stderr.isatty())
    print(f"{path}: {summary(record['reports'])}")


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """One line: how many samplers, and how many findings of each severity."""
    found = [finding["severity"] for row in rows for finding in row["findings"]]
    counts = ", ".join(f"{found.count(level.value)} {level.value}s" for level in reversed(Severity))
    return f"{len(rows)} samplers, {counts}"


def main() -> None:
    """The command."""
    run_command(app, "survey")


if __name__ == "__main__":
    main()

"""`seeds-export`: a method as a file for another program, library or language."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from seeds_theory.catalogue import METHOD_NAMES
from seeds_theory.command import one_of, require_new, run_command
from seeds_theory.emit.targets import MULTISTEP, TARGETS
from seeds_theory.errors import ParameterError, other_prediction, unknown
from seeds_theory.scheme import named_scheme, registered

_NAMES = (*METHOD_NAMES, *MULTISTEP)


class Predicts(StrEnum):
    """What the method integrates."""

    data = "data"
    noise = "noise"


app = typer.Typer(rich_markup_mode="rich")


@app.command()
def export(
    method: Annotated[
        str | None,
        typer.Argument(
            help="A name from --list; nodes as in seeds-3@0.3,0.8.",
            autocompletion=one_of(_NAMES),
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET", help="What to write; --list.", autocompletion=one_of(TARGETS)
        ),
    ] = None,
    prediction: Annotated[Predicts, typer.Option(help="What is integrated.")] = Predicts.data,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Where to write; FOLDER/ is a folder, which several files need.  [default: stdout]",
        ),
    ] = None,
    sigmas: Annotated[
        str | None,
        typer.Option(metavar="LEVELS", help="json: noise levels, as inf,10,5,1,0."),
    ] = None,
    eta: Annotated[
        float | None, typer.Option(help="json: 1 is the reverse SDE, 0 the ODE.  [default: 1]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there already.")] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="List the methods and the targets, and leave.")
    ] = False,
) -> None:
    """Write METHOD for another program, library or language.

    What is written needs nothing of this project. It says what the method is, which claims are proved of it,
    and under which licence it is yours. In data and in noise prediction files have the same names: give each
    prediction a folder.

    Example: [bold]seeds-export seeds-3 --to torch --out sample_seeds_3.py[/bold]
    """
    if list_:
        Console().print(*_listing(), sep="\n")
        return
    if method is None or to is None:
        raise ParameterError("name a method and a target, as seeds-3 --to torch: --list has all")
    if to not in TARGETS:
        raise unknown("target", to, TARGETS)
    _require(method, prediction.value, to)
    if to != "json" and (sigmas is not None or eta is not None):
        raise ParameterError(f"--sigmas and --eta are for --to json; {to} takes any when it runs")
    levels = None if sigmas is None else _levels(sigmas)
    if out == "":
        raise ParameterError("--out names a file or a folder; got '': leave it out for the screen")
    if out is not None and not Path(out).resolve().parent.is_dir():
        raise ParameterError(f"no folder {Path(out).parent} to write {out} in: create it")
    with Console(stderr=True).status(f"writing {method} for {to}"):
        files = _files(method, prediction.value, to, levels, 1.0 if eta is None else eta)
    if out is None:
        _print(to, files)
    else:
        _write(files, out, force)


def _require(method: str, prediction: str, to: str) -> None:
    """The method has the nodes that its name states, that prediction, and the target."""
    base, at, _ = method.partition("@")
    if base not in _NAMES:
        raise unknown("method", base, _NAMES)
    if base not in MULTISTEP:
        named_scheme(method, prediction)
        return
    if at:
        raise ParameterError(f"{base} finds its nodes itself; got {method!r}: name it without")
    if prediction != "data":
        raise other_prediction(base, ("data",), prediction)
    if to not in MULTISTEP[base]:
        listed = " or ".join(MULTISTEP[base])
        raise ParameterError(f"{base} has memory, and is not written for {to}: --to {listed}")


def _files(
    method: str, prediction: str, to: str, sigmas: list[float] | None, eta: float
) -> dict[str, str]:
    if method in MULTISTEP:
        return _multistep_files(to)
    from seeds_theory.emit.method import method_program
    from seeds_theory.emit.targets import json, target

    program = method_program(method, prediction)
    return json.files(program, sigmas, eta) if to == "json" else target(to).files(program)


def _multistep_files(to: str) -> dict[str, str]:
    from seeds_theory.emit.multistep import multistep_program
    from seeds_theory.emit.targets import numpy, torch

    return {"torch": torch, "numpy": numpy}[to].multistep_files(multistep_program())


def _levels(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ParameterError(f"noise levels are written as 10,5,1,0; got {text!r}") from None


def _print(to: str, files: dict[str, str]) -> None:
    if len(files) > 1:
        raise ParameterError(
            f"{to} is {len(files)} files, {', '.join(files)}: name a folder, --out FOLDER"
        )
    sys.stdout.write(*files.values())


def _write(files: dict[str, str], out: str, force: bool) -> None:
    """One file as `out`, or in it if it is a folder or ends as one; several into the folder `out`."""
    path, to_folder = Path(out), len(files) > 1 or out.endswith(("/", os.sep))
    if to_folder and path.is_file():
        raise ParameterError(f"{path} is a file, no folder for {', '.join(files)}: name another")
    alone = not to_folder and not path.is_dir()
    targets = {path if alone else path / name: text for name, text in files.items()}
    for target in targets:
        require_new(target, force)
    for target, text in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(target)


def _listing() -> tuple[Table, Table]:
    methods = Table("method", "predictions", "model calls per step")
    for name, entry in registered().items():
        calls = 1 + len(entry.nodes) + len(entry.fixed)
        methods.add_row(name, ", ".join(entry.predictions), str(calls))
    for name in MULTISTEP:
        methods.add_row(name, "data", "1")
    targets = Table("target", "what it is")
    for name, what in TARGETS.items():
        targets.add_row(name, what)
    return methods, targets


def main() -> None:
    """Entry point of the console script."""
    run_command(app, "seeds-export")


if __name__ == "__main__":
    main()

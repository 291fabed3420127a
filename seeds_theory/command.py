"""What the commands share: JSON output, early checks, errors as one line and status 2.

It imports the standard library alone, as everything does that a command needs for its help, for completion
and to refuse a name that is not known.
"""

from __future__ import annotations

import inspect
import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seeds_theory.errors import ParameterError, SeedsError
from seeds_theory.extras import optional_imports
from seeds_theory.interruption import INTERRUPTED, stopped

if TYPE_CHECKING:
    import typer
    from rich.console import Console

_WIDE = 200  # columns


def one_of(names: Iterable[str] | Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Shell completion of an argument that takes these names: ``typer.Option(autocompletion=one_of(...))``.

    A function gives names that take work to find; it is called at completion.
    """

    def complete(incomplete: str) -> list[str]:
        found = names() if callable(names) else names
        return [name for name in found if name.startswith(incomplete)]

    return complete


def run_command(app: typer.Typer, name: str) -> None:
    """Run a typer app; bad input ends in one line on stderr and exit status 2, Ctrl-C in one and 130.

    So does a file that cannot be read or written, and want of memory. ``--version`` is an option of all.
    """
    _make_printable()
    if sys.argv[1:] == ["--version"]:
        from seeds_theory.version import __version__

        print(f"{name} {__version__}")
        raise SystemExit(0)
    for command in app.registered_commands:
        command.help = _paragraphs(inspect.getdoc(command.callback) or "")
    top = app.info if len(app.registered_commands) > 1 else app.registered_commands[0]
    top.epilog = "--version alone prints the version."
    try:
        with optional_imports():
            app(prog_name=name)
    except SeedsError as error:
        print(f"{name}: {_one_line(str(error))}", file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        said = f"cannot use the file{where}: {error.strerror or error}"
        print(f"{name}: {_one_line(said)}", file=sys.stderr)
        raise SystemExit(2) from None
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        print(f"{name}: out of memory: ask for less at a time", file=sys.stderr)
        raise SystemExit(2) from None
    except SystemExit as end:
        raise stopped(name) if end.code == INTERRUPTED else end from None
    except KeyboardInterrupt:
        raise stopped(name) from None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether something was too large for the host or the device; torch's errors are known by their words."""
    torchs = type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)
    return isinstance(error, MemoryError) or torchs


def _make_printable() -> None:
    """Whatever the encoding and the size of the terminal, results are printed.

    What the encoding lacks is escaped. A width of 0, that of a terminal that does not know its own, is
    forgotten: tables would have no columns.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if os.environ.get("COLUMNS", "x").strip("0") == "":
        del os.environ["COLUMNS"]


def console(json_file: str | None = None) -> Console:
    """Where a command prints its tables: stderr, if its JSON goes to stdout.

    In a pipe or file, which have no width, nothing is cut; COLUMNS is a width, as everywhere.
    """
    from rich.console import Console

    found = Console(stderr=json_file == "-")
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = _WIDE
    return found


def _one_line(message: str) -> str:
    """A message that cannot break its line or command the terminal, whatever names it quotes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in message)


@contextmanager
def warnings_in_one_line(name: str, *, quiet: bool = False) -> Iterator[None]:
    """Within it a warning to users is one line on stderr, after the command's name; nothing if quiet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if quiet else "always", UserWarning)
        warnings.showwarning = lambda message, *_, **__: print(
            f"{name}: {message}", file=sys.stderr
        )
        yield


def _paragraphs(text: str) -> str:
    """A docstring for help as wide as the terminal: without line ends, but where a backspace begins."""
    return "\n\n".join(
        part if part.startswith("\b") else part.replace("\n", " ") for part in text.split("\n\n")
    )


def require_writable(*targets: str | Path | None) -> None:
    """Before any work: each target can be a file, in a folder that exists. "-" and None pass."""
    for target in targets:
        if target is None or str(target) == "-":
            continue
        try:
            folder = Path(target).resolve().parent
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a null byte
            raise ParameterError(f"{target} is no place to write to: {error}") from None
        if not folder.is_dir():
            raise ParameterError(f"no folder {Path(target).parent} to write {target} in: create it")
        if Path(target).is_dir():
            raise ParameterError(f"{target or chr(39) * 2} is a folder: name a file in it")


def require_new(target: Path, force: bool) -> None:
    """Before any work: nothing is at the target yet, or it may be replaced."""
    if target.exists() and not force:
        raise ParameterError(f"{target} is there already: name another file, or add --force")


def require_picture(target: Path | None) -> None:
    """Before any work: a plot goes to a file of a kind that can be drawn. None passes."""
    if target and target.suffix not in (".png", ".svg", ".pdf"):
        raise ParameterError(f"a plot is a .png, .svg or .pdf file; got {target}")


def whole_numbers(text: str) -> list[int]:
    """The numbers of an option such as 8,16,32; raises ParameterError."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ParameterError(f"whole numbers are written as 8,16,32; got {text!r}") from None


def write_json(records: list[dict[str, Any]] | dict[str, Any], target: str) -> None:
    """Write a record or several to a file, or to stdout for "-"."""
    text = json.dumps(records, indent=1, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
    else:
        Path(target).write_text(text)

"""What the commands share."""

import os
import subprocess
import sys

import pytest
import typer

from seeds_theory.command import require_writable, run_command
from seeds_theory.errors import ParameterError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ParameterError("no file a\nb\x1b[31m\u202e"), r"no file a\nb\x1b[31m\u202e"),
        (ParameterError("a name of bytes: \udcff"), r"a name of bytes: \udcff"),
        (ParameterError("sigma = 0.2 ± 0.1"), "sigma = 0.2 ± 0.1"),
        (OSError(2, "No such file", "a\nb"), r"cannot use the file a\nb: No such file"),
    ],
)
def test_an_error_is_one_line_whatever_names_it_quotes(error, said, monkeypatch, capsys):
    app = typer.Typer()

    @app.command()
    def fail() -> None:
        """Fail."""
        raise error

    monkeypatch.setattr(sys, "argv", ["seeds-fail"])
    with pytest.raises(SystemExit) as end:
        run_command(app, "seeds-fail")
    assert end.value.code == 2
    assert capsys.readouterr().err == f"seeds-fail: {said}\n"


@pytest.mark.parametrize(
    ("surroundings", "shown"),
    [({"PYTHONIOENCODING": "ascii"}, r"width \xb1 1"), ({"COLUMNS": "0"}, "width ± 1")],
)
def test_results_are_printed_whatever_the_terminal_can(surroundings, shown):
    program = (
        "import typer; from rich.console import Console; from seeds_theory.command import run_command\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def show(): Console().print('width ± 1')\n"
        "run_command(app, 'seeds-show')\n"
    )
    usual = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "utf-8"}
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        env={**os.environ, **usual, **surroundings},
        check=True,
        encoding="utf-8",
    )
    assert run.stdout == f"{shown}\n"


@pytest.mark.parametrize("name", ["loop", "loop/file", "a\0b"])
def test_a_name_that_is_no_place_is_refused_before_any_work(tmp_path, name):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ParameterError, match="is no place to write to: "):
        require_writable(tmp_path / name)

"""The help of every command, against the libraries that print it."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
SCRIPTS = tomllib.loads(PROJECT.read_text())["project"]["scripts"]


def python(code):
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_takes_at_most_three_times_what_the_libraries_for_it_take(script, compare):
    module, _, function = SCRIPTS[script].partition(":")
    command = f"import sys, {module}; sys.argv = [{script!r}, '--help']; {module}.{function}()"
    ratio = compare(
        lambda: python(command),
        lambda: python("import typer, rich.table"),
        rounds=5,
        ours=f"{script} --help",
        peer="import typer, rich.table",
    )
    assert ratio <= 3

"""Programs that some tests run: compilers and interpreters of other languages, a browser."""

import os
import shutil
from pathlib import Path

import pytest


def tool(name: str) -> str:
    """The path of a program; without it the test is skipped; in continuous integration it fails."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI") or os.environ.get("SEEDS_REQUIRE_TOOLS"):
            pytest.fail(f"{name} is not installed, and this run may not leave out what needs it")
        pytest.skip(f"needs {name}")
    if Path(path).parent.match(
        ".cargo/bin"
    ):  # rustup's stand-in looks in the home, which may be another
        os.environ.setdefault("RUSTUP_HOME", str(Path(path).parents[2] / ".rustup"))
    return path

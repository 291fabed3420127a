"""Programs that some tests run: compilers and interpreters of other languages."""

import os
import shutil

import pytest


def tool(name: str) -> str:
    """The path of a program; without it the test is skipped; in continuous integration it fails."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI") or os.environ.get("SEEDS_REQUIRE_TOOLS"):
            pytest.fail(f"{name} is not installed, and this run may not leave out what needs it")
        pytest.skip(f"needs {name}")
    return path

"""Files that others wrote: opened only if they are files, and what is wrong with one in one line."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from gpu_runs.errors import printable

_LENGTH = 300  # of a library's message; it may quote the file


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading. Raises OSError, also for a pipe or device, which could block."""
    if path.exists() and not path.is_file():
        raise OSError("it is no regular file")
    return path.open("rb")


def reason(error: BaseException, line: int = 0) -> str:
    """One line of a library's message, to stand in ours; the kind of error if it has none."""
    lines = str(error).strip().splitlines()
    return printable(lines[line].strip()[:_LENGTH]) if lines else type(error).__name__

"""Files that others wrote: opened only if they are files, and what is wrong with one in one line."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from gpu_runs.errors import printable

_LENGTH = 300  # of a library's message; it may quote the file
# Not blocking: to open a pipe would wait for a writer. Binary: for Windows, which lacks the other.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading. Raises OSError, also for a pipe or device, which could block.

    What was opened is looked at, so that nobody can exchange it in between.
    """
    number = os.open(path, _FLAGS)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError("it is no regular file")
    return open(number, "rb")


def read_whole(path: Path, most: int) -> bytes:
    """The bytes of a regular file that has `most` of them or fewer. Raises OSError, also for a larger one."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(f"it has {size} bytes, more than the {most} that are read")
        try:
            return file.read(size)
        except MemoryError:
            raise OSError(f"its {size} bytes are more than there is memory for") from None


def reason(error: BaseException, line: int = 0) -> str:
    """One line of a library's message, to stand in ours; the kind of error if it has none."""
    said = getattr(error, "strerror", None) or str(error)  # of the system, without number and path
    lines = said.strip().splitlines()
    return printable(lines[line].strip()[:_LENGTH]) if lines else type(error).__name__

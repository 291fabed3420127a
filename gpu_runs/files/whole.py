"""Files that are whole or not there: written beside their place, and named when they are complete."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from seeds_theory.errors import SeedsError


class OutputError(SeedsError):
    """Output that cannot be written, or that belongs to another run."""


@contextmanager
def blamed_on(path: Path) -> Iterator[None]:
    """Turn an error of the file system into an OutputError that names the output and the way out."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            way_out = "what is there is whole: make room and run the command again"
        else:
            way_out = "choose another place"
        why = error.strerror or error
        if isinstance(error, FileExistsError) and os.path.isfile(error.filename):
            why = f"{error.filename} is a file and no folder"
        raise OutputError(f"cannot write {path}: {why}; {way_out}") from None


@contextmanager
def whole_file(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A file to write in place of `path`; it gets that name when it is whole, or is removed.

    durable : it is on the disk by then, and outlives a power failure.

    What a run that was killed left there is replaced. A link is never followed: it is replaced too.

    Raises
    ------
    OutputError : it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    with blamed_on(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        part.touch(exist_ok=False)
        try:
            yield part
            if durable:
                with part.open("rb") as file:
                    os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise

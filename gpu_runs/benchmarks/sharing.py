"""A folder that many processes work in, on one node or several: who does what is settled by locks of files.

A lock belongs to the process that holds it, and the system frees it when that process ends, however it
ends. So nothing has to be cleaned up after a kill, and whoever comes next takes over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gpu_runs.files.whole import OutputError, blamed_on
from seeds_theory.extras import optional_imports

with optional_imports():
    from filelock import FileLock, Timeout

_PATIENCE = 300.0  # seconds; what is done under a lock that others wait for takes moments


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock of that file, once it is free.

    Raises
    ------
    OutputError : it is not free for minutes, or the file system has no locks.
    """
    with _attempt(path, _PATIENCE) as mine:
        if not mine:
            raise OutputError(f"another process has held {path} for minutes: end that process")
        yield


@contextmanager
def held_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock of that file if no other process does; whether it is held. Raises OutputError."""
    with _attempt(path, 0.0) as mine:
        yield mine


@contextmanager
def _attempt(path: Path, patience: float) -> Iterator[bool]:
    with blamed_on(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=patience)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    except (OSError, NotImplementedError) as error:
        raise OutputError(
            f"the file system of {path} gives no locks ({error}): choose another place"
        ) from None
    try:
        yield True
    finally:
        lock.release()

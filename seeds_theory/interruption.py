"""Ctrl-C while a command starts: one line and status 130, as later on.

Before anything is imported that takes a while; so the standard library alone is used.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

INTERRUPTED = 130
"""What a command ends with on Ctrl-C."""


@contextmanager
def ending_at_once(name: str) -> Iterator[None]:
    """Within it Ctrl-C ends the process: for what leaves nothing behind, such as an import.

    An exception would do so as a traceback, or in an import turn into another one. Where someone else decides
    what Ctrl-C does, they go on to.
    """

    def end(number: int, frame: FrameType | None) -> None:
        with suppress(RuntimeError):  # it is being flushed, and is interrupted in that
            sys.stdout.flush()
        os.write(2, f"{name}: stopped\n".encode())
        os._exit(INTERRUPTED)

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def stopped(name: str) -> SystemExit:
    """Say that the command was stopped; what it ends with, to be raised."""
    print(f"{name}: stopped", file=sys.stderr)
    return SystemExit(INTERRUPTED)

"""How long a run may take: so many seconds of the processor, and far above them a limit by the clock.

On a busy machine a sound sampler waits for the processor, which is no fault of its own; one that sleeps, or
waits for what never comes, uses no processor at all.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil

CLOCK_SHARE = 10.0
"""The limit by the clock, in limits of the processor's time."""

_GLANCE, _AGAIN = 1.0, 1.0  # seconds between looks at both, and between alarms once the time is up


class TimeUp(BaseException):
    """Raised in a sampler that takes too long; says which limit it met.

    No Exception, as many samplers catch those; a bare except catches it too, therefore it is raised again
    every second.
    """


def processor_time() -> float:
    """Seconds of the processor used by this process, and by the programs that it started."""
    own, used = psutil.Process(), 0.0
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            times = process.cpu_times()
            used += times.user + times.system
            # Of those that have ended and were waited for.
            used += times.children_user + times.children_system
    return used


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeUp` after that many seconds of the processor, or ten times as many by the clock.

    An alarm that was set before still rings. There is no limit on Windows and outside the main thread,
    where no alarm can be set.
    """
    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return
    start, over = time.monotonic(), False
    used: float | None = None  # at the first look: most runs are over before it
    glance, clock = min(_GLANCE, seconds), CLOCK_SHARE * seconds

    def look(*_: Any) -> None:
        nonlocal used
        if over:
            return
        now = processor_time()
        if used is None:
            used = now
        if now - used >= seconds:
            reason = f"{seconds:g} s of the processor"
        elif time.monotonic() - start >= clock:
            reason = f"{clock:g} s"
        else:  # set anew each time: a look is never interrupted by the next
            signal.setitimer(signal.ITIMER_REAL, glance)
            return
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        raise TimeUp(reason)

    before = signal.signal(signal.SIGALRM, look)
    left, interval = signal.setitimer(signal.ITIMER_REAL, glance)
    try:
        yield
    finally:
        over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            due = max(left - (time.monotonic() - start), 1e-3)
            signal.setitimer(signal.ITIMER_REAL, due, interval)

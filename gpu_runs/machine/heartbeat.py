"""A sign of life of each process of a run, so that the others do not wait for one that is gone.

A process that works on a batch for hours is alive, and one whose node lost its power says nothing: so the
sign is a thread's, a number in the store of the run that it raises. Process 0 watches all, the others
process 0, and what it says of the others. Silence is counted in beats of one's own: a run that was suspended
as a whole goes on.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, Protocol

BEAT = 5.0
"""Seconds between two signs."""
SILENCE = 8
"""So many beats without a sign, and a process is gone."""


class Store(Protocol):
    """What is used of torch's stores."""

    def add(self, key: str, amount: int) -> int:
        """Add to a number, 0 at first; returns the sum."""
        ...


def end_process(wrong: str) -> NoReturn:
    """Say in one line why, and end with status 2, whatever the other threads are waiting for.

    What is written by then is whole: a run survives being killed.
    """
    print(f"{Path(sys.argv[0]).stem}: {wrong}", file=sys.stderr, flush=True)
    os._exit(2)


class Heartbeat:
    """The threads of one process that give its sign and look out for the others'.

    Parameters
    ----------
    store : of this thread alone, as a client of a store makes its callers wait for each other.
    rank, world : of this process. end : called with what is wrong, in a line.
    """

    def __init__(
        self,
        store: Store,
        rank: int,
        world: int,
        end: Callable[[str], object] = end_process,
    ) -> None:
        self._store, self._rank, self._end, self._beat = store, rank, end, BEAT
        self._watched = range(1, world) if rank == 0 else range(1)
        self._last = dict.fromkeys(self._watched, -1)
        self._silent = dict.fromkeys(self._watched, 0)
        self._unanswered = 0
        self._over = threading.Event()
        # Two, as the store itself may be what does not answer.
        for work in (self._give_signs, self._watch_the_store):
            threading.Thread(target=work, name="heartbeat", daemon=True).start()

    def stop(self) -> None:
        """Say that this process leaves: it is no longer waited for."""
        self._over.set()

    def _give_signs(self) -> None:
        while not self._over.is_set():
            with suppress(RuntimeError):  # of the store: its node may be gone
                self._look()
                self._unanswered = 0
            self._over.wait(self._beat)
        with suppress(RuntimeError):  # it has left too
            self._store.add(f"left {self._rank}", 1)

    def _look(self) -> None:
        store = self._store
        store.add(f"sign {self._rank}", 1)
        if self._rank > 0 and (lost := store.add("lost", 0)):
            self._say_lost(lost)
        for rank in self._watched:
            sign = store.add(f"sign {rank}", 0)
            still = sign == self._last[rank] and not store.add(f"left {rank}", 0)
            self._last[rank], self._silent[rank] = sign, self._silent[rank] + 1 if still else 0
            if self._silent[rank] >= SILENCE:
                if self._rank == 0:
                    store.add("lost", rank)
                    self._over.wait(2 * self._beat)  # until the others have read it
                self._say_lost(rank)

    def _watch_the_store(self) -> None:
        while not self._over.wait(self._beat):
            self._unanswered += 1
            if self._unanswered > SILENCE:
                self._say(f"the store of the run has not answered for {SILENCE * self._beat:.0f} s")

    def _say_lost(self, rank: int) -> None:
        self._say(f"process {rank} has given no sign of life for {SILENCE * self._beat:.0f} s")

    def _say(self, wrong: str) -> None:
        if not self._over.is_set():
            self._over.set()
            self._end(f"{wrong}: what is done is kept, run the same command again")

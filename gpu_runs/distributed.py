"""One run in several processes, as torchrun starts them: who one is, and how all end together.

A run that was not started so is the case of one process: the same calls, and nothing is sent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed import (  # type: ignore[attr-defined]
    HashStore,
    PrefixStore,
    rendezvous,
)

from seeds_theory.errors import SeedsError

Result = TypeVar("Result")

# A process may wait long for a slower one; if one dies, torchrun ends the others.
_PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them.

    Attributes
    ----------
    rank : number of this process, of `world` in all. device : where it computes.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = field(
        default_factory=lambda: torch.device("cuda" if torch.cuda.is_available() else "cpu")
    )
    _store: Any = field(default_factory=HashStore, repr=False)

    def gather(self, value: Any) -> list[Any]:
        """The (small) values of all processes by rank, in each of them; all wait for all."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def together(self, work: Callable[[], Result]) -> Result:
        """What `work` returns here, once it is done in all processes.

        If it raises a SeedsError in some, process 0 raises the first, and the others end silently with
        status 2. Any other error is a defect: it goes its way, and torchrun ends the others.
        """
        try:
            result, failure = work(), None
        except SeedsError as error:
            result, failure = None, error
            self._store.set("failed", "")
        failures = [error for error in self.gather(failure) if error is not None]
        if failures and self.rank > 0:
            raise SystemExit(2)
        if failures:
            raise failures[0]
        return result  # type: ignore[return-value]

    @property
    def failed(self) -> bool:
        """Whether some process has failed: no use in going on."""
        return self._store.check(["failed"])

    def count(self, name: str, more: int) -> int:
        """Add to a number that all processes share; returns the sum."""
        return self._store.add(name, more)


@contextmanager
def processes() -> Iterator[Processes]:
    """The processes that torchrun started, on one node or several: NCCL on GPUs, gloo on CPUs."""
    if "RANK" not in os.environ:
        yield Processes()
        return
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else "cpu"
    if cuda:
        torch.cuda.set_device(device)
    store, rank, world = next(iter(rendezvous("env://")))
    # What is gathered here lies on the host: gloo carries it, also between GPUs.
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=_PATIENCE)
    try:
        yield Processes(rank, world, torch.device(device), PrefixStore("gpu_runs", store))
    finally:
        dist.destroy_process_group()

"""One run in several processes, as torchrun starts them: who one is, and how all end together.

A run that was not started so is the case of one process: the same calls, and nothing is sent.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed import (  # type: ignore[attr-defined]
    HashStore,
    PrefixStore,
    rendezvous,
)

from gpu_runs.machine.device import require_device
from seeds_theory.errors import ParameterError, SeedsError

Result = TypeVar("Result")

# How long a process waits for the others before it ends with an error. On one node torchrun notices at
# once if a process dies, on several not always. Those that work wait for a batch of another, no longer.
_PATIENCE = timedelta(hours=2)


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them.

    Attributes
    ----------
    rank : number of this process, of `world` in all. device : where it computes.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: require_device(None))
    _store: Any = field(default_factory=HashStore, repr=False)
    _runs: Iterator[int] = field(default_factory=itertools.count, repr=False)

    def new_run(self) -> Processes:
        """The same processes with nothing failed or counted yet. All have to call it, in the same order."""
        return replace(self, _store=PrefixStore(f"run{next(self._runs)}", self._store))

    def gather(self, value: Any) -> list[Any]:
        """The (small) values of all processes by rank, in each of them; all wait for all."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def gather_to_first(self, value: Any) -> list[Any]:
        """The values of all processes by rank, in process 0; in the others none. For large ones."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * (self.world if self.rank == 0 else 0)
        dist.gather_object(value, values or None)
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
def processes(device: str | None = None) -> Iterator[Processes]:
    """The processes that torchrun started, on one node or several: NCCL on GPUs, gloo on CPUs.

    device : where they compute, by default on GPUs if there are any. Of those each process takes the one
        that torchrun gives it by its local rank; so there it is "cpu" or "cuda", without a number.

    Raises
    ------
    ParameterError : no such device, in one of them.
    """
    if "RANK" not in os.environ:
        yield Processes(device=require_device(device))
        return
    store, rank, world = next(iter(rendezvous("env://")))
    # What is gathered here lies on the host: gloo carries it, also between GPUs.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=_PATIENCE)
    try:
        group = Processes(rank, world, torch.device("cpu"), PrefixStore("gpu_runs", store))
        own = group.together(lambda: _own_device(device))
        if own.type == "cuda":
            torch.cuda.set_device(own)
        yield replace(group, device=own)
    finally:
        dist.destroy_process_group()


def _own_device(name: str | None) -> torch.device:
    """The device of this process among those that torchrun started on this node."""
    if name not in (None, "cpu", "cuda"):
        raise ParameterError(
            f"under torchrun a device is cpu or cuda, and the local rank chooses the GPU; got {name!r}"
        )
    on_gpu = name == "cuda" or (name is None and torch.cuda.is_available())
    return require_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if on_gpu else "cpu")

"""One run in several processes, as a launcher starts them: who one is, and how all end together.

A run that was not started so is the case of one process: the same calls, and nothing is sent. Who launches is
said in `gpu_runs.machine.launch`.
"""

from __future__ import annotations

import itertools
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
    TCPStore,
    rendezvous,
)

from gpu_runs.machine.device import require_device
from gpu_runs.machine.heartbeat import Heartbeat
from gpu_runs.machine.launch import Place, is_one_of_several
from seeds_theory.errors import ParameterError, SeedsError

Result = TypeVar("Result")

# How long a process waits for another that works on a batch; one that is gone is noticed by its heartbeat.
_PATIENCE = timedelta(hours=2)
_START = timedelta(minutes=10)  # within which all processes are there


class ProcessLost(SeedsError):
    """Another process of the run that ended, or cannot be reached."""


@contextmanager
def _reaching_others() -> Iterator[None]:
    """Errors of torch's communication, as one line."""
    try:
        yield
    except RuntimeError as error:
        raise ProcessLost(
            "another process of the run ended or cannot be reached: what is done is kept, run the same "
            "command again"
        ) from error


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
        with _reaching_others():
            dist.all_gather_object(values, value)
        return values

    def gather_to_first(self, value: Any) -> list[Any]:
        """The values of all processes by rank, in process 0; in the others none. For large ones."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * (self.world if self.rank == 0 else 0)
        with _reaching_others():
            dist.gather_object(value, values or None)
        return values

    def together(self, work: Callable[[], Result]) -> Result:
        """What `work` returns here, once it is done in all processes.

        If it raises a SeedsError in some, process 0 raises the first, and the others end silently with
        status 2. Where a process is gone each says so, as none may be left to say it for all. Any other error
        is a defect: it goes its way, and the launcher ends the others, or they miss its heartbeat.
        """
        try:
            result, failure = work(), None
        except ProcessLost:
            raise
        except SeedsError as error:
            result, failure = None, error
            with _reaching_others():
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
        with _reaching_others():
            return self._store.check(["failed"])

    def count(self, name: str, more: int) -> int:
        """Add to a number that all processes share; returns the sum."""
        with _reaching_others():
            return self._store.add(name, more)


@contextmanager
def processes(device: str | None = None) -> Iterator[Processes]:
    """The processes that a launcher started, on one node or several: NCCL on GPUs, gloo on CPUs.

    If one of them is gone, also without a word as with its node, the others end within a minute with one line
    and status 2.

    device : where they compute, by default on GPUs if there are any. Of those each process takes the one
        that the launcher gives it by its local rank; so there it is "cpu" or "cuda", without a number.

    Raises
    ------
    ParameterError : no such device, in one of them; or the launcher does not say who this process is.
    ProcessLost : the others do not come, or one ends before its time.
    """
    if not is_one_of_several():
        yield Processes(device=require_device(device))
        return
    place = Place.told()
    rank, world = place.rank, place.world
    try:
        store, rank, world = next(iter(rendezvous("env://", timeout=_START)))
        # A client of its own, and never the server, which is there by now.
        own = TCPStore(
            place.address, place.port, is_master=False, timeout=_START, wait_for_workers=False
        )
        # What is gathered here lies on the host: gloo carries it, also between GPUs.
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(
            backend, store=store, rank=rank, world_size=world, timeout=_PATIENCE
        )
    except (RuntimeError, OSError) as error:
        raise ProcessLost(
            f"process {rank} of {world}: the others did not come to {place.address}, port {place.port}, in "
            f"time: {str(error).splitlines()[0][:100]}"
        ) from None
    # Under torchrun the store outlives processes that are started again.
    heartbeat = Heartbeat(PrefixStore(f"heartbeat {place.attempt}", own), rank, world)
    try:
        group = Processes(rank, world, torch.device("cpu"), PrefixStore("gpu_runs", store))
        chosen = group.together(lambda: _own_device(device, place.local_rank))
        if chosen.type == "cuda":
            torch.cuda.set_device(chosen)
        yield replace(group, device=chosen)
    finally:
        heartbeat.stop()
        dist.destroy_process_group()


def _own_device(name: str | None, local_rank: int) -> torch.device:
    """The device of this process among those that the launcher started on this node."""
    if name not in (None, "cpu", "cuda"):
        raise ParameterError(
            "with several processes a device is cpu or cuda, and the local rank chooses the GPU; got "
            f"{name!r}"
        )
    on_gpu = name == "cuda" or (name is None and torch.cuda.is_available())
    return require_device(f"cuda:{local_rank}" if on_gpu else "cpu")

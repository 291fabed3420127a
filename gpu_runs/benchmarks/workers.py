"""Processes that work for one: they send what they have done, and end with it, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from seeds_theory.errors import SeedsError


class WorkerLost(SeedsError):
    """A process of the benchmark that was killed."""


Target = Callable[..., Iterator[int]]
"""What a process does: a function of a module, called with the arguments and the device as the last one."""


def in_processes(
    target: Target, arguments: tuple[Any, ...], jobs: int, device: str | None
) -> Iterator[int]:
    """What `target` yields in each of `jobs` processes, as it comes.

    The processes are fresh, since forking one that has threads or a GPU can lock up, and each computes on
    one thread. They share nothing with this one but a pipe, so there is nothing to be left behind.

    device : where they compute; None and "cuda" are the GPUs in turn, if there are any.

    Raises
    ------
    SeedsError : the first that is raised in a process. WorkerLost : one was killed.
    """
    context = multiprocessing.get_context("spawn")
    running: dict[Any, Any] = {}
    try:
        for number in range(jobs):
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(
                target=_run,
                args=(sender, target, (*arguments, _device(device, number))),
                name=f"seeds-bench-{number}",
            )
            process.start()
            running[receiver] = process
            sender.close()  # the process has its own: when that is closed, it has ended
        while running:
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                try:
                    message = ready.recv()
                except EOFError:
                    process = running.pop(ready)
                    process.join()
                    if process.exitcode:
                        raise WorkerLost(
                            f"a process of the benchmark {_end(process.exitcode)}: what is done is "
                            "kept, run it again with fewer --jobs"
                        ) from None
                    continue
                if isinstance(message, SeedsError):
                    raise message
                yield message
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.join()


def _end(code: int) -> str:
    if code < 0:
        return f"was killed by signal {-code}, perhaps for want of memory"
    return f"ended with code {code}"


def _device(device: str | None, number: int) -> str | None:
    if device in (None, "cuda") and torch.cuda.is_available():
        return f"cuda:{number % torch.cuda.device_count()}"
    return device


def _run(sender: Connection, target: Target, arguments: tuple[Any, ...]) -> None:
    """In a process: do the work and send what it yields, or the error that ends it."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C goes to all; the first process ends the others
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    try:
        for done in target(*arguments):
            sender.send(done)
    except SeedsError as error:
        sender.send(error)


def _end_with_parent() -> None:
    """Wait for the end of the process that started this one, by whatever signal; then end at once."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)

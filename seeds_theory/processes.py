"""Work shared by processes of one thread each, with a progress bar."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

import torch

from seeds_theory.progress import with_bar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    jobs: int,
    label: str,
    progress: bool,
    chunk: int = 1,
    fresh: bool = False,
) -> list[Result]:
    """The function of each item, in order, on that many processes of one thread each; with a bar.

    fresh : each item has a process of its own, in which nothing was imported for another one.
    """
    bar: dict[str, Any] = {"show": progress, "total": len(items), "desc": label, "leave": False}
    if not fresh and (jobs == 1 or len(items) == 1):
        return [function(item) for item in with_bar(items, **bar)]
    # Fresh processes: forking one that has threads, as a notebook or torch has, can lock up.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        jobs,
        context,
        initializer=torch.set_num_threads,
        initargs=(1,),
        max_tasks_per_child=1 if fresh else None,
    ) as pool:
        return list(with_bar(pool.map(function, items, chunksize=chunk), **bar))

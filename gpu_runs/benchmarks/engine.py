"""The engine of `seeds-bench`: makes the images of each cell of a plan, scores them, and compares them.

The seeds of a cell are cut into batches, each of which is a file when it is made. Whoever is free takes the
next batch that is neither there nor being made: a process of this run, of torchrun, or of another run in the
same folder on another node. So a run that is killed goes on at the batch where it was. Whoever finds a cell's
batches complete scores it, beside the next batch, and whoever finds the fine solution there too compares the
cell with it.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from gpu_runs.benchmarks.bench import Bench, Resources
from gpu_runs.benchmarks.curves import write_report
from gpu_runs.benchmarks.pieces import Piece, Pieces
from gpu_runs.benchmarks.plans import Cell, Plan
from gpu_runs.benchmarks.results import (
    ROWS,
    Key,
    Results,
    Row,
    key_of,
    open_results,
    read_results,
)
from gpu_runs.benchmarks.sharing import held, held_if_free
from gpu_runs.benchmarks.workers import in_processes
from gpu_runs.checkpoints.checkpoint import file_sha256
from gpu_runs.errors import printable
from gpu_runs.generation.shared_path import PARTS
from gpu_runs.machine.device import device_name
from gpu_runs.names import FASHION_MNIST
from gpu_runs.scores.reference import REFERENCE_FILE
from gpu_runs.scores.report import fewest_to_extrapolate, remarks_on
from seeds_theory.errors import ParameterError, SeedsError
from seeds_theory.version import __version__

_UNTIL_LOOKED_AGAIN = 1.0  # seconds, while others make what is left


def run_plan(
    plan: Plan, out: str | Path, resources: Resources | None = None, *, jobs: int = 1
) -> Results:
    """Do what is left of a plan in a folder, and write all results there.

    Parameters
    ----------
    plan : of `gpu_runs.benchmarks.plans`. out : the folder, which other runs of the same plan may share.
    resources : by default those of `Resources`.
    jobs : processes that share the work, each on one thread; on GPUs, unless the device is one by its
        number, on all of them in turn.

    Returns
    -------
    All results, failed cells among them, as of `gpu_runs.benchmarks.results`.

    Raises
    ------
    SeedsError : bad input; results of another benchmark in the folder. What is there stays.
    """
    resources, out = resources or Resources(), Path(out)
    if jobs < 1:
        raise ParameterError(f"jobs are one or more; got {jobs}")
    bench = Bench(plan, resources)
    cells, remarks = plan.cells(bench.network)
    bench.sampler(cells[0].curve, cells[0].steps)  # all settings
    there = open_results(out, _header(bench, cells, remarks, jobs))
    log = _Log(out, {row.key for row in there.rows}, len(cells)) if resources.log else None
    if jobs > 1:
        bench.free()  # each process has its own
        made = in_processes(_work_in_process, (plan, resources, out), jobs, resources.device)
    else:
        made = Worker(bench, cells, out).work()
    with tqdm(
        desc="network calls", unit_scale=True, unit="", disable=not resources.progress
    ) as bar:
        for calls in made:
            bar.update(calls)
            if log:
                log.tell()
    if log:
        log.tell()
    results = read_results(out)
    with held(out / ".report.lock"):
        write_report(results)
    return results


def _work_in_process(
    plan: Plan, resources: Resources, out: Path, device: str | None
) -> Iterator[int]:
    """As of `Worker.work`, in a process that has loaded nothing yet."""
    bench = Bench(plan, Resources(resources.weights, resources.trust, device))
    return Worker(bench, plan.cells(bench.network)[0], out).work()


class _Log:
    """Lines on stderr of the cells that are scored, each once, whoever scores them."""

    def __init__(self, out: Path, told: set[Key], cells: int) -> None:
        self._out, self._told, self._cells = out, told, cells

    def tell(self) -> None:
        """Of those that are new."""
        for row in read_results(self._out).rows:
            if row.key in self._told:
                continue
            self._told.add(row.key)
            found = (
                f"failed: {row.error}" if row.error else f"distance {row.frechet:.4g} as measured"
            )
            what = f"{row.label}, {row.steps} steps, block {row.block}"
            place = f"{len(self._told)} of {self._cells} cells"
            print(printable(f"{place}: {what}: {found}"), file=sys.stderr, flush=True)


class Worker:
    """One of the processes that do the cells of a plan in a folder."""

    def __init__(self, bench: Bench, cells: list[Cell], out: Path) -> None:
        self.bench, self.cells, self.out = bench, cells, out
        self.pieces = Pieces(out, bench.shape, len(bench.reference.mean))
        self._rows = _Rows(out)
        # A thread has its own number of threads for computing: that of the others, not all cores.
        threads = torch.get_num_threads()
        self._scorer = ThreadPoolExecutor(
            1, "scores", initializer=torch.set_num_threads, initargs=(threads,)
        )
        self._scoring: dict[Key, Future[None]] = {}

    def work(self) -> Iterator[int]:
        """Do what is left until all is done, here or elsewhere; yields network calls as they are done."""
        with self._scorer:
            self._scorer.submit(self._compare).result()
            left = self.cells
            while left := [cell for cell in left if not self._rows.have(cell)]:
                made = 0
                for cell in left:
                    for calls in self._make(cell):
                        made += calls
                        yield calls
                self._settle()
                if not made:
                    time.sleep(_UNTIL_LOOKED_AGAIN)
            while self._due():
                self._compare()
                time.sleep(_UNTIL_LOOKED_AGAIN)

    def _make(self, cell: Cell) -> Iterator[int]:
        """Make what is missing of a cell and made by no other; score it if it is complete then."""
        if self._rows.have(cell) or key_of(cell) in self._scoring:
            return
        for seeds in self.bench.batches(cell.block):
            path, lock = self.pieces.path(cell, seeds), self.pieces.lock(cell, seeds)
            if path.exists():
                continue
            with held_if_free(lock) as mine:
                if not mine:
                    continue
                if not path.exists():
                    try:
                        piece = self.bench.make(cell, seeds)
                    except SeedsError as error:
                        self._rows.append(self.bench.failed(cell, error))
                        return
                    self.pieces.write(cell, seeds, piece)
                    yield cell.nfe * len(seeds)
                lock.unlink(missing_ok=True)
            self._settle(wait=False)
        # Whoever makes the last batch sees all of them.
        if all(self.pieces.path(cell, seeds).exists() for seeds in self.bench.batches(cell.block)):
            self._scoring[key_of(cell)] = self._scorer.submit(self._score, cell)

    def _settle(self, *, wait: bool = True) -> None:
        """Raise what went wrong in the scores that are done, or in all of them."""
        for key, task in list(self._scoring.items()):
            if wait or task.done():
                del self._scoring[key]
                task.result()

    # What follows runs beside the making of images, in the thread of the scores.

    def _score(self, cell: Cell) -> None:
        """Score a cell that is complete, unless another process does; then compare what can be."""
        with held_if_free(self._lock(cell, "score")) as mine:
            if mine and not _Rows(self.out).have(cell):
                read_results(self.out).append(self.bench.score(cell, self._joined(cell)))
        self._compare()

    def _due(self) -> list[tuple[Cell, Cell]]:
        """The cells that can be compared and are not, each with its fine solution."""
        results = read_results(self.out)
        scored = {row.key for row in results.rows if not row.error}
        compared = {row.key for row in results.laws}
        found = []
        for cell in self.cells:
            curve = self.bench.plan.fine_of(cell.curve)
            if curve is None or curve == cell.curve or key_of(cell) in compared:
                continue
            fine = replace(cell, curve=curve, steps=curve.steps[0])
            if {key_of(cell), key_of(fine)} <= scored:
                found.append((cell, fine))
        return found

    def _compare(self) -> None:
        for cell, fine in self._due():
            with held_if_free(self._lock(cell, "law")) as mine:
                if mine and (cell, fine) in self._due():  # others compare, too
                    row = self.bench.compare(cell, self._joined(cell), self._joined(fine))
                    read_results(self.out).append(row)

    def _joined(self, cell: Cell) -> Piece:
        """All images of a cell."""
        seeds = self.bench.batches(cell.block)
        return Piece.joined([self.pieces.read(cell, batch) for batch in seeds])

    def _lock(self, cell: Cell, what: str) -> Path:
        first = self.pieces.path(cell, self.bench.plan.seeds(cell.block))
        return first.with_suffix(f".{what}.lock")


class _Rows:
    """Which cells have a row, whoever made it."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._seen: tuple[int, int] | None = None
        self._keys: set[Key] = set()

    def have(self, cell: Cell) -> bool:
        """Whether a cell has one; the file is read again if it has changed."""
        status = (self._out / ROWS).stat()
        seen = (status.st_mtime_ns, status.st_size)
        if seen != self._seen:
            self._keys = {row.key for row in read_results(self._out).rows}
            self._seen = seen
        return key_of(cell) in self._keys

    def append(self, row: Row) -> None:
        """Add one."""
        read_results(self._out).append(row)


def _header(bench: Bench, cells: list[Cell], remarks: list[str], jobs: int) -> dict[str, Any]:
    """What run.json says of the rows. Settings that differ, or cells that are lost, are another benchmark."""
    plan = bench.plan
    remarks = [*remarks, *remarks_on(bench.reference)]
    needed = fewest_to_extrapolate(len(bench.reference.mean))
    if plan.images < needed:
        remarks = [
            *remarks,
            f"fewer than {needed} images to a block: more than the first term of the bias counts, so the "
            "distances still depend on how many there are",
        ]
    reference = REFERENCE_FILE if plan.reference == FASHION_MNIST else Path(plan.reference)
    asked = asdict(plan)
    files = {name: asked.pop(name) for name in ("network", "reference", "features")}
    apart = ("curves", "blocks", "fine")
    return {
        "settings": {
            "seeds-theory": __version__,
            **bench.identity,
            "reference": file_sha256(reference),
            "features": bench.features.digest,
            **{name: value for name, value in asked.items() if name not in apart},
            "parts": PARTS if plan.fine else None,
            "fine": [f"{c.method} {c.options_text} {c.steps[0]}" for c in plan.fine],
        },
        "blocks": plan.blocks,
        "cells": [
            {
                "label": cell.curve.label,
                "method": cell.curve.method,
                "options": cell.curve.options_text,
                "steps": cell.steps,
            }
            for cell in cells
            if cell.block == 0
        ],
        "curves": [
            {
                "label": curve.label,
                "published": curve.published,
                "recalled": curve.recalled,
                "fine": fine.label if (fine := plan.fine_of(curve)) else None,
            }
            for curve in plan.curves
        ],
        "budgets": sorted({most for curve in plan.curves for most in curve.nfe}),
        "distance": bench.features.distance,
        "files": files,
        "remarks": remarks,
        "runs": [
            {
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
                "jobs": jobs,
                "device": device_name(bench.device),
                "python": platform.python_version(),
                **{name: version(name) for name in ("torch", "numpy")},
            }
        ],
    }

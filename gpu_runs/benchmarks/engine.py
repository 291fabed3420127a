"""The engine of `seeds-bench`: makes the images of each cell of a plan and scores them.

The images are those of `seeds-generate` with the same settings and seeds; they are scored as they are made
and not written. A cell that is done is a row on disk, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import multiprocessing
import platform
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from gpu_runs.benchmarks.curves import write_report
from gpu_runs.benchmarks.plans import Cell, Plan
from gpu_runs.benchmarks.results import Results, Row, key_of, open_results
from gpu_runs.checkpoints.checkpoint import file_sha256
from gpu_runs.checkpoints.opening import open_network
from gpu_runs.files.images import ImageSet
from gpu_runs.generation.run_folder import only_writer
from gpu_runs.generation.sampler import GridWarning, ImageSampler
from gpu_runs.machine.device import device_name, require_device
from gpu_runs.names import FASHION_MNIST
from gpu_runs.scores.features import load_features
from gpu_runs.scores.reference import REFERENCE_FILE, load_reference
from gpu_runs.scores.report import require_comparable, score
from gpu_runs.scores.summary import Summary, summarise
from seeds_theory.errors import ParameterError, SeedsError

_SCORES = ("frechet", "floor", "kernel", "kernel_error", "class_score", "precision", "recall")


class WorkerLost(SeedsError):
    """A process of the benchmark that was killed."""


@dataclass(frozen=True)
class Resources:
    """What a run has besides its plan; nothing here changes a score by more than rounding.

    weights, trust : of the feature network, as of `load_features`. batch : images to a network call.
    device : where all computes, by default the GPU if there is one. progress : show a bar.
    """

    weights: Path | None = None
    trust: bool = False
    batch: int = 64
    device: str | None = None
    progress: bool = False


class Bench:
    """The networks and the reference of a plan, loaded, in one process.

    Raises
    ------
    SeedsError : whatever is wrong with the files, or does not fit together.
    """

    def __init__(self, plan: Plan, resources: Resources) -> None:
        self.plan, self.resources = plan, resources
        if resources.batch < 1:
            raise ParameterError(f"a batch has one image or more; got {resources.batch}")
        self.device = require_device(resources.device)
        self.reference = load_reference(plan.reference)
        self.network, self.identity = open_network(plan.network, self.device)
        self.features = load_features(
            plan.features,
            weights=resources.weights,
            trust=resources.trust,
            device=self.device,
        )
        self.shape = (self.network.channels, self.network.resolution, self.network.resolution)
        black = ImageSet((1, *self.shape), lambda _: np.zeros((1, *self.shape), np.uint8))
        require_comparable(black, self.reference, self.features)

    def row(self, cell: Cell) -> Row:
        """Make and score the images of a cell. What goes wrong with it is in the row."""
        seeds = self.plan.seeds(cell.block)
        done: dict[str, Any] = {}
        start, making = time.perf_counter(), 0.0

        def read(indices: np.ndarray) -> np.ndarray:
            nonlocal making
            began = time.perf_counter()
            images = sampler([seeds[index] for index in indices.tolist()]).numpy()
            making += time.perf_counter() - began
            return images

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", GridWarning)  # a remark of the plan's already
                sampler = ImageSampler(self.network, self.plan.settings(cell.curve, cell.steps))
            parts = summarise(
                ImageSet((len(seeds), *self.shape), read),
                self.features,
                batch=self.resources.batch,
                progress=self.resources.progress,
            )
            scores = score(Summary.merged(parts), self.reference, self.features)
            done = {name: getattr(scores, name) for name in _SCORES}
            done["images_per_second"] = len(seeds) / making
        except SeedsError as error:
            done["error"] = " ".join(str(error).split())
        label, method, options, steps, block = key_of(cell)
        return Row(
            label,
            method,
            options,
            steps,
            cell.nfe,
            block,
            seeds[0],
            len(seeds),
            seconds=time.perf_counter() - start,
            **done,
        )


def run_plan(
    plan: Plan, out: str | Path, resources: Resources | None = None, *, jobs: int = 1
) -> Results:
    """Do the cells of a plan that are not in the folder yet, and write all results there.

    Parameters
    ----------
    plan : of `gpu_runs.benchmarks.plans`. out : the folder. resources : by default those of `Resources`.
    jobs : processes that share the cells, each on one thread; on GPUs, unless the device is one by its
        number, on all of them in turn.

    Returns
    -------
    All results, failed cells among them, as of `gpu_runs.benchmarks.results`.

    Raises
    ------
    SeedsError : bad input; results of another benchmark in the folder. Rows that are there stay.
    """
    resources = resources or Resources()
    if jobs < 1:
        raise ParameterError(f"jobs are one or more; got {jobs}")
    bench = Bench(plan, resources)
    cells, remarks = plan.cells(bench.network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GridWarning)
        ImageSampler(bench.network, plan.settings(cells[0].curve, cells[0].steps))  # all settings
    header = _header(bench, cells, remarks, jobs)
    with only_writer(Path(out)):
        results = open_results(Path(out), header)
        done = {row.key for row in results.rows}
        todo = [cell for cell in cells if key_of(cell) not in done]
        if jobs > 1:
            del bench  # each process has its own
            torch.cuda.empty_cache()
            rows = _in_processes(plan, resources, todo, jobs)
        else:
            rows = map(bench.row, todo)
        with tqdm(
            desc="network calls",
            total=sum(cell.nfe for cell in cells) * plan.images,
            initial=sum(row.nfe for row in results.rows) * plan.images,
            unit_scale=True,
            disable=not resources.progress,
        ) as bar:
            for row in rows:
                results.append(row)
                bar.update(row.nfe * row.images)
        write_report(results)
    return results


def _header(bench: Bench, cells: list[Cell], remarks: list[str], jobs: int) -> dict[str, Any]:
    """What run.json says of the rows. Settings that differ, or cells that are lost, are another benchmark."""
    plan = bench.plan
    reference = REFERENCE_FILE if plan.reference == FASHION_MNIST else Path(plan.reference)
    asked = asdict(plan)
    files = {name: asked.pop(name) for name in ("network", "reference", "features")}
    return {
        "settings": {
            "seeds-theory": version("seeds-theory"),
            **bench.identity,
            "reference": file_sha256(reference),
            "features": bench.features.digest,
            **{name: value for name, value in asked.items() if name not in ("curves", "blocks")},
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
            {"label": curve.label, "published": curve.published, "recalled": curve.recalled}
            for curve in plan.curves
        ],
        "distance": bench.features.distance,
        "files": files,
        "remarks": remarks,
        "runs": [
            {
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
                "jobs": jobs,
                "batch": bench.resources.batch,
                "device": device_name(bench.device),
                "python": platform.python_version(),
                **{name: version(name) for name in ("torch", "numpy")},
            }
        ],
    }


_bench: Callable[[], Bench]  # of a worker process


def _in_processes(
    plan: Plan, resources: Resources, cells: Sequence[Cell], jobs: int
) -> Iterator[Row]:
    """The rows of cells as they are finished."""
    # Fresh processes: forking one that has threads or a GPU can lock up.
    context = multiprocessing.get_context("spawn")
    started = context.Value("i", 0)
    with ProcessPoolExecutor(
        jobs, context, initializer=_start_worker, initargs=(plan, resources, started)
    ) as pool:
        try:
            for future in as_completed([pool.submit(_row, cell) for cell in cells]):
                yield future.result()
        except BrokenProcessPool:
            raise WorkerLost(
                "a process of the benchmark was killed, perhaps for want of memory: the rows that are "
                "done are kept, run it again with fewer --jobs"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker(plan: Plan, resources: Resources, started: Any) -> None:
    global _bench
    torch.set_num_threads(1)
    with started.get_lock():
        number = started.value
        started.value += 1
    device = resources.device
    if device in (None, "cuda") and torch.cuda.is_available():
        device = f"cuda:{number % torch.cuda.device_count()}"
    # Not yet: what goes wrong here would only be said to have killed the process.
    _bench = cache(lambda: Bench(plan, replace(resources, device=device, progress=False)))


def _row(cell: Cell) -> Row:
    return _bench().row(cell)

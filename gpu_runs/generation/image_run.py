"""A run: the images of many seeds, in batches, by one process or several, stopped and resumed at will.

The seeds are cut into batches in their order. Who makes a batch, and when, does not change it; so the files
are the same for any number of processes of as many threads each, and however often the run was stopped.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from tqdm import tqdm

from gpu_runs.files.images import write_grid
from gpu_runs.files.whole import OutputError, whole_file
from gpu_runs.generation.images_of_run import OpenImages
from gpu_runs.generation.manifest import Manifest
from gpu_runs.generation.network_images import NetworkImages
from gpu_runs.generation.run_folder import mark_of, only_writer, open_output
from gpu_runs.generation.sampler import Generation
from gpu_runs.machine.device import device_name
from gpu_runs.machine.distributed import Processes
from seeds_theory.errors import SeedsError
from seeds_theory.seeds_range import batches, format_seeds, parse_seeds
from seeds_theory.version import __version__

_MOST_PIXELS = 2**22  # of the picture of the first images
_UNTIL_SEEN = 90.0  # seconds; NFS may hide a file that another node has written for 60


class DifferentRuns(SeedsError):
    """Processes that were started for one run, but each for another."""


def generate_images(
    network: str,
    settings: Generation,
    seeds: Sequence[int],
    out: str | Path,
    *,
    batch: int = 64,
    group: Processes | None = None,
    command: str = "",
    progress: bool = False,
) -> dict[str, Any]:
    """Make the images of a network, one for each seed: `make_run` with `NetworkImages`.

    Parameters
    ----------
    network : a checkpoint, the name of an embedded one, or code of the user's, as of
        `gpu_runs.checkpoints.opening.open_network`. settings : of the images. The rest is as of `make_run`.
    """
    return make_run(
        partial(NetworkImages, network, settings),
        seeds,
        out,
        batch=batch,
        group=group,
        command=command,
        progress=progress,
    )


def make_run(
    open_images: OpenImages,
    seeds: Sequence[int],
    out: str | Path,
    *,
    batch: int = 64,
    group: Processes | None = None,
    command: str = "",
    progress: bool = False,
) -> dict[str, Any]:
    """Make the images of seeds that are not there yet, and a picture of the first ones.

    Parameters
    ----------
    open_images : loads what makes the images, see `gpu_runs.generation.images_of_run`.
    seeds : ascending. out : a folder for PNGs, or an .npy or .npz file.
    batch : images to a network call. They are cut into batches in the order of their numbers; who makes a
        batch, and when, does not change it.
    group : the processes that share the work; by default this one.
    command : to be recorded. progress : show a bar, in process 0.

    Returns
    -------
    The content of the manifest, how many images were "asked" for, and as "made" how many were missing; in
    process 0, in the others an empty one.

    Raises
    ------
    SeedsError : whatever is wrong with the input, or went wrong. What was done by then is kept.
    """
    group = (group or Processes()).new_run()
    with group.together(lambda: _Run(open_images, Path(out), group)) as run:
        group.together(lambda: run.prepare(list(seeds), batch))
        group.together(lambda: run.open(command))
        group.together(lambda: run.make(progress))
        group.together(run.finish)
        if not run.leads:
            return {}
        return {**run.manifest.content, "asked": len(run.numbers), "made": len(run.missing)}


class _Run:
    """A run in one of its processes. Process 0 says what there is to do and keeps the manifest."""

    def __init__(self, open_images: OpenImages, out: Path, group: Processes) -> None:
        self.open_images, self.group = open_images, group
        self.output = open_output(out)
        self.leads = group.rank == 0
        self.missing: list[int] = []
        self._held = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._held.close()

    def prepare(self, seeds: list[int], batch: int) -> None:
        """Check all input, and say what determines the images."""
        self.seeds = parse_seeds(format_seeds(seeds))
        self.images = self.open_images(self.group.device)
        self.numbers = self.images.numbers(self.seeds)
        self.batches = batches(self.numbers, batch)
        self.identity = {**self.images.identity, "seeds-theory": __version__}
        self.output.name_of, self.output.mark = self.images.file_name, mark_of(self.identity)
        self.shape = {"seeds": format_seeds(seeds), "batch": batch, "torch": torch.__version__}

    def open(self, command: str) -> None:
        """Require that all processes have the same run; in process 0, open its output."""
        here = device_name(self.group.device), self.identity | self.shape
        devices, everywhere = zip(*self.group.gather(here), strict=True)
        if not self.leads:
            return
        for rank, there in enumerate(everywhere):
            for name in {**everywhere[0], **there}:
                own, other = everywhere[0].get(name), there.get(name)
                if own != other:
                    raise DifferentRuns(
                        f"process {rank} has {name} = {other!r}, process 0 {own!r}: all need "
                        "the same command, files and versions"
                    )
        self._held.enter_context(only_writer(self.output.work))
        self.manifest = Manifest(
            self.output,
            self.seeds,
            settings=self.identity,
            about=dict(self.images.about),
        )
        self.missing = self.output.missing(self.numbers)
        if self.missing:
            self.manifest.add_run(
                sorted(set(devices)),
                command=command,
                started=datetime.now(UTC).isoformat(timespec="seconds"),
                batch=self.shape["batch"],
                processes=self.group.world,
                threads=torch.get_num_threads(),
                versions={
                    "python": platform.python_version(),
                    **{
                        name: version(name)
                        for name in ("seeds-theory", "torch", "numpy", *self.images.libraries)
                    },
                },
            )

    def make(self, progress: bool) -> None:
        """Make what is missing: whoever is free takes the next of its batches."""
        group = self.group
        self.missing = group.gather(self.missing)[0]
        self.start = time.perf_counter()
        there = len(self.numbers) - len(self.missing)
        bar = tqdm(
            desc="images",
            unit="image",
            total=len(self.numbers),
            initial=there,
            disable=not (progress and self.leads),
        )
        missing = set(self.missing)
        todo = [batch for batch in self.batches if not missing.isdisjoint(batch)]

        def write(batch: list[int], images: Tensor) -> int:
            rows = [row for row, number in enumerate(batch) if number in missing]
            self.output.write([batch[row] for row in rows], images[rows])
            return len(rows)

        def wait(writing: Future[int]) -> None:
            done = group.count("images", writing.result())
            if self.leads:
                bar.update(there + done - bar.n)
                self.manifest.update(images=done, seconds=time.perf_counter() - self.start)

        with bar, ThreadPoolExecutor(1) as writer:
            # A batch is written, by another thread, while the next one is made.
            writing: Future[int] | None = None
            while (place := group.count("batches", 1) - 1) < len(todo) and not group.failed:
                batch = todo[place]
                # All of the batch, also if some of it is there: a smaller one is rounded otherwise.
                images = self.images(batch, len(self.batches[0]))
                if writing:
                    wait(writing)
                writing = writer.submit(write, batch, images)
            if writing:
                wait(writing)

    def finish(self) -> None:
        """Once all is made: join it, draw the picture, and complete the manifest."""
        cuda = self.group.device.type == "cuda"
        peak = torch.cuda.max_memory_allocated(self.group.device) if cuda else None
        peaks = self.group.gather(peak)
        if not self.leads:
            return
        if lost := self._lost():
            raise OutputError(
                f"{len(lost)} images that were made are not in {self.output.work}: all processes need "
                "to see the same folder"
            )
        if self.missing:
            self.manifest.update(
                images=len(self.missing),
                seconds=time.perf_counter() - self.start,
                peak_memory_bytes=max(peaks) if cuda else None,
            )
        numbers = self._whole()
        images = self.output.finish(numbers, self.images.columns(numbers))
        shown = max(1, _MOST_PIXELS // math.prod(images.shape[2:]))
        with whole_file(self.output.picture) as part:
            write_grid(images[:shown], part)

    def _lost(self) -> list[int]:
        """The images that are not there; those of other nodes get time to be seen."""
        lost = self.output.missing(self.numbers)
        end = time.monotonic() + (_UNTIL_SEEN if self.group.world > 1 else 0.0)
        while lost and time.monotonic() < end:
            time.sleep(1)
            lost = self.output.missing(lost)
        return lost

    def _whole(self) -> list[int]:
        """The images that are there, of this command and of earlier ones."""
        runs = self.manifest.content["runs"]
        seeds = sorted({seed for run in runs for seed in parse_seeds(run["seeds"])})
        numbers, own = self.images.numbers(seeds), set(self.numbers)  # these are known to be there
        lost = set(self.output.missing([number for number in numbers if number not in own]))
        return [number for number in numbers if number not in lost]

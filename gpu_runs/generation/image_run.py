"""A run: the images of many seeds, in batches, by one process or several, stopped and resumed at will.

The seeds are cut into batches in their order. Who makes a batch, and when, does not change it; so the files
are the same for any number of processes of as many threads each, and however often the run was stopped.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from tqdm import tqdm

from gpu_runs.checkpoints.opening import open_network
from gpu_runs.files.images import write_grid
from gpu_runs.files.whole import OutputError, whole_file
from gpu_runs.generation.manifest import Manifest
from gpu_runs.generation.run_folder import only_writer, open_output
from gpu_runs.generation.sampler import Generation, ImageSampler, listed_classes
from gpu_runs.machine.device import device_name
from gpu_runs.machine.distributed import Processes
from seeds_theory.errors import ParameterError, SeedsError
from seeds_theory.seeds_range import batches, format_seeds, parse_seeds

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
    """Make the images of seeds that are not there yet, and a picture of the first ones.

    Parameters
    ----------
    network : a checkpoint, the name of an embedded one, or code of the user's, as of
        `gpu_runs.checkpoints.opening.open_network`. settings : of the images.
    seeds : ascending. out : a folder for PNGs, or an .npy or .npz file.
    batch : images to a network call. The seeds are cut into batches in their order; who makes a batch,
        and when, does not change it.
    group : the processes that share the work; by default this one.
    command : to be recorded. progress : show a bar, in process 0.

    Returns
    -------
    The content of the manifest, and as "made" how many images were missing; in process 0, in the others
    an empty one.

    Raises
    ------
    SeedsError : whatever is wrong with the input, or went wrong. What was done by then is kept.
    """
    group = (group or Processes()).new_run()
    with group.together(lambda: _Run(network, settings, Path(out), group)) as run:
        group.together(lambda: run.prepare(list(seeds), batch))
        group.together(lambda: run.open(command))
        group.together(lambda: run.make(progress))
        group.together(run.finish)
        return {**run.manifest.content, "made": len(run.missing)} if run.leads else {}


class _Run:
    """A run in one of its processes. Process 0 says what there is to do and keeps the manifest."""

    def __init__(self, network: str, settings: Generation, out: Path, group: Processes) -> None:
        self.network, self.settings, self.group = network, settings, group
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
        self.batches = batches(self.seeds, batch)
        labels = listed_classes(self.settings.labels)
        if len(labels) > len(seeds):
            raise ParameterError(f"{len(labels)} labels for {len(seeds)} seeds: one each at most")
        network, identity = open_network(self.network, self.group.device)
        self.sampler = ImageSampler(network, self.settings, keep=False)
        self.identity = {
            **identity,
            "seeds-theory": version("seeds-theory"),
            **asdict(self.settings),
        }
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
            about={
                "network": self.network,
                "noise_levels": self.sampler.sigmas.tolist(),
                "nfe": self.sampler.nfe,
                "eta": self.sampler.solver.eta,
            },
        )
        self.missing = self.output.missing(self.seeds)
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
                    **{name: version(name) for name in ("seeds-theory", "torch", "numpy")},
                },
            )

    def make(self, progress: bool) -> None:
        """Make what is missing: whoever is free takes the next of its batches."""
        group = self.group
        self.missing = group.gather(self.missing)[0]
        self.start = time.perf_counter()
        there = len(self.seeds) - len(self.missing)
        bar = tqdm(
            desc="images",
            unit="image",
            total=len(self.seeds),
            initial=there,
            disable=not (progress and self.leads),
        )
        missing = set(self.missing)
        todo = [batch for batch in self.batches if not missing.isdisjoint(batch)]

        def write(batch: list[int], images: Tensor) -> int:
            rows = [row for row, seed in enumerate(batch) if seed in missing]
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
                images = self.sampler(batch, len(self.batches[0]))
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
        seeds, class_of = self._whole(), self.sampler.class_of
        classes = [class_of(seed) for seed in seeds] if class_of else None
        images = self.output.finish(seeds, classes)
        with whole_file(self.output.picture) as part:
            write_grid(images, part)

    def _lost(self) -> list[int]:
        """The seeds without an image; those of other nodes get time to be seen."""
        lost = self.output.missing(self.seeds)
        end = time.monotonic() + (_UNTIL_SEEN if self.group.world > 1 else 0.0)
        while lost and time.monotonic() < end:
            time.sleep(1)
            lost = self.output.missing(lost)
        return lost

    def _whole(self) -> list[int]:
        """The seeds, of this command and of earlier ones, that have an image."""
        runs = self.manifest.content["runs"]
        seeds = sorted({seed for run in runs for seed in parse_seeds(run["seeds"])})
        own = set(self.seeds)  # known to be there
        lost = set(self.output.missing([seed for seed in seeds if seed not in own]))
        return [seed for seed in seeds if seed not in lost]

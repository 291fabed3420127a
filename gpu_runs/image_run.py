"""A run: the images of many seeds, in batches, by one process or several, stopped and resumed at will.

The seeds are cut into batches in their order. Who makes a batch, and when, does not change it; so the files
are the same for any number of processes, and however often the run was stopped.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import torch
from tqdm import tqdm

from gpu_runs.checkpoint import file_sha256, load_checkpoint
from gpu_runs.distributed import Processes
from gpu_runs.files import OutputError, whole_file
from gpu_runs.generation import Generation, ImageSampler, listed_classes
from gpu_runs.images import write_grid
from gpu_runs.manifest import Manifest
from gpu_runs.run_folder import only_writer, open_output
from gpu_runs.seeds_range import batches, format_seeds, parse_seeds
from seeds_theory.errors import ParameterError


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
    network : a checkpoint, or the name of an embedded one. settings : of the images.
    seeds : ascending. out : a folder for PNGs, or an .npy or .npz file.
    batch : images to a network call. The seeds are cut into batches in their order; who makes a batch,
        and when, does not change it.
    group : the processes that share the work; by default this one.
    command : to be recorded. progress : show a bar, in process 0.

    Returns
    -------
    The content of the manifest, in process 0; in the others an empty one.

    Raises
    ------
    SeedsError : whatever is wrong with the input, or went wrong. What was done by then is kept.
    """
    group = group or Processes()
    with group.together(lambda: _Run(network, settings, Path(out), group)) as run:
        group.together(lambda: run.prepare(list(seeds), batch, command))
        group.together(lambda: run.make(progress))
        group.together(run.finish)
        return run.manifest.content if run.leads else {}


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

    def prepare(self, seeds: list[int], batch: int, command: str) -> None:
        """Check all input; in process 0, open the output."""
        self.seeds = parse_seeds(format_seeds(seeds))
        self.batches = batches(self.seeds, batch)
        labels = listed_classes(self.settings.labels)
        if len(labels) > len(seeds):
            raise ParameterError(f"{len(labels)} labels for {len(seeds)} seeds: one each at most")
        network = load_checkpoint(self.network, device=self.group.device)
        if network.channels not in (1, 3):
            raise ParameterError(f"images have 1 or 3 channels; the network's {network.channels}")
        self.sampler = ImageSampler(network, self.settings)
        if not self.leads:
            return
        self.manifest = Manifest(
            self.output,
            self.seeds,
            settings={"checkpoint": file_sha256(self.network), **asdict(self.settings)},
            about={
                "network": self.network,
                "noise_levels": self.sampler.sigmas.tolist(),
                "nfe": self.sampler.nfe,
            },
        )
        self._held.enter_context(only_writer(self.output.work))
        self.missing = self.output.missing(self.seeds)
        if self.missing:
            self.manifest.add_run(
                command=command,
                started=datetime.now(UTC).isoformat(timespec="seconds"),
                batch=batch,
                processes=self.group.world,
                **_machine(self.group.device),
            )

    def make(self, progress: bool) -> None:
        """Make what is missing: of its batches, process r of W takes every W-th from the r-th on."""
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
        with bar:
            for batch in todo[group.rank :: group.world]:
                if group.failed:
                    return
                # All of the batch, also if some of it is there: a smaller one is rounded otherwise.
                images = self.sampler(batch)
                rows = [row for row, seed in enumerate(batch) if seed in missing]
                self.output.write([batch[row] for row in rows], images[rows])
                done = group.count("images", len(rows))
                if self.leads:
                    bar.update(there + done - bar.n)
                    self.manifest.update(images=done, seconds=time.perf_counter() - self.start)

    def finish(self) -> None:
        """Once all is made: join it, draw the picture, and complete the manifest."""
        cuda = self.group.device.type == "cuda"
        peak = torch.cuda.max_memory_allocated(self.group.device) if cuda else None
        peaks = self.group.gather(peak)
        if not self.leads:
            return
        if lost := self.output.missing(self.seeds):
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
        images = self.output.finish(self.seeds)
        with whole_file(self.output.picture) as part:
            write_grid(images, part)


def _machine(device: torch.device) -> dict[str, Any]:
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("seeds-theory", "torch", "numpy")},
        },
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else platform.machine(),
        "threads": torch.get_num_threads(),
    }

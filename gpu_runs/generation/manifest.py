"""The manifest of a run: a JSON file that says what the images are and how they were made.

settings  what determines an image but its seed; runs with other settings are refused
network, nfe, eta, ...  what else there is to say of all of them; of a pipeline also its prompts and files
runs      one entry per command: seeds, versions, devices, images made, time
images, seconds, images_per_second     in all
"""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

from gpu_runs.errors import CheckpointError, printable
from gpu_runs.files.inputs import read_whole
from gpu_runs.files.strict_json import json_object
from gpu_runs.files.whole import OutputError, whole_file
from gpu_runs.generation.run_folder import Output
from seeds_theory.command import write_json
from seeds_theory.errors import ParameterError
from seeds_theory.seeds_range import format_seeds, parse_seeds

_LENGTH = 300  # of a setting in a message
_MOST_BYTES = 2**28  # with prompts, which have 2**24 at most


class DeviceWarning(UserWarning):
    """Images of one output are made on devices that round differently."""


class Manifest:
    """The manifest of an output: the one that lies there, or a new one.

    Parameters
    ----------
    output : where it lies. seeds : of this run.
    settings : JSON, what determines an image but its seed.
    about : JSON, what else there is to say of all runs.

    Raises
    ------
    OutputError : the output holds something else, or a run with other settings; names the first that
        differs. Or a run with other seeds, where none can be added.
    """

    def __init__(
        self, output: Output, seeds: list[int], settings: dict[str, Any], about: dict[str, Any]
    ) -> None:
        self.file, self.seeds = output.manifest, format_seeds(seeds)
        settings = json.loads(json.dumps(settings))  # as it will be read
        self.content: dict[str, Any] = {"settings": settings, **about, "runs": []}
        if self.file.exists():
            self.content = _read(self.file)
            self._require(self.content["settings"], settings)
            if not output.extendable:
                self._require({"seeds": self.content["runs"][0]["seeds"]}, {"seeds": self.seeds})
        elif output.in_use:
            raise OutputError(
                f"{output.work} holds files, but no manifest {self.file} says of which run: choose "
                "another --out"
            )

    def _require(self, there: dict[str, Any], here: dict[str, Any]) -> None:
        for name in {**here, **there}:
            if there.get(name) != here.get(name):
                old, new = (repr(values.get(name))[:_LENGTH] for values in (there, here))
                raise OutputError(
                    f"{self.file} is of a run with {printable(name)} = {printable(old)}, this one has "
                    f"{printable(new)}: they are never mixed, choose another --out"
                )

    def add_run(self, devices: list[str], **entry: Any) -> None:
        """Add a run on these devices, with what else is known of it before it starts; write the file.

        A DeviceWarning names them if there are others among those of all runs.
        """
        runs = self.content["runs"]
        runs.append({"seeds": self.seeds, "images": 0, "seconds": 0.0, "devices": devices, **entry})
        if len(known := {device for run in runs for device in run["devices"]}) > 1:
            devices = sorted(map(printable, known))
            warnings.warn(
                f"the images in {self.file.parent} come from {' and '.join(devices)}: another device "
                "would have made them with other rounding",
                DeviceWarning,
                stacklevel=2,
            )
        self.update()

    def update(self, **entry: Any) -> None:
        """Set values of the last run, as its images and seconds, and write the file."""
        runs = self.content["runs"]
        runs[-1].update(entry)
        images, seconds = (sum(run[name] for run in runs) for name in ("images", "seconds"))
        self.content |= {
            "images": images,
            "seconds": seconds,
            "images_per_second": images / seconds if seconds else None,
        }
        with whole_file(self.file) as part:
            write_json(self.content, str(part))


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] | None
    try:
        content = json_object(read_whole(path, _MOST_BYTES), "it")
    except (OSError, CheckpointError):
        content = None
    if content is None or not _is_manifest(content):
        raise OutputError(f"{path} is no manifest of a run: choose another --out")
    return content


def _is_manifest(content: dict[str, Any]) -> bool:
    """Whether the content of a file has all that is read of a manifest, of the right kinds."""
    if not isinstance(content.get("settings"), dict):
        return False
    runs = content.get("runs")
    return isinstance(runs, list) and bool(runs) and all(map(_is_run, runs))


def _is_run(run: Any) -> bool:
    if not isinstance(run, dict):
        return False
    seeds, devices = run.get("seeds"), run.get("devices")
    numbers: list[Any] = [run.get("images"), run.get("seconds")]
    try:
        whole = isinstance(seeds, str) and bool(parse_seeds(seeds))
    except ParameterError:
        whole = False
    return (
        whole
        and all(type(number) in (int, float) and 0 <= number < math.inf for number in numbers)
        and isinstance(devices, list)
        and all(isinstance(device, str) for device in devices)
    )

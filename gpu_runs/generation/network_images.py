"""The images of a network, one for each seed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from gpu_runs.checkpoints.opening import open_network
from gpu_runs.generation.images_of_run import seed_name
from gpu_runs.generation.sampler import (
    Generation,
    GridWarning,
    ImageSampler,
    listed_classes,
    range_remarks,
)
from seeds_theory.errors import ParameterError


class NetworkImages:
    """The images of a network and its settings, as a `gpu_runs.generation.images_of_run.ImagesOfRun`.

    Parameters
    ----------
    network : a checkpoint, the name of an embedded one, or code of the user's, as of
        `gpu_runs.checkpoints.opening.open_network`. settings : of the images. device : where it computes.

    Raises
    ------
    SeedsError : whatever is wrong with the network or the settings.
    """

    libraries = ()

    def __init__(self, network: str, settings: Generation, device: torch.device) -> None:
        self.labels = listed_classes(settings.labels)
        found, identity = open_network(network, device)
        for remark in range_remarks(found, settings):
            warnings.warn(remark, GridWarning, stacklevel=2)
        self.sampler = ImageSampler(found, settings, keep=False)
        self.identity: dict[str, Any] = {**identity, **asdict(settings)}
        self.about: dict[str, Any] = {
            "network": network,
            "noise_levels": self.sampler.sigmas.tolist(),
            "nfe": self.sampler.nfe,
            "eta": self.sampler.solver.eta,
        }

    def numbers(self, seeds: Sequence[int]) -> list[int]:
        """The seeds themselves."""
        if len(self.labels) > len(seeds):
            raise ParameterError(
                f"{len(self.labels)} labels for {len(seeds)} seeds: one each at most"
            )
        return list(seeds)

    def file_name(self, number: int) -> str:
        """As ``001000/001234``."""
        return seed_name(number)

    def columns(self, numbers: Sequence[int]) -> dict[str, list[Any]]:
        """The seeds, and the classes if they are told."""
        class_of = self.sampler.class_of
        classes = {"classes": [class_of(number) for number in numbers]} if class_of else {}
        return {"seeds": list(numbers), **classes}

    def __call__(self, numbers: Sequence[int], size: int) -> Tensor:
        """As of `gpu_runs.generation.sampler.ImageSampler`."""
        return self.sampler(numbers, size)

"""What a run makes images with: a network and seeds, or a pipeline, prompts and seeds.

A run knows images by their numbers. It asks for them in batches of its own, and neither the batch nor the
process changes an image by more than rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor


class ImagesOfRun(Protocol):
    """The images that a run can make, each of which has a number.

    Attributes
    ----------
    identity : JSON, what determines an image but its number: runs in one output have the same.
    about : JSON, what else the manifest says of all runs; it has "nfe".
    libraries : whose versions are recorded, besides torch's and numpy's.
    """

    @property
    def identity(self) -> Mapping[str, Any]: ...  # noqa: D102

    @property
    def about(self) -> Mapping[str, Any]: ...  # noqa: D102

    @property
    def libraries(self) -> Sequence[str]: ...  # noqa: D102

    def numbers(self, seeds: Sequence[int]) -> list[int]:
        """The numbers of the images of these seeds, ascending, in [0, 2**64). Raises ParameterError."""
        ...

    def file_name(self, number: int) -> str:
        """Where an image lies in a folder, without the suffix: another place for each number."""
        ...

    def columns(self, numbers: Sequence[int]) -> dict[str, list[Any]]:
        """What is known of images, a value for each: "seeds", "classes", "prompts" (numbers), "texts"."""
        ...

    def __call__(self, numbers: Sequence[int], size: int) -> Tensor:
        """Make these images, as one batch: uint8 (n, channels, height, width) on the CPU.

        size : of the batches of the run, of which the last one may be smaller.
        """
        ...


OpenImages = Callable[[torch.device], ImagesOfRun]
"""Loads what makes the images, in each process of a run, on its device."""


def seed_name(seed: int) -> str:
    """The file of a seed's image, in folders of 1000, without the suffix."""
    return f"{seed - seed % 1000:06d}/{seed:06d}"

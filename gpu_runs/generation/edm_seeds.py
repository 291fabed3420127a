"""What a seed means in EDM's own script: the same initial noise, class and churn, image by image.

There each image has one generator, on the device that samples, seeded with its number modulo 2^32. It gives,
in this order: the initial noise in float32, a class if the network has any, and in float64 a normal for each
step of EDM's sampler. CUDA and the CPU draw other numbers from one seed, so NVIDIA's published images need
CUDA.

The protocol is that of Karras et al., arXiv 2206.00364, and of the script that they publish with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seeds_theory.plan import Interval
from seeds_theory.sources import GeneratorNoise, require_seeds


class EDMSeeds:
    """Initial noise, classes and noise of the steps of some images; a noise source for one run.

    Attributes
    ----------
    start : float32 (n, *shape), unit noise. classes : (n,) drawn by the seeds; None without classes.

    Raises
    ------
    ParameterError : a seed out of range.
    """

    def __init__(
        self, seeds: Sequence[int], shape: Sequence[int], classes: int, device: torch.device
    ) -> None:
        generators = [
            torch.Generator(device).manual_seed(seed % 2**32) for seed in require_seeds(seeds)
        ]
        self.start = torch.stack(
            [torch.randn(tuple(shape), generator=own, device=device) for own in generators]
        )
        self.classes = (
            [int(torch.randint(classes, (), generator=own, device=device)) for own in generators]
            if classes
            else None
        )
        self._steps = GeneratorNoise(generators)

    def __call__(self, intervals: Sequence[Interval], like: Tensor) -> Tensor:
        """The normals of a step, drawn in float64 whatever the state is."""
        return self._steps(intervals, like.double()).to(like.dtype)

"""Noise sources: who draws the standard normals of a step.

A source is called once per step, ``source(intervals, like)``, with the intervals of that step in time
order (`seeds_theory.plan.Interval`), and returns their standardised noises jointly: a tensor of shape
``(len(intervals), *like.shape)``, in the dtype and on the device of ``like``. The path shared by
different step sizes is `seeds_theory.brownian.BrownianPath`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from seeds_theory.errors import NoiseError, ParameterError
from seeds_theory.plan import Interval


class NoiseSource(Protocol):
    """The protocol that every source follows."""

    def __call__(self, intervals: Sequence[Interval], like: Tensor) -> Tensor:
        """Standard normals of shape ``(len(intervals), *like.shape)``, the noises of these intervals.

        Who asks may keep the tensor: the source does not write to it again.
        """
        ...


def silent(intervals: Sequence[Interval], like: Tensor) -> Tensor:
    """A source without noise: zeros, and no generator moves on."""
    return like.new_zeros((len(intervals), *like.shape))


class GeneratorNoise:
    """Independent normals from one generator, from one generator per sample, or from torch's global one.

    One generator is reproducible for a fixed batch; a different batch size gives different samples: use
    one per sample, or `SeededNoise`, where that matters.
    """

    def __init__(
        self, generator: torch.Generator | Sequence[torch.Generator] | None = None
    ) -> None:
        listed: Sequence[object] = generator if isinstance(generator, Sequence) else [generator]
        alone = generator is None
        if not alone and not (listed and all(isinstance(g, torch.Generator) for g in listed)):
            raise ParameterError(
                f"a generator is a torch.Generator, or a list of one per sample; got {generator!r}: for "
                "seeds, use SeededNoise"
            )
        self._generator = generator

    def __call__(self, intervals: Sequence[Interval], like: Tensor) -> Tensor:
        """Draw from each generator, on its own device."""
        generator = self._generator
        if isinstance(generator, Sequence):
            return _per_sample(generator, len(intervals), like, "generator")
        device = generator.device if generator is not None else like.device
        shape = (len(intervals), *like.shape)
        draws = torch.randn(shape, generator=generator, dtype=like.dtype, device=device)
        return _moved(draws, like.device)


def _per_sample(
    generators: Sequence[torch.Generator], count: int, like: Tensor, what: str
) -> Tensor:
    if len(like) != len(generators):
        raise NoiseError(
            f"one {what} per sample: got {len(generators)} {what}s for a batch of {len(like)}"
        )
    shape = (count, *like.shape[1:])
    draws = [torch.randn(shape, generator=g, dtype=like.dtype, device=g.device) for g in generators]
    return _moved(torch.stack(draws, dim=1), like.device)


def _moved(values: Tensor, device: torch.device) -> Tensor:
    """On that device; the host does not wait for a GPU, as it would for a copy of unpinned memory."""
    if values.device.type == "cpu" and device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


class SeededNoise:
    """One generator per sample: the same sample at any batch size, on any device, in any order.

    Each seed has two independent streams, one for the initial state (`initial`) and one for the
    sampler, so the path never repeats the numbers that made x_T. A source serves one run: its path
    goes on where it was, so a second run needs a source of its own to give the same samples.

    Parameters
    ----------
    seeds : one integer in [0, 2**64) per sample.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.seeds = require_seeds(seeds)
        self._path = [seeded_generator(seed, stream=1) for seed in self.seeds]

    def initial(self, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        """Unit noise for the initial states: ``(len(seeds), *shape)``, the same at every call.

        Raises
        ------
        ParameterError : the shape is no sequence of sizes, or the dtype no floating-point one.
        """
        try:
            sizes = tuple(operator.index(size) for size in shape)
        except TypeError:
            sizes = (-1,)
        if min(sizes, default=0) < 0:
            raise ParameterError(f"a shape is that of one sample, as (3, 32, 32); got {shape!r}")
        if not getattr(dtype, "is_floating_point", False):
            raise ParameterError(f"noise has a floating-point dtype; got {dtype!r}")
        draws = [
            torch.randn(sizes, generator=seeded_generator(seed, stream=0), dtype=dtype)
            for seed in self.seeds
        ]
        return torch.stack(draws)

    def __call__(self, intervals: Sequence[Interval], like: Tensor) -> Tensor:
        """Draw each sample's normals from its own generator."""
        return _per_sample(self._path, len(intervals), like, "seed")


def require_seeds(seeds: object) -> list[int]:
    """One or more integers in [0, 2**64); raises ParameterError."""
    try:
        found = [operator.index(seed) for seed in seeds]  # type: ignore[attr-defined]
    except TypeError:
        found = []
    if not found or min(found) < 0 or max(found) >= 2**64:
        raise ParameterError(f"seeds are one or more integers in [0, 2**64); got {seeds!r}")
    return found


def seeded_generator(seed: int, stream: int) -> torch.Generator:
    """A generator for one of the independent streams of a seed."""
    state = np.random.SeedSequence(seed, spawn_key=(stream,)).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))


class InjectedNoise:
    """Rows given in advance: a tensor ``(total number of normals, *state shape)``, used in time order."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows
        self._used = 0

    def __call__(self, intervals: Sequence[Interval], like: Tensor) -> Tensor:
        """Hand out the next rows."""
        start, self._used = self._used, self._used + len(intervals)
        if self._used > len(self.rows):
            raise NoiseError(
                f"the injected noise has {len(self.rows)} rows and the run needs more: a plan needs "
                "plan.normals of them, and a second run a source of its own"
            )
        return self.rows[start : self._used].to(like)


def require_source(noise: NoiseSource | None) -> NoiseSource:
    """The source given, or torch's global generator for None; raises NoiseError for anything else."""
    if noise is not None and not callable(noise):
        raise NoiseError(f"noise is a source, such as SeededNoise([seed, ...]); got {noise!r}")
    return noise or GeneratorNoise()


def require_normals(normals: object, count: int, like: Tensor, where: str) -> Tensor:
    """What a source returned, checked: a tensor (count, *like.shape) of the dtype of ``like``."""
    expected = (count, *like.shape)
    if not isinstance(normals, Tensor):
        raise NoiseError(
            f"{where}: a noise source returns a tensor {expected}; got {type(normals).__name__}"
        )
    if tuple(normals.shape) != expected or normals.dtype != like.dtype:
        raise NoiseError(
            f"{where}: a noise source returns {expected} of {like.dtype}; "
            f"got {tuple(normals.shape)} of {normals.dtype}"
        )
    return normals

"""Noise sources: who draws the standard normals of a step.

A source is called once per step, ``source(intervals, like)``, with the intervals of that step in time
order (`seeds_theory.plan.Interval`), and returns their standardised noises jointly: a tensor of shape
``(len(intervals), *like.shape)``, in the dtype and on the device of ``like``. The path shared by
different step sizes is `seeds_theory.brownian.BrownianPath`.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from seeds_theory.errors import NoiseError, ParameterError, shown
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
        require_generators(generator)
        self._generator = generator

    def __call__(self, intervals: Sequence[Interval], like: Tensor) -> Tensor:
        """Draw from each generator, on its own device."""
        generator = self._generator
        if isinstance(generator, Sequence):
            require_one_per_sample(len(generator), like, "generator")
            shape = (len(intervals), *like.shape[1:])
            rows = [
                torch.randn(shape, generator=g, dtype=like.dtype, device=g.device)
                for g in generator
            ]
            return _moved(torch.stack(rows, dim=1), like.device)
        device = generator.device if generator is not None else like.device
        shape = (len(intervals), *like.shape)
        draws = torch.randn(shape, generator=generator, dtype=like.dtype, device=device)
        return _moved(draws, like.device)


def require_generators(generator: object) -> None:
    """A generator, a list of one per sample, or None for torch's global one; raises ParameterError."""
    listed: Sequence[object] = generator if isinstance(generator, Sequence) else [generator]
    alone = generator is None
    if not alone and not (listed and all(isinstance(g, torch.Generator) for g in listed)):
        raise ParameterError(
            f"a generator is a torch.Generator, or a list of one per sample; got {shown(generator)}: for "
            "seeds, use SeededNoise"
        )


def require_one_per_sample(count: int, like: Tensor, what: str) -> None:
    """As many of something as samples in a batch; raises NoiseError."""
    if len(like) != count:
        raise NoiseError(f"one {what} per sample: got {count} {what}s for a batch of {len(like)}")


def _moved(values: Tensor, device: torch.device) -> Tensor:
    """On that device; the host does not wait for a GPU, as it would for a copy of unpinned memory."""
    if values.device.type == "cpu" and device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


class SeededNoise:
    """Noise of a step, from the seed of each sample and the level at which the step starts.

    So a sample is the same at any batch size, on any device and in any dtype but for rounding; and so is a
    run that is cut at a level of its grid and goes on elsewhere, with another source of the same seeds. Two
    parts of a run never draw the same noise, since they start at other levels. The initial state (`initial`)
    has a stream of its own.

    Levels are told apart by 1/4096 of their binary logarithm (0.00017 in log-SNR): what a host rounds is one
    level. A source serves one run: what starts at one level again, as after a churn, has other noise.

    Parameters
    ----------
    seeds : one integer in [0, 2**64) per sample.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.seeds = require_seeds(seeds)
        self._roots = [_state(seed, _STEPS) for seed in self.seeds]
        self._times: Counter[int] = Counter()

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
            raise ParameterError(
                f"a shape is that of one sample, as (3, 32, 32); got {shown(shape)}"
            )
        if not getattr(dtype, "is_floating_point", False):
            raise ParameterError(f"noise has a floating-point dtype; got {dtype!r}")
        rows = [torch.randn(sizes, generator=seeded_generator(s, _INITIAL)) for s in self.seeds]
        return torch.stack(rows).to(dtype)

    def __call__(self, intervals: Sequence[Interval], like: Tensor) -> Tensor:
        """The normals of a step, which starts where the first of its intervals does."""
        require_one_per_sample(len(self.seeds), like, "seed")
        if not intervals:
            return like.new_zeros((0, *like.shape))
        level = level_key(intervals[0].sigma)
        key = _mixed(level + (self._times[level] << 22))
        self._times[level] += 1
        shape, generator = (len(intervals), *like.shape[1:]), torch.Generator()
        # In single precision: the same numbers for states of every dtype. On the CPU: the same on every
        # device. A GPU need not be waited for: it is still busy with the step before.
        pinned = like.device.type == "cuda"
        draws = torch.empty((len(self._roots), *shape), pin_memory=pinned)
        for row, root in zip(draws.unbind(), self._roots, strict=True):
            torch.randn(shape, generator=generator.manual_seed(root ^ key), out=row)
        there = draws.to(like.device, non_blocking=pinned)
        return there.to(like.dtype).transpose(0, 1)


_INITIAL, _STEPS = 0, 1
"""Streams of a seed."""

_CELLS = 4096
_WORD = 0xFFFFFFFF


def level_key(sigma: float) -> int:
    """A number below 2^22 for a noise level, the same for what differs by rounding: 0 for an infinite one."""
    return 0 if math.isinf(sigma) else 2**20 + round(_CELLS * math.log2(sigma))


def _mixed(key: int) -> int:
    """32 bits that look random, others for every key of 32 bits: so no two steps of a seed are alike.

    The finalizer of MurmurHash3 (Appleby, public domain).
    """
    key &= _WORD
    key = (key ^ (key >> 16)) * 0x85EBCA6B & _WORD
    key = (key ^ (key >> 13)) * 0xC2B2AE35 & _WORD
    return key ^ (key >> 16)


def _state(seed: int, stream: int) -> int:
    """32 bits, which is what a generator of torch takes, for one of the streams of a seed."""
    return int(np.random.SeedSequence(seed, spawn_key=(stream,)).generate_state(1)[0])


def require_seeds(seeds: object) -> list[int]:
    """One or more integers in [0, 2**64); raises ParameterError."""
    try:
        found = [operator.index(seed) for seed in seeds]  # type: ignore[attr-defined]
    except TypeError:
        found = []
    if not found or min(found) < 0 or max(found) >= 2**64:
        raise ParameterError(f"seeds are one or more integers in [0, 2**64); got {shown(seeds)}")
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
        raise NoiseError(f"noise is a source, such as SeededNoise([seed, ...]); got {shown(noise)}")
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

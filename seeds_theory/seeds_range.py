"""The seeds of a run as text, "0-9,20,30-39", and the batches that they are cut into."""

from __future__ import annotations

import re
from collections.abc import Sequence

from seeds_theory.errors import ParameterError

_MOST_SEEDS = 10_000_000


def parse_seeds(text: str) -> list[int]:
    """The seeds that a text such as "0-9,20,30-39" names.

    Raises
    ------
    ParameterError : not numbers and ranges of numbers, not ascending, a repeat, beyond 2**64, or
        more than ten million seeds.
    """
    ranges: list[range] = []
    for part in text.split(","):
        ends = re.fullmatch(r"([0-9]{1,20})(?:-([0-9]{1,20}))?", part.strip(), re.ASCII)
        if not ends:
            raise ParameterError(f"seeds are numbers and ranges, as 0-9,20,30-39; got {text!r}")
        first = int(ends[1])
        last = first if ends[2] is None else int(ends[2])
        before = ranges[-1][-1] if ranges else -1
        if not before < first <= last:
            raise ParameterError(
                f"seeds ascend and none is there twice; got {part.strip()!r}"
                + (f" after {before}" if ranges else "")
            )
        ranges.append(range(first, last + 1))
    if ranges[-1][-1] >= 2**64:
        raise ParameterError(f"seeds lie in [0, 2**64); got {ranges[-1][-1]}")
    count = sum(r.stop - r.start for r in ranges)  # len() fails beyond 2**63
    if count > _MOST_SEEDS:
        raise ParameterError(f"a run has at most {_MOST_SEEDS} seeds; got {count}: use several")
    return [seed for r in ranges for seed in r]


def listed_seeds(text: str) -> list[int]:
    """The seeds that a text such as "12, 7, 7, 30-28" names, in that order: of images side by side.

    Raises
    ------
    ParameterError : not numbers and ranges of numbers, beyond 2**64, or more than ten million seeds.
    """
    seeds: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"([0-9]{1,20})(?:\s*-\s*([0-9]{1,20}))?", part.strip(), re.ASCII)
        if not ends:
            raise ParameterError(f"seeds are numbers and ranges, as 7, 8, 10-12; got {text!r}")
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if max(first, last) >= 2**64:
            raise ParameterError(f"seeds lie in [0, 2**64); got {max(first, last)}")
        if len(seeds) + abs(last - first) >= _MOST_SEEDS:
            raise ParameterError(f"a run has at most {_MOST_SEEDS} seeds; got more in {text!r}")
        way = 1 if last >= first else -1
        seeds += range(first, last + way, way)
    return seeds


def format_seeds(seeds: Sequence[int]) -> str:
    """The text of ascending seeds: the inverse of `parse_seeds`."""
    ranges: list[list[int]] = []
    for seed in seeds:
        if ranges and seed == ranges[-1][1] + 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return ",".join(f"{a}-{b}" if a < b else f"{a}" for a, b in ranges)


def batches(seeds: Sequence[int], size: int) -> list[list[int]]:
    """Consecutive batches of that size, the last one perhaps smaller. Raises ParameterError."""
    if size < 1:
        raise ParameterError(f"a batch has one image or more; got {size}")
    return [list(seeds[start : start + size]) for start in range(0, len(seeds), size)]

"""The noise of a run whose pipeline hands generators to each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seeds_theory.errors import NoiseError
from seeds_theory.sources import SeededNoise, require_generators, require_one_per_sample

Generators = torch.Generator | Sequence[torch.Generator]

_ANY = "any"


@dataclass(frozen=True)
class RunNoise:
    """A source of noise and the generators that it was made from, with one number of each as a seed.

    So the noise is new even if the numbers that made the first sample come again; and as it also depends on
    the level at which a step starts, two pipelines that are given the same seed do not share any.

    A generator of a pipeline is known by being the same object, which it is in no copy and in no other
    process. There a run goes on with its source, whichever generators it is given first.

    Attributes
    ----------
    source : of the run.
    asked_with : the generators that the pipeline gave; None for torch's global one.
    """

    source: SeededNoise
    asked_with: Generators | str | None

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a file has."""
        return {"source": self.source, "asked_with": _ANY}


def noise_asked_with(generators: Generators | None, before: RunNoise | None, x: Tensor) -> RunNoise:
    """The noise for a step from the states x with these generators: that of before, unless they are others.

    Raises
    ------
    ParameterError, NoiseError : they are no generators; a list of them, and not one per sample; no sample.
    """
    if before is not None and before.asked_with in (_ANY, generators):
        return RunNoise(before.source, generators)
    return RunNoise(SeededNoise(_seeds(generators, x)), generators)


def _seeds(generators: Generators | None, x: Tensor) -> list[int]:
    """A seed per sample by one draw from each generator; consecutive ones from a single generator."""
    require_generators(generators)
    if not len(x):
        raise NoiseError("noise is drawn for one sample or more; got a batch of none")
    if isinstance(generators, Sequence):
        require_one_per_sample(len(generators), x, "generator")
        return [_seed(generator) for generator in generators]
    first = _seed(generators)
    return [first + i for i in range(len(x))]


def _seed(parent: torch.Generator | None) -> int:
    device = parent.device if parent is not None else None
    return int(torch.randint(2**62, (1,), generator=parent, device=device))

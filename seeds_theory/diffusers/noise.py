"""The noise of a run whose pipeline hands generators to each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from seeds_theory.sources import GeneratorNoise, seeded_generator

Generators = torch.Generator | Sequence[torch.Generator]

_ANY = "any"


@dataclass(frozen=True)
class RunNoise:
    """A source of noise and the generators that it was made from, with one number of each as a seed.

    So the noise is new even if the numbers that made the first sample come again.

    A generator of a pipeline is known by being the same object, which it is in no copy and in no other
    process. There a run goes on with its source, whichever generators it is given first.

    Attributes
    ----------
    source : of the run.
    asked_with : the generators that the pipeline gave; None for torch's global one.
    """

    source: GeneratorNoise
    asked_with: Generators | str | None

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a file has."""
        return {"source": self.source, "asked_with": _ANY}


def noise_asked_with(generators: Generators | None, before: RunNoise | None) -> RunNoise:
    """The noise for a step with these generators: that of before, unless they are others."""
    if before is None or before.asked_with not in (_ANY, generators):
        return RunNoise(GeneratorNoise(_offspring(generators)), generators)
    return RunNoise(before.source, generators)


def _offspring(generators: Generators | None) -> Generators:
    """A generator seeded by a draw from each: it never repeats the numbers of its parent."""
    if isinstance(generators, Sequence):
        return [_child(parent) for parent in generators]
    return _child(generators)


def _child(parent: torch.Generator | None) -> torch.Generator:
    device = parent.device if parent is not None else None
    seed = torch.randint(2**62, (1,), generator=parent, device=device)
    return seeded_generator(int(seed), stream=1)

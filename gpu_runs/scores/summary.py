"""What the scores need to know of a set of images, gathered in one pass, by any number of processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from gpu_runs.files.images import ImageSet
from gpu_runs.scores.features import FeatureNetwork
from gpu_runs.scores.statistics import ClassScore, FeatureStatistics, ScoreError

SAMPLE = 5000
"""How many features of a set are kept, at random, for kernel distance, precision and recall."""

GROUPS = 10
"""Random parts of a set whose statistics are kept apart, to see what a distance owes to their number."""

_NUMBERS = 2**25  # in features that wait on the device: a merge of 2048x2048 sums takes long


@dataclass
class Summary:
    """Of a set of images or of a part of it; parts merge into the whole.

    groups : statistics of `GROUPS` random parts of it, by their number; one without an image is left
    out. sample : (k, d) float32, features of a random subset. places : (k,), theirs in a random order of
    the subset. classes : None if the network has no classes.
    """

    groups: dict[int, FeatureStatistics]
    sample: np.ndarray
    places: np.ndarray
    classes: ClassScore | None

    @cached_property
    def statistics(self) -> FeatureStatistics:
        """Of all of it."""
        return reduce(FeatureStatistics.merge, self.groups.values())

    @classmethod
    def merged(cls, parts: Sequence[Summary]) -> Summary:
        """The summary of all parts; of the sample in its random order. Raises ScoreError for none."""
        if not parts:
            raise ScoreError("there are no images to summarise")
        groups: dict[int, FeatureStatistics] = {}
        for part in parts:
            for group, statistics in part.groups.items():
                groups[group] = groups[group].merge(statistics) if group in groups else statistics
        places = np.concatenate([part.places for part in parts])
        order = np.argsort(places)
        scores = [part.classes for part in parts if part.classes is not None]
        return cls(
            groups,
            np.concatenate([part.sample for part in parts])[order],
            places[order],
            reduce(ClassScore.merge, scores) if scores else None,
        )


def summarise(
    images: ImageSet,
    network: FeatureNetwork,
    *,
    batch: int = 64,
    sample: int = SAMPLE,
    seed: int = 0,
    rank: int = 0,
    world: int = 1,
    progress: bool = False,
) -> list[Summary]:
    """The summary of the batches of this rank, none or one; `Summary.merged` joins those of all.

    The batches, and so every feature, are the same for any number of processes.
    """
    place = _places(len(images), seed)
    sums = _Sums(sample)
    with tqdm(total=len(images), desc="images", disable=not progress, leave=False) as bar:
        for indices, pictures in images.batches(batch, rank=rank, world=world):
            sums.add(indices, place[indices], *network(pictures))
            bar.update(len(indices) * world)
    return sums.result()


def summary_of(features: np.ndarray, probabilities: np.ndarray | None) -> Summary:
    """The summary of images whose features (n, d) and class probabilities are at hand, as of `summarise`."""
    count, sums = len(features), _Sums(SAMPLE)
    classes = None if probabilities is None else torch.from_numpy(probabilities)
    sums.add(np.arange(count), _places(count), torch.from_numpy(features), classes)
    return Summary.merged(sums.result())


def _places(count: int, seed: int = 0) -> np.ndarray:
    """The place of each image in a random order of all."""
    place = np.empty(count, np.int64)
    place[np.random.default_rng(seed).permutation(count)] = np.arange(count)
    return place


class _Sums:
    """What a summary holds, of features that come in batches; they wait on their device."""

    def __init__(self, sample: int) -> None:
        self._sample, self._numbers = sample, 0
        self._waiting: list[tuple[np.ndarray, np.ndarray, Tensor, Tensor | None]] = []
        self._parts: list[Summary] = []

    def add(
        self, indices: np.ndarray, places: np.ndarray, features: Tensor, classes: Tensor | None
    ) -> None:
        """Features (n, d) and class probabilities of the images with these indices and places."""
        self._waiting.append((indices, places, features, classes))
        self._numbers += features.numel()
        if self._numbers >= _NUMBERS:
            self._reduce()

    def result(self) -> list[Summary]:
        """Of all features; none if there were none."""
        if self._waiting:
            self._reduce()
        return [Summary.merged(self._parts)] if self._parts else []

    def _reduce(self) -> None:
        indices, places = (
            np.concatenate(part) for part in list(zip(*self._waiting, strict=True))[:2]
        )
        features = torch.cat([entry[2] for entry in self._waiting])
        probabilities = [entry[3] for entry in self._waiting if entry[3] is not None]
        groups = {
            group: FeatureStatistics.of(features[torch.from_numpy(members)])
            for group in range(GROUPS)
            if len(members := np.flatnonzero(places % GROUPS == group))
        }
        kept = np.flatnonzero(places < self._sample)
        classes = ClassScore.of(torch.cat(probabilities).cpu(), indices) if probabilities else None
        sample = features[torch.from_numpy(kept)].cpu().numpy()
        self._parts.append(Summary(groups, sample, places[kept], classes))
        self._waiting.clear()
        self._numbers = 0

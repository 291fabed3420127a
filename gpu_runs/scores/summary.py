"""What the scores need to know of a set of images, gathered in one pass, by any number of processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from tqdm import tqdm

from gpu_runs.files.images import ImageSet
from gpu_runs.scores.features import FeatureNetwork
from gpu_runs.scores.statistics import ClassScore, FeatureStatistics, ScoreError

SAMPLE = 5000
"""How many features of a set are kept, at random, for kernel distance, precision and recall."""

_ROWS = 2048  # of features, whose sums are merged at a time: a merge of 2048x2048 sums takes long


@dataclass
class Summary:
    """Of a set of images or of a part of it; parts merge into the whole.

    sample : (k, d) float32, features of a random subset. places : (k,), theirs in a random order of
    the subset. classes : None if the network has no classes.
    """

    statistics: FeatureStatistics
    sample: np.ndarray
    places: np.ndarray
    classes: ClassScore | None

    @classmethod
    def merged(cls, parts: Sequence[Summary]) -> Summary:
        """The summary of all parts; of the sample in its random order. Raises ScoreError for none."""
        if not parts:
            raise ScoreError("there are no images to summarise")
        places = np.concatenate([part.places for part in parts])
        order = np.argsort(places)
        scores = [part.classes for part in parts if part.classes is not None]
        return cls(
            reduce(FeatureStatistics.merge, [part.statistics for part in parts]),
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
    place = np.empty(len(images), np.int64)
    place[np.random.default_rng(seed).permutation(len(images))] = np.arange(len(images))
    sums = _Sums()
    classes: ClassScore | None = None
    samples, places = [], []
    with tqdm(total=len(images), desc="images", disable=not progress, leave=False) as bar:
        for indices, pictures in images.batches(batch, rank=rank, world=world):
            features, probabilities = network(pictures)
            kept = place[indices] < sample
            samples.append(features.numpy()[kept])
            places.append(place[indices][kept])
            sums.add(features.numpy())
            if probabilities is not None:
                scores = ClassScore.of(probabilities, indices)
                classes = scores if classes is None else classes.merge(scores)
            bar.update(len(indices) * world)
    statistics = sums.result()
    if statistics is None:
        return []
    return [Summary(statistics, np.concatenate(samples), np.concatenate(places), classes)]


class _Sums:
    """Statistics of features that come in batches."""

    def __init__(self) -> None:
        self._waiting: list[np.ndarray] = []
        self._merged: FeatureStatistics | None = None

    def add(self, features: np.ndarray) -> None:
        self._waiting.append(features)
        if sum(map(len, self._waiting)) >= _ROWS:
            self._merge()

    def result(self) -> FeatureStatistics | None:
        """Of all features; None if there were none."""
        if self._waiting:
            self._merge()
        return self._merged

    def _merge(self) -> None:
        new = FeatureStatistics.of(np.concatenate(self._waiting))
        self._merged = new if self._merged is None else self._merged.merge(new)
        self._waiting.clear()

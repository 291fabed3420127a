"""What the scores need to know of a set of images, gathered in one pass, by any number of processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from tqdm import tqdm

from gpu_runs.features import FeatureNetwork
from gpu_runs.images import ImageSet
from gpu_runs.statistics import ClassScore, FeatureStatistics, ScoreError

SAMPLE = 5000
"""How many features of a set are kept, at random, for kernel distance, precision and recall."""


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
    statistics: FeatureStatistics | None = None
    classes: ClassScore | None = None
    samples, places = [], []
    with tqdm(total=len(images), desc="images", disable=not progress, leave=False) as bar:
        for indices, pictures in images.batches(batch, rank=rank, world=world):
            features, probabilities = network(pictures)
            kept = place[indices] < sample
            samples.append(features.numpy()[kept])
            places.append(place[indices][kept])
            new = FeatureStatistics.of(features)
            statistics = new if statistics is None else statistics.merge(new)
            if probabilities is not None:
                scores = ClassScore.of(probabilities, indices)
                classes = scores if classes is None else classes.merge(scores)
            bar.update(len(indices) * world)
    if statistics is None:
        return []
    return [Summary(statistics, np.concatenate(samples), np.concatenate(places), classes)]

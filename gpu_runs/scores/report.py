"""Scores of a set of images against reference statistics, in the features of one network."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from gpu_runs.files.images import ImageSet
from gpu_runs.scores.features import FeatureNetwork
from gpu_runs.scores.reference import Reference
from gpu_runs.scores.statistics import (
    frechet_floor,
    kernel_distance,
    precision_recall,
)
from gpu_runs.scores.summary import Summary, summarise

FEWEST = 100
"""With fewer images than this only the Frechet distance is given."""

_FEWEST_PER_FEATURE = 5


def fewest_to_extrapolate(dim: int) -> int:
    """With fewer images than this the Frechet distance of `dim` features is not extrapolated."""
    return max(FEWEST, _FEWEST_PER_FEATURE * dim)


def remarks_on(reference: Reference) -> list[str]:
    """What is to be known of a reference before distances to it are believed."""
    if not reference.is_short:
        return []
    return [
        f"the reference is of {reference.count} images and has {len(reference.mean)} features: its "
        "covariance is singular, and distances to it are not those to the real images; make it of more"
    ]


@dataclass(frozen=True)
class Scores:
    """Scores of images; None where the network or the reference does not give what one needs.

    distance : what the Frechet distance is called, with its features. features : the network's name.
    is_inception : whether the distances are FID and KID, and the class score the Inception Score; in
    other features they have no such names. images : how many.
    frechet : Frechet distance, which depends on how many they are. limit : the same of infinitely many such
    images, by extrapolation, limit_error its standard error. floor : what it would be about for as many real
    images, if features were Gaussian. kernel : kernel distance, kernel_error its standard error.
    class_score : exp of the information that an image gives on its class, with its standard deviation over
    ten splits.
    precision, recall : shares in [0, 1]. sample : the images that precision and recall are of.
    """

    distance: str
    features: str
    is_inception: bool
    images: int
    frechet: float
    limit: float | None = None
    limit_error: float | None = None
    floor: float | None = None
    kernel: float | None = None
    kernel_error: float | None = None
    class_score: float | None = None
    class_deviation: float | None = None
    precision: float | None = None
    recall: float | None = None
    sample: int | None = None
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self) | {"remarks": list(self.remarks)}


def require_comparable(images: ImageSet, reference: Reference, network: FeatureNetwork) -> None:
    """Before the work: raises ScoreError or FeatureError if the first image cannot be scored."""
    _, first = next(images.batches(1))
    reference.require_features_of(network, network(first)[0].shape[1])
    _ = reference.gaussian  # what is no covariance is said now


def score(
    summary: Summary,
    reference: Reference,
    network: FeatureNetwork,
    *,
    extrapolated: bool = True,
) -> Scores:
    """The scores of images from their summary. Raises ScoreError for features of another network.

    extrapolated : whether to give the limit of infinitely many images, too.
    """
    statistics = summary.statistics
    reference.require_features_of(network, len(statistics.mean))
    remarks = remarks_on(reference)
    if reference.features is None:
        remarks.append("the reference does not say whose features it has")
    values: dict[str, Any] = {}
    if statistics.count < FEWEST:
        remarks.append(f"fewer than {FEWEST} images: only the Frechet distance is given")
    else:
        if reference.sample is not None and len(reference.sample) >= FEWEST:
            values |= _sample_scores(reference.sample, summary.sample)
        if summary.classes is not None:
            mean, deviation = summary.classes.result()
            values |= {"class_score": mean, "class_deviation": deviation}
    if reference.count is not None and not reference.is_short:
        values["floor"] = frechet_floor(reference.covariance, statistics.count, reference.count)
    values["frechet"] = reference.gaussian.distance(statistics)
    needed = fewest_to_extrapolate(len(statistics.mean))
    if extrapolated and statistics.count >= needed:
        values["limit"], values["limit_error"] = reference.gaussian.limit(
            list(summary.groups.values())
        )
    elif extrapolated and statistics.count >= FEWEST:
        remarks.append(
            f"fewer than {needed} images: the distance of infinitely many cannot be told from theirs"
        )
    return Scores(
        network.distance,
        network.name,
        network.is_inception,
        statistics.count,
        remarks=tuple(remarks),
        **values,
    )


def _sample_scores(real: np.ndarray, fake: np.ndarray) -> dict[str, Any]:
    """Scores of two samples; for precision and recall, which depend on it, cut to one size."""
    kernel, error = kernel_distance(real, fake)
    size = min(len(real), len(fake))
    precision, recall = precision_recall(real[:size], fake[:size])
    return {
        "kernel": kernel,
        "kernel_error": error,
        "precision": precision,
        "recall": recall,
        "sample": size,
    }


def score_images(
    images: ImageSet | Tensor, reference: Reference, network: FeatureNetwork, *, batch: int = 64
) -> Scores:
    """The scores of images, a set or uint8 (n, channels, h, w), in this process.

    Raises ScoreError, ImageError or FeatureError for what cannot be scored.
    """
    image_set = ImageSet.of(images) if isinstance(images, Tensor) else images
    require_comparable(image_set, reference, network)
    return score(Summary.merged(summarise(image_set, network, batch=batch)), reference, network)

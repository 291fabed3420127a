"""What `seeds-fid` does with images: open, summarise in all processes, and print scores."""

from __future__ import annotations

import os
import sys
import warnings

from gpu_runs.errors import printable, shown
from gpu_runs.files.fashion_mnist import load_fashion_mnist
from gpu_runs.files.images import ImageSet, open_images
from gpu_runs.files.pictures import ImageError
from gpu_runs.machine.distributed import Processes
from gpu_runs.names import FASHION_MNIST, SPLITS
from gpu_runs.scores.features import FeatureNetwork
from gpu_runs.scores.reference import Reference
from gpu_runs.scores.report import Scores
from gpu_runs.scores.statistics import ScoreError
from gpu_runs.scores.summary import Summary, summarise
from seeds_theory.errors import did_you_mean
from seeds_theory.extras import optional_imports

with optional_imports():
    from rich.markup import escape
    from rich.table import Table


class LabelWarning(UserWarning):
    """Classes beside images that cannot be read, or do not fit them."""


def table(scores: Scores) -> Table:
    """The scores as a table; what could not be had is left out."""
    inception = scores.is_inception
    result = Table()
    result.add_column("score")
    result.add_column("value", justify="right")
    result.add_row("images", str(scores.images))
    result.add_row(escape(scores.distance), f"{scores.frechet:.4g}")
    if scores.limit is not None:
        limit = f"{scores.limit:.4g} ± {scores.limit_error:.2g}"
        result.add_row("  of infinitely many such images", limit)
    if scores.floor is not None:
        result.add_row("  of as many real images, about", f"{scores.floor:.2g}")
    if scores.kernel is not None:
        name = "KID" if inception else "kernel distance"
        result.add_row(name, f"{scores.kernel:.4g} ± {scores.kernel_error:.2g}")
    if scores.class_score is not None:
        name = "Inception Score" if inception else "class score"
        result.add_row(name, f"{scores.class_score:.2f} ± {scores.class_deviation:.2f}")
    if scores.precision is not None and scores.recall is not None:
        result.add_row(f"precision (of {scores.sample})", f"{scores.precision:.3f}")
        result.add_row(f"recall (of {scores.sample})", f"{scores.recall:.3f}")
    return result


def open_set(name: str, num: int | None, seed: int) -> ImageSet:
    """The images of a folder, a file, or a split of Fashion-MNIST by its name; `num` of them, at random.

    Scores use no classes: a `LabelWarning` says if those beside the images are damaged or do not fit.
    """
    split = SPLITS.get(name)
    if split is None and not os.path.exists(name):
        hint = did_you_mean(name, SPLITS)
        raise ImageError(f"there is no file or folder {printable(name)}{hint}")
    images = ImageSet.of(load_fashion_mnist(split=split)[0]) if split else open_images(name)
    try:
        images.labels()
    except ImageError as error:
        warnings.warn(f"{error}; classes are not used here", LabelWarning, stacklevel=2)
    return images if num is None else images.subset(num, seed)


def features_of(reference: Reference, name: str) -> str:
    """The name of the features of a reference, which is called `name`. Raises ScoreError for others."""
    if reference.features != FASHION_MNIST:
        known = reference.features is not None
        features = shown(reference.features) if known else "a network it does not name"
        raise ScoreError(
            f"{printable(name)} has features of {features}: give that network with --features"
        )
    return FASHION_MNIST


def summaries(
    images: ImageSet, network: FeatureNetwork, batch: int, seed: int, team: Processes
) -> list[Summary]:
    """The summaries of all processes, in the first of them; they are large, and it alone needs them."""

    def work() -> list[Summary]:
        return summarise(
            images,
            network,
            batch=batch,
            seed=seed,
            rank=team.rank,
            world=team.world,
            progress=team.rank == 0 and sys.stderr.isatty(),
        )

    gathered = team.gather_to_first(team.together(work))
    return [part for of_rank in gathered for part in of_rank]

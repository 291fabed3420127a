"""`seeds-fid`: statistics of real images, and scores of generated ones, from the command line.

Under torchrun the images are shared out, and every process keeps its own sums; the result is that
of one process.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gpu_runs.distributed import Processes, processes
from gpu_runs.errors import printable, shown
from gpu_runs.fashion_mnist import load_fashion_mnist
from gpu_runs.features import FASHION_MNIST, FEATURES, FeatureNetwork, load_features
from gpu_runs.images import ImageSet, open_images
from gpu_runs.reference import Reference, load_reference
from gpu_runs.scores import FEWEST, Scores, require_comparable, score
from gpu_runs.statistics import ScoreError, half_distance
from gpu_runs.summary import Summary, summarise
from seeds_theory.command import one_of, require_new, require_writable, run_command, write_json
from seeds_theory.errors import ParameterError

app = typer.Typer(
    rich_markup_mode="rich",
    no_args_is_help=True,
    help="Statistics of real images, and scores of generated ones.\n\n"
    "Example: [bold]seeds-fid score generated/ --ref fashion-mnist[/bold]; each command's --help has "
    "one, too.",
)

_SPLITS: dict[str, Literal["train", "test"]] = {
    FASHION_MNIST: "train",
    f"{FASHION_MNIST}-test": "test",
}

Images = Annotated[
    str,
    typer.Argument(
        metavar="IMAGES",
        help="A folder of PNGs (also in folders below), an .npz or an .npy file, or fashion-mnist or "
        "fashion-mnist-test: its training or test images.",
        autocompletion=one_of(_SPLITS),
    ),
]
Weights = Annotated[Path | None, typer.Option(help="The file of --features inception.")]
Trust = Annotated[bool, typer.Option("--trust", help="Run a TorchScript file: it is a program.")]
Num = Annotated[int | None, typer.Option(min=1, help="Take that many, at random. Default: all.")]
Seed = Annotated[int, typer.Option(min=0, help="Of what is taken at random.")]
Batch = Annotated[int, typer.Option(min=1, help="Images through the network at a time.")]
Device = Annotated[str | None, typer.Option(help="As cpu or cuda. Default: cuda if there is one.")]


@app.command()
def stats(
    images: Images,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The .npz file to write.")],
    features: Annotated[
        str,
        typer.Option(
            help="fashion-mnist, inception or a TorchScript file.", autocompletion=one_of(FEATURES)
        ),
    ] = FASHION_MNIST,
    weights: Weights = None,
    trust: Trust = False,
    num: Num = None,
    seed: Seed = 0,
    batch: Batch = 64,
    device: Device = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write the statistics of real IMAGES, the reference that others are scored against.

    [bold]fashion-mnist[/bold] features, of a small classifier of 32x32 gray images, are part of
    the package. [bold]inception[/bold] takes --weights: torch-fidelity's state dict, or a TorchScript
    file with --trust. Any other TorchScript file with --trust gives features of its own.

    Example: [bold]seeds-fid stats real/ --out ref.npz[/bold]
    """

    def prepare() -> tuple[ImageSet, FeatureNetwork]:
        require_writable(out)
        if out.suffix != ".npz":
            raise ParameterError(f"statistics are an .npz file; got --out {out}")
        require_new(out, force)
        image_set = _open(images, num, seed)
        where = team.device
        return image_set, load_features(features, weights=weights, trust=trust, device=where)

    with processes(device) as team:
        image_set, network = team.together(prepare)
        parts = _summarise(image_set, network, batch, seed, team)
        if team.rank > 0:
            return
    summary = Summary.merged(parts)
    Reference.of(summary, network).save(out)
    print(f"{out}: {summary.statistics.count} images, {network.name} features")
    size = len(summary.sample)
    if size >= FEWEST:
        apart = half_distance(summary.sample)
        print(f"two random halves of {size} of the images are {apart:.4g} apart")


@app.command("score")
def score_command(
    images: Images,
    ref: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Statistics by `stats`, EDM's .npz (mu, sigma), or fashion-mnist: its training images.",
            autocompletion=one_of([FASHION_MNIST]),
        ),
    ],
    features: Annotated[
        str | None,
        typer.Option(
            help="fashion-mnist, inception or a TorchScript file. Default: by --ref.",
            autocompletion=one_of(FEATURES),
        ),
    ] = None,
    weights: Weights = None,
    trust: Trust = False,
    num: Num = None,
    seed: Seed = 0,
    batch: Batch = 64,
    device: Device = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write JSON; - for stdout.")
    ] = None,
) -> None:
    """Score IMAGES against a reference; see [bold]stats --help[/bold] for the features.

    Frechet distance: of Gaussians with the mean and covariance of the features, 0 is best. Kernel distance:
    likewise, unbiased at any number of images. Class score: high if images are of clear and of various
    classes. Precision: share of images that are close to real ones; recall: the other way round.

    A Frechet distance is called FID only in Inception's features; if their file is none of the two
    public ones, the name says that you vouch for it. It depends on the number of images: compare at
    equal numbers.

    Example: [bold]seeds-fid score generated/ --ref fashion-mnist[/bold]
    """

    def prepare() -> tuple[ImageSet, Reference, FeatureNetwork]:
        require_writable(json_file)
        reference = load_reference(ref)
        image_set = _open(images, num, seed)
        network = load_features(
            features or _features_of(reference, ref),
            weights=weights,
            trust=trust,
            device=team.device,
        )
        require_comparable(image_set, reference, network)
        return image_set, reference, network

    with processes(device) as team:
        image_set, reference, network = team.together(prepare)
        parts = _summarise(image_set, network, batch, seed, team)
        if team.rank > 0:
            return
    summary = Summary.merged(parts)
    scores = score(summary, reference, network)
    console = Console(stderr=json_file == "-")
    console.print(table(scores))
    for remark in scores.remarks:
        console.print(f"note: {remark}", soft_wrap=True, highlight=False)
    if json_file:
        write_json(scores.to_json(), json_file)


def table(scores: Scores) -> Table:
    """The scores as a table; what could not be had is left out."""
    inception = scores.is_inception
    result = Table()
    result.add_column("score")
    result.add_column("value", justify="right")
    result.add_row("images", str(scores.images))
    result.add_row(escape(scores.distance), f"{scores.frechet:.4g}")
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


def _open(name: str, num: int | None, seed: int) -> ImageSet:
    split = _SPLITS.get(name)
    images = ImageSet.of(load_fashion_mnist(split=split)[0]) if split else open_images(name)
    return images if num is None else images.subset(num, seed)


def _features_of(reference: Reference, name: str) -> str:
    if reference.features != FASHION_MNIST:
        known = reference.features is not None
        features = shown(reference.features) if known else "a network it does not name"
        raise ScoreError(
            f"{printable(name)} has features of {features}: give that network with --features"
        )
    return FASHION_MNIST


def _summarise(
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


def main() -> None:
    """The console script."""
    run_command(app, "seeds-fid")


if __name__ == "__main__":
    main()

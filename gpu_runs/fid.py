"""`seeds-fid`: statistics of real images, and scores of generated ones, from the command line.

Under torchrun the images are shared out, and every process keeps its own sums; the result is that
of one process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpu_runs.errors import printable
from gpu_runs.names import FASHION_MNIST, FEATURES, SPLITS
from seeds_theory.command import (
    console,
    one_of,
    require_new,
    require_writable,
    run_command,
    warnings_in_one_line,
    write_json,
)
from seeds_theory.errors import ParameterError

app = typer.Typer(
    rich_markup_mode="rich",
    no_args_is_help=True,
    help="Statistics of real images, and scores of generated ones.\n\n"
    "Example: [bold]seeds-fid score generated/ --ref fashion-mnist[/bold]; each command's --help has "
    "one, too.",
)

Images = Annotated[
    str,
    typer.Argument(
        metavar="IMAGES",
        help="A folder of PNGs and JPEGs (also in folders below), a .zip of them, an .npz or an .npy file; "
        "or fashion-mnist or fashion-mnist-test: its training or test images.",
        autocompletion=one_of(SPLITS),
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
    from gpu_runs.files.images import ImageSet
    from gpu_runs.machine.distributed import processes
    from gpu_runs.scores.features import FeatureNetwork, load_features
    from gpu_runs.scores.reference import Reference
    from gpu_runs.scores.report import FEWEST, remarks_on
    from gpu_runs.scores.statistics import half_distance
    from gpu_runs.scores.summary import Summary
    from gpu_runs.scoring import open_set, summaries

    def prepare() -> tuple[ImageSet, FeatureNetwork]:
        require_writable(out)
        if out.suffix != ".npz":
            raise ParameterError(f"statistics are an .npz file; got --out {out}")
        require_new(out, force)
        network = load_features(features, weights=weights, trust=trust, device=team.device)
        return open_set(images, num, seed), network

    with processes(device) as team, warnings_in_one_line("seeds-fid", quiet=team.rank > 0):
        image_set, network = team.together(prepare)
        parts = summaries(image_set, network, batch, seed, team)
        if team.rank > 0:
            return
    summary = Summary.merged(parts)
    reference = Reference.of(summary, network)
    reference.save(out)
    print(f"{printable(out)}: {summary.statistics.count} images, {network.name} features")
    for remark in remarks_on(reference):
        print(f"note: {remark}")
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
    equal numbers, or compare what it is extrapolated to for infinitely many.

    Example: [bold]seeds-fid score generated/ --ref fashion-mnist[/bold]
    """
    from gpu_runs.files.images import ImageSet
    from gpu_runs.machine.distributed import processes
    from gpu_runs.scores.features import FeatureNetwork, load_features
    from gpu_runs.scores.reference import Reference, load_reference
    from gpu_runs.scores.report import require_comparable, score
    from gpu_runs.scores.summary import Summary
    from gpu_runs.scoring import features_of, open_set, summaries, table

    def prepare() -> tuple[ImageSet, Reference, FeatureNetwork]:
        require_writable(json_file)
        reference = load_reference(ref)
        image_set = open_set(images, num, seed)
        network = load_features(
            features or features_of(reference, ref),
            weights=weights,
            trust=trust,
            device=team.device,
        )
        require_comparable(image_set, reference, network)
        return image_set, reference, network

    with processes(device) as team, warnings_in_one_line("seeds-fid", quiet=team.rank > 0):
        image_set, reference, network = team.together(prepare)
        parts = summaries(image_set, network, batch, seed, team)
        if team.rank > 0:
            return
    summary = Summary.merged(parts)
    scores = score(summary, reference, network)
    screen = console(json_file)
    screen.print(table(scores))
    for remark in scores.remarks:
        screen.print(f"note: {remark}", soft_wrap=True, highlight=False)
    if json_file:
        write_json(scores.to_json(), json_file)


def main() -> None:
    """The console script."""
    run_command(app, "seeds-fid")


if __name__ == "__main__":
    main()

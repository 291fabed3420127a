"""Whether the features of Fashion-MNIST see garbage: `python -m gpu_runs.check_features --out FILE`.

Scores of real test images, of the embedded network's images after few network calls by many methods, and of
images that are no garments, 1000 of each. The book shows the record.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from gpu_runs.benchmarks.plans import parse_plan
from gpu_runs.checkpoints.opening import open_network
from gpu_runs.files.fashion_mnist import load_fashion_mnist
from gpu_runs.generation.sampler import ImageSampler
from gpu_runs.names import FASHION_MNIST
from gpu_runs.scores.features import load_features
from gpu_runs.scores.garbage import garbage
from gpu_runs.scores.reference import Reference, load_reference
from gpu_runs.scores.report import score_images
from seeds_theory.command import require_writable, run_command, write_json
from seeds_theory.progress import with_bar

IMAGES, CALLS, BATCH = 1000, 5, 64

METHODS: tuple[dict[str, Any], ...] = (
    {"method": "seeds-1", "label": "SEEDS-1", "eta": 1.0},
    {"method": "seeds-2", "label": "SEEDS-2", "eta": 1.0},
    {"method": "seeds-3", "label": "SEEDS-3", "eta": 1.0},
    {"method": "sde-dpm-solver++-2m", "label": "SDE-DPM-Solver++(2M)", "eta": 1.0},
    {"method": "sde-dpm-solver++-3m", "label": "SDE-DPM-Solver++(3M)", "eta": 1.0},
    {"method": "er-sde-3", "label": "ER-SDE-3", "eta": 1.0},
    {"method": "sa-solver", "label": "SA-Solver", "eta": 1.0},
    {"method": "euler-maruyama", "label": "Euler-Maruyama", "eta": 1.0},
    {"method": "edm-heun", "label": "EDM, eta 0", "eta": 0.0},
    {"method": "ddim", "label": "DDIM", "eta": 0.0},
    {"method": "dpm-solver++-2m", "label": "DPM-Solver++(2M)"},
    {"method": "unipc-3", "label": "UniPC-3"},
)

app = typer.Typer(add_completion=False)


def real_images() -> Tensor:
    """1000 of the test images of Fashion-MNIST, at random."""
    images, _ = load_fashion_mnist(split="test")
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images[chosen[:IMAGES]]


def few_calls() -> Iterator[tuple[str, Tensor]]:
    """The images of the embedded network by each method, with at most five network calls."""
    network, _ = open_network(FASHION_MNIST, torch.device("cpu"))
    plan = parse_plan({"nfe": [CALLS], "labels": "random", "methods": list(METHODS)})
    cells, _ = plan.cells(network)
    for cell in cells:
        sampler = ImageSampler(network, plan.settings(cell.curve, cell.steps))
        batches = torch.arange(IMAGES).split(BATCH)
        yield cell.curve.label, torch.cat([sampler(batch.tolist()) for batch in batches])


def images() -> Iterator[tuple[str, str, Tensor]]:
    """All that is scored: what kind it is of, its name, and the images."""
    real = real_images()
    yield "real", "test images", real
    for name, made in few_calls():
        yield "sampler", name, made
    for name, made in garbage(real):
        yield "garbage", name, made


@cache
def _reference() -> Reference:
    return load_reference(FASHION_MNIST)


def record(kind: str, name: str, made: Tensor) -> dict[str, Any]:
    """The scores of images as plain values."""
    scores = score_images(made, _reference(), load_features())
    kept = ("frechet", "kernel", "kernel_error", "precision", "recall")
    return {"kind": kind, "name": name} | {key: getattr(scores, key) for key in kept}


@app.command()
def check(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The JSON file to write.")],
) -> None:
    """Score real images, few calls and garbage, and write the record that the book shows."""
    require_writable(out)
    show = sys.stderr.isatty()
    rows = [record(*entry) for entry in with_bar(images(), show=show, desc="kinds of images")]
    write_json(
        {"images": IMAGES, "calls": CALLS, "features": load_features().digest, "rows": rows},
        str(out),
    )


def main() -> None:
    """The module as a command."""
    run_command(app, "check_features")


if __name__ == "__main__":
    main()

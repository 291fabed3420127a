"""`seeds-train`: train the embedded network again."""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gpu_runs.errors import printable
from gpu_runs.training.settings import TrainSettings
from seeds_theory.command import run_command
from seeds_theory.errors import ParameterError

app = typer.Typer(rich_markup_mode="rich")


@app.command()
def train(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the run.")],
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the four idx files.")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Images to see in all.")] = (
        TrainSettings.images
    ),
    batch: Annotated[int, typer.Option(min=1, help="Images per step.")] = TrainSettings.batch,
    seed: Annotated[int, typer.Option(min=0, help="Of weights and draws.")] = TrainSettings.seed,
    device: Annotated[
        str | None, typer.Option(help="As cpu or cuda:1. Default: the GPU if there is one.")
    ] = None,
) -> None:
    """Train the embedded network: 1.2 million parameters, Fashion-MNIST at 32x32 pixels, ten classes.

    Writes network.safetensors, loss.csv, loss.png and state.safetensors into DIR. The same command goes on
    with a run that was stopped, to the same result. Takes about 100 minutes on one core.

    Example: [bold]seeds-train --out runs/fashion-mnist[/bold]
    """
    if out.exists() and not out.is_dir():
        raise ParameterError(f"{out} is a file: name a folder for the run")
    import torch

    from gpu_runs.checkpoints.checkpoint import save_checkpoint
    from gpu_runs.files.fashion_mnist import load_fashion_mnist
    from gpu_runs.training.loss_curve import curve, figure
    from gpu_runs.training.training import FASHION_MNIST, Training

    pictures, labels = load_fashion_mnist(data)
    settings = TrainSettings(images=images, batch=batch, seed=seed)
    training = Training(FASHION_MNIST, settings, pictures, labels, device)
    out.mkdir(parents=True, exist_ok=True)
    state = out / "state.safetensors"
    if state.exists():
        training.load(state)
        print(f"going on after {len(training.losses)} of {settings.steps} steps")
    elif any(out.iterdir()):
        raise ParameterError(
            f"{out} is not empty, and has no run of seeds-train: name another folder"
        )
    training.run(state, progress=sys.stderr.isatty())
    points = curve(training.losses, batch)
    metadata = {
        "data": "Fashion-MNIST, training images, 32x32 with a black border, from -1 to 1",
        "data_licence": "MIT",
        "data_sha256": training.data_sha256,
        "settings": asdict(settings),
        "steps": settings.steps,
        "loss_curve": points,  # (images seen, mean loss)
        "torch": torch.__version__,
    }
    save_checkpoint(training.averaged(), out / "network.safetensors", metadata)
    with (out / "loss.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("images", "loss"), *points])
    figure(points).savefig(out / "loss.png", dpi=150)
    print(
        f"{printable(out / 'network.safetensors')}: {settings.steps} steps, loss {points[-1][1]:.4f}"
    )


def main() -> None:
    """Entry point of the command."""
    run_command(app, "seeds-train")


if __name__ == "__main__":
    main()

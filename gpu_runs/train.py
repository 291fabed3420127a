"""`seeds-train`: train the embedded network again."""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import matplotlib
import numpy as np
import torch
import typer
from matplotlib.figure import Figure

from gpu_runs.checkpoint import save_checkpoint
from gpu_runs.fashion_mnist import load_fashion_mnist
from gpu_runs.training import FASHION_MNIST, Training, TrainSettings
from seeds_theory.command import run_command
from seeds_theory.errors import ParameterError
from toy_models.plots import style

app = typer.Typer(rich_markup_mode="rich")
WINDOW = 250  # steps over which the loss is averaged for the curve


def curve(losses: list[float], batch: int) -> list[tuple[int, float]]:
    """(images seen, mean loss of the last `WINDOW` steps), once for each window; of a shorter run, once."""
    if len(losses) < WINDOW:
        return [(len(losses) * batch, float(np.mean(losses)))]
    means = np.array(losses[: len(losses) // WINDOW * WINDOW]).reshape(-1, WINDOW).mean(axis=1)
    return [((i + 1) * WINDOW * batch, float(mean)) for i, mean in enumerate(means)]


def figure(points: list[tuple[int, float]]) -> Figure:
    """The loss curve."""
    with style():
        drawn = Figure(figsize=(5, 3), layout="constrained")
        axes = drawn.subplots()
        images, losses = zip(*points, strict=True)
        axes.plot([count / 1000 for count in images], losses, marker="")
        axes.set(xlabel="images seen, in thousands", ylabel="weighted loss")
        return drawn


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
    print(f"{out / 'network.safetensors'}: {settings.steps} steps, loss {points[-1][1]:.4f}")


def main() -> None:
    """Entry point of the command."""
    matplotlib.use("Agg")
    run_command(app, "seeds-train")


if __name__ == "__main__":
    main()

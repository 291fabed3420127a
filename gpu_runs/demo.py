"""The first picture: garments at 5 to 40 model calls by three samplers, above the orders of these samplers.

``python -m gpu_runs.demo garments.png`` draws it. The garments are of the network that comes with the
package. All runs of a seed have one starting noise and one Brownian path, so that their images approximate
one image, that of the last column: what differs is the error of the sampler. The curves are errors on a
Gaussian model of such pictures, where they are computed without sampling (`toy_models.convergence`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from gpu_runs.checkpoints.checkpoint import load_checkpoint
from gpu_runs.names import FASHION_MNIST
from seeds_theory.brownian import BrownianPath
from seeds_theory.command import require_picture, require_writable, run_command
from seeds_theory.extras import optional_imports
from seeds_theory.grids import rho_grid
from seeds_theory.plan import Interval
from seeds_theory.progress import with_bar
from seeds_theory.solver import Solver
from seeds_theory.sources import SeededNoise
from toy_models.convergence import Study, gaussian_study
from toy_models.images import fashion_mnist
from toy_models.plots import draw_images, style
from toy_models.response import asked_intervals

with optional_imports():
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

SAMPLERS = {"euler-maruyama": "Euler-Maruyama", "seeds-1": "SEEDS-1", "seeds-3": "SEEDS-3"}
"""The samplers, and what they are called in the picture. SEEDS-1 is what menus call Euler a or DDPM."""

CALLS = (5, 10, 20, 40)
"""Model calls of a run, at most: a step of SEEDS-3 has three, but for the last, which has one."""

GARMENTS = {50: 0, 54: 7, 55: 8}
"""Seeds, and the class that the network is given for each: a T-shirt, a sneaker, a bag."""

FINE = ("seeds-2m", 160)
"""Sampler and steps of the last column."""

STEPS = (5, 10, 20, 40, 80, 160)
"""Steps of the runs on the Gaussian model."""

app = typer.Typer(add_completion=False)


def levels(solver: Solver, calls: int) -> np.ndarray:
    """EDM's grid to 0 with the most steps for which a run has no more than these calls, 4 or more."""
    grids = [rho_grid(80.0, 0.002, steps, to_zero=True) for steps in range(2, calls + 1)]
    return [grid for grid in grids if solver.nfe(grid) <= calls][-1]


def garments(
    calls: Sequence[int] = CALLS, *, fine: int = FINE[1], progress: bool = False
) -> dict[str, Tensor]:
    """Columns of the picture by their titles: images (samplers * seeds, 1, 32, 32), values around [-1, 1].

    calls : at most, of a column each. fine : steps of the last one.
    """
    network = load_checkpoint(FASHION_MNIST)
    classes = torch.tensor(list(GARMENTS.values()))
    solvers = [Solver(name) for name in SAMPLERS]
    runs = [(solver, levels(solver, most)) for most in calls for solver in solvers]
    runs.append((Solver(FINE[0]), rho_grid(80.0, 0.002, fine, to_zero=True)))
    noise = SeededNoise(list(GARMENTS))
    start = 80.0 * noise.initial((network.channels, network.resolution, network.resolution))
    asked = [interval for run in runs for interval in _asked(*run)]
    path = BrownianPath.serving(asked, start, noise)
    *images, last = [
        solver(lambda x, sigma: network(x, sigma, classes), start, grid, path)
        for solver, grid in with_bar(runs, show=progress, desc="garments", unit="run", leave=False)
    ]
    height = len(SAMPLERS)
    columns = {
        f"{most} calls": torch.cat(images[n * height :][:height]) for n, most in enumerate(calls)
    }
    return {**columns, "the image itself": torch.cat([last] * height)}


def _asked(solver: Solver, grid: np.ndarray) -> tuple[Interval, ...]:
    """The noise that a run asks for."""
    return asked_intervals(lambda D, x, noise: solver(D, x, grid, noise))


def errors(steps: Sequence[int] = STEPS) -> list[Study]:
    """The exact errors of the samplers on the Gaussian model, from the noise level 80 to 0.1."""
    data = fashion_mnist()
    return [gaussian_study(name, data, steps, sigma_max=80.0, sigma_min=0.1) for name in SAMPLERS]


def figure(columns: dict[str, Tensor], studies: Sequence[Study]) -> Figure:
    """The picture, of what `garments` and `errors` return."""
    kinds = {"strong": "error on one path", "weak": "error of the law"}
    with style():
        drawing = Figure(figsize=(10, 6.2), dpi=100)
        halves = drawing.add_gridspec(2, 1, height_ratios=(1, 1.75))
        above, below = drawing.add_subfigure(halves[0]), drawing.add_subfigure(halves[1])
        labels: list[str] | None = list(SAMPLERS.values())
        for axes, (title, images) in zip(
            above.subplots(1, len(columns)), columns.items(), strict=True
        ):
            grey = ((images[:, 0, 2:-2, 2:-2] + 1) / 2).clamp(0, 1)  # without the network's margin
            draw_images(axes, grey, len(SAMPLERS), len(GARMENTS), labels)
            axes.set_title(title)
            labels = None  # left of the first column alone
        for axes, (kind, title) in zip(below.subplots(1, 2), kinds.items(), strict=True):
            for study in studies:
                fit = getattr(study, f"{kind}_fit")
                label = f"{SAMPLERS[study.method]}: order {fit}"
                axes.plot(study.nfe, getattr(study, kind), label=label)
            axes.set(
                xscale="log", yscale="log", xlabel="model calls", title=f"Gaussian model: {title}"
            )
            axes.set_ylim(top=1e2)  # Euler-Maruyama at 5 calls is far above
            axes.xaxis.set_major_locator(FixedLocator(STEPS))
            axes.xaxis.set_major_formatter(FixedFormatter([str(steps) for steps in STEPS]))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.legend()
    return drawing


@app.command()
def draw(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="A .png, .svg or .pdf.")],
) -> None:
    """Draw garments by three samplers at several model calls, above the orders of these samplers."""
    require_writable(out)
    require_picture(out)
    figure(garments(progress=sys.stderr.isatty()), errors()).savefig(out)


if __name__ == "__main__":
    run_command(app, "python -m gpu_runs.demo")

"""The loss of a training run, averaged and drawn."""

from __future__ import annotations

import numpy as np

from seeds_theory.extras import optional_imports
from toy_models.plots import style

with optional_imports():
    from matplotlib.figure import Figure

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

"""What a linear part does to images: `python -m gpu_runs.check_linear_part --out FILE`.

The embedded network with 6 calls on EDM's grid, by two samplers in data prediction and in shifted clocks, and
by one in F prediction: Frechet distances of 200 images each, in the embedded features. The book shows the
record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from gpu_runs.checkpoints.checkpoint import load_checkpoint
from gpu_runs.files.images import to_uint8
from gpu_runs.names import FASHION_MNIST
from gpu_runs.scores.features import load_features
from gpu_runs.scores.reference import load_reference
from gpu_runs.scores.report import score_images
from seeds_theory.command import require_writable, run_command, write_json
from seeds_theory.denoiser import Denoiser
from seeds_theory.grids import rho_grid
from seeds_theory.loop import follow
from seeds_theory.plan import Plan, make_plan
from seeds_theory.shifted import Shifted, matching_shifts, shifted_levels, shifted_plan
from seeds_theory.solver import Solver
from seeds_theory.sources import SeededNoise

IMAGES, BATCH, CALLS, SIGMA_MAX = 200, 50, 6, 80.0
SHIFT = 0.01
"""Of the sampler with memory, which has one."""

Sampler = Callable[[Tensor, SeededNoise], Tensor]

app = typer.Typer(add_completion=False)


def images(sampler: Sampler, shape: tuple[int, ...], seeds: range) -> Tensor:
    """The states at level 0 of these seeds, (n, *shape)."""
    parts = []
    for first in range(seeds.start, seeds.stop, BATCH):
        noise = SeededNoise(range(first, min(first + BATCH, seeds.stop)))
        parts.append(sampler(noise.initial(shape, torch.float32) * SIGMA_MAX, noise))
    return torch.cat(parts)


def shifts_on(denoiser: Denoiser, data: Tensor, sigmas: list[float]) -> list[float]:
    """The matching c of each step, by the denoiser's error on these data."""
    generator = torch.Generator().manual_seed(0)

    def error(sigma: float) -> float:
        noisy = data + sigma * torch.randn(data.shape, generator=generator)
        return float((denoiser(noisy, sigma) - data).square().mean())

    return matching_shifts(error, sigmas)


def samplers(denoiser: Denoiser, data: Tensor) -> Iterator[tuple[str, str, Sampler]]:
    """Name, linear part and sampler."""
    sigmas: list[float] = rho_grid(SIGMA_MAX, 0.002, CALLS, to_zero=True).tolist()
    plans = {
        "data": make_plan("seeds-1", sigmas),
        "shifted": shifted_plan("seeds-1", sigmas, shifts_on(denoiser, data, sigmas)),
        "F": make_plan("seeds-1", sigmas, prediction="F", sigma_data=0.5),
    }
    for part, plan in plans.items():
        yield "seeds-1", part, partial(_follow, denoiser, plan)
    solver, levels = Solver("sde-dpm-solver++-2m"), shifted_levels(sigmas, SHIFT)
    yield solver.name, "data", lambda x, noise: solver(denoiser, x, sigmas, noise)
    shifted = Shifted(denoiser, SHIFT)
    yield solver.name, "shifted", lambda x, noise: solver(shifted, x, levels, noise)


def _follow(denoiser: Denoiser, plan: Plan, x: Tensor, noise: SeededNoise) -> Tensor:
    return follow(denoiser, x, plan, noise)


@app.command()
def check(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The JSON file to write.")],
    count: Annotated[int, typer.Option("--images", min=2, help="Images of each sampler.")] = IMAGES,
) -> None:
    """Score a few samplers with different linear parts, and write the record that the book shows."""
    require_writable(out)
    network, features = load_checkpoint(FASHION_MNIST), load_features(FASHION_MNIST)
    reference, shape = load_reference(FASHION_MNIST), network.state_shape

    def denoiser(x: Tensor, sigma: float) -> Tensor:
        return network(x, torch.full((len(x),), sigma, dtype=x.dtype))

    fine = make_plan("seeds-3b", rho_grid(SIGMA_MAX, 0.002, 10, to_zero=True))
    own = range(10**6, 10**6 + 50)
    data = images(partial(_follow, denoiser, fine), shape, own)
    rows: list[dict[str, Any]] = []
    for name, part, sampler in samplers(denoiser, data):
        made = to_uint8(network.decode(images(sampler, shape, range(count))))
        found = score_images(made, reference, features).frechet
        rows.append({"method": name, "part": part, "frechet": round(found, 2)})
    write_json(
        {"images": count, "calls": CALLS, "features": features.digest, "rows": rows}, str(out)
    )


def main() -> None:
    """The module as a command."""
    run_command(app, "check_linear_part")


if __name__ == "__main__":
    main()

"""What a linear part does to images: `python -m gpu_runs.check_linear_part --out FILE`.

The embedded network with 6 to 9 calls on EDM's grid, by samplers in data and F prediction and in shifted
clocks: Frechet distances of 200 images each, in the embedded features. The book shows the record.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
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
from seeds_theory.plan import make_plan
from seeds_theory.shifted import Shifted, matching_shift, shifted_levels, shifted_plan
from seeds_theory.solver import Solver
from seeds_theory.sources import SeededNoise

IMAGES, BATCH, CALLS, SIGMA_MAX = 200, 50, (6, 8), 80.0
SHIFT = 0.01
"""Of the sampler with memory, which has one."""

Sampler = Callable[[Tensor, SeededNoise], Tensor]

app = typer.Typer(add_completion=False)


def grid(steps: int) -> list[float]:
    """EDM's levels, to 0."""
    levels: list[float] = rho_grid(SIGMA_MAX, 0.002, steps, to_zero=True).tolist()
    return levels


def images(sampler: Sampler, shape: tuple[int, ...], seeds: range) -> Tensor:
    """The states at level 0 of these seeds, (n, *shape)."""
    parts = []
    for first in range(seeds.start, seeds.stop, BATCH):
        noise = SeededNoise(range(first, min(first + BATCH, seeds.stop)))
        parts.append(sampler(noise.initial(shape, torch.float32) * SIGMA_MAX, noise))
    return torch.cat(parts)


def matching_shifts(denoiser: Denoiser, data: Tensor, sigmas: list[float]) -> list[float]:
    """The c of each step, by the error on these data at its geometric middle; 0 in the last one, to 0."""
    generator, shifts = torch.Generator().manual_seed(0), []
    for s, t in itertools.pairwise(sigmas[:-1]):
        middle = math.sqrt(s * t)
        noisy = data + middle * torch.randn(data.shape, generator=generator)
        error = float((denoiser(noisy, middle) - data).square().mean())
        shifts.append(matching_shift(error, middle))
    return [*shifts, 0.0]


def samplers(
    denoiser: Denoiser, data: Tensor, calls: int
) -> Iterator[tuple[str, str, int, Sampler]]:
    """Name, linear part, calls and sampler; of two stages it has one call more."""
    for name in ("seeds-1", "seeds-2"):
        sigmas = grid(calls // 2 + 1 if name == "seeds-2" else calls)  # one call in the step to 0
        plans = {
            "data": make_plan(name, sigmas),
            "shifted": shifted_plan(name, sigmas, matching_shifts(denoiser, data, sigmas)),
            "F": make_plan(name, sigmas, prediction="F", sigma_data=0.5),
        }
        for part, plan in plans.items():
            yield name, part, plan.nfe, lambda x, noise, plan=plan: follow(denoiser, x, plan, noise)  # type: ignore[misc]
    sigmas, name = grid(calls), "sde-dpm-solver++-2m"
    solver, levels = Solver(name), shifted_levels(sigmas, SHIFT)
    yield name, "data", calls, lambda x, noise: solver(denoiser, x, sigmas, noise)
    yield (
        name,
        "shifted",
        calls,
        lambda x, noise: solver(Shifted(denoiser, SHIFT), x, levels, noise),
    )


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

    fine = make_plan("seeds-3b", grid(10))
    data = images(
        lambda x, noise: follow(denoiser, x, fine, noise), shape, range(10**6, 10**6 + 50)
    )
    rows: list[dict[str, Any]] = []
    for calls in CALLS:
        for name, part, nfe, sampler in samplers(denoiser, data, calls):
            made = to_uint8(network.decode(images(sampler, shape, range(count))))
            found = score_images(made, reference, features).frechet
            rows.append({"calls": nfe, "method": name, "part": part, "frechet": round(found, 2)})
    write_json({"images": count, "features": features.digest, "rows": rows}, str(out))


def main() -> None:
    """The module as a command."""
    run_command(app, "check_linear_part")


if __name__ == "__main__":
    main()

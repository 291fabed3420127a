"""EDM's samplers on networks in EDM's files, against runs of the original code.

``tests/data/edm/network_runs.npz`` holds, for each run, its settings, initial unit noise, the normals of
each step, one-hot classes, and the result with the network in float64 and in float32.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edm_runs import published_run
from torch import Tensor

from gpu_runs.checkpoints.checkpoint import load_checkpoint
from gpu_runs.checkpoints.preconditioning import PreconditionedNetwork
from gpu_runs.files.images import to_uint8
from seeds_theory.baselines.edm import EDM_HEUN
from seeds_theory.sources import InjectedNoise

FILE = Path(__file__).parents[1] / "data" / "edm" / "network_runs.npz"


@cache
def runs() -> dict[str, dict[str, np.ndarray]]:
    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(FILE) as file:
        for key in file.files:
            name, _, field = key.partition("/")
            found.setdefault(name, {})[field] = file[key]
    return found


def repeated(
    network: PreconditionedNetwork,
    settings: dict[str, Any],
    latents: Tensor,
    noises: Tensor,
    labels,
) -> Tensor:
    grid, options = published_run(settings, (network.sigma_min, network.sigma_max))

    def rounded(sigma: float) -> float:
        return float(network.round_sigma(sigma))

    grid[:-1] = [rounded(sigma) for sigma in grid[:-1]]
    return EDM_HEUN(
        lambda x, sigma: network(x, sigma, labels),
        latents.double() * grid[0],
        grid,
        InjectedNoise(noises),
        round_sigma=rounded,
        **options,
    )


@pytest.mark.parametrize(
    ("dtype", "field", "within"),
    [
        (torch.float64, "x_final64", 1e-10),
        (torch.float32, "x_final32", 1e-5),
    ],
)
@pytest.mark.parametrize("name", sorted(name for name in runs() if "generate" not in name))
def test_the_original_run_is_repeated(
    name: str, dtype: torch.dtype, field: str, within: float, edm_files: Path
) -> None:
    run = runs()[name]
    network = load_checkpoint(
        edm_files / "networks" / f"{name.partition('__')[0]}.pkl", dtype=dtype
    )
    labels = torch.tensor(run["class_labels"]) if network.label_dim else None
    settings = json.loads(str(run["settings"]))["kwargs"]
    found = repeated(
        network, settings, torch.tensor(run["latents"]), torch.tensor(run["noises"]), labels
    ).numpy()
    expected = run[field]
    assert np.abs(found - expected).max() <= within * np.abs(expected).max()


@pytest.mark.parametrize("name", sorted(name for name in runs() if "generate" in name))
def test_the_original_images_are_repeated(name: str, edm_files: Path) -> None:
    run = runs()[name]
    network = load_checkpoint(edm_files / "networks" / f"{name.partition('__')[0]}.pkl")
    labels = torch.tensor(run["label_idx"]) if network.label_dim else None
    settings = json.loads(str(run["settings"]))
    found = repeated(
        network, settings, torch.tensor(run["latents"]), torch.tensor(run["noises"]), labels
    )
    assert torch.equal(to_uint8(found).permute(0, 2, 3, 1), torch.tensor(run["images_uint8"]))

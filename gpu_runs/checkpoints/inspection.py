"""What is in a checkpoint, as plain data and as a table."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gpu_runs.checkpoints.checkpoint import read_checkpoint
from gpu_runs.checkpoints.network_names import names_code
from gpu_runs.checkpoints.opening import open_network
from gpu_runs.checkpoints.own_network import load_own_network
from gpu_runs.errors import printable
from seeds_theory.denoiser_check import check_denoiser
from seeds_theory.errors import DenoiserError
from seeds_theory.extras import optional_imports

with optional_imports():
    from rich.markup import escape
    from rich.table import Table

_ROWS, _CELL = 100, 300
"""Lines of one kind in the table, and characters in a cell; the JSON holds them all."""


def describe(name: str | Path) -> dict[str, Any]:
    """What a network is, as plain data; an upper noise level of None is no bound.

    Parameters
    ----------
    name : as of `gpu_runs.checkpoints.opening.open_network`: a checkpoint's, or that of the user's code,
        which is run.

    Raises
    ------
    CheckpointError : as of `gpu_runs.load_checkpoint`, which would not open the file either.
    UnknownNameError, NetworkCodeError : as of `gpu_runs.checkpoints.own_network.load_own_network`.
    """
    return _of_code(str(name)) if names_code(name) else _of_checkpoint(name)


def check(name: str | Path, device: torch.device) -> str | None:
    """Why a network is no denoiser, by `seeds_theory.check_denoiser`; None if it behaves as one.

    It draws images of its own and is held to them, each of some class if it has classes; from the noise
    level 80 to 0.002, as far as it knows them. Errors as of `gpu_runs.checkpoints.opening.open_network`.
    """
    network, _ = open_network(name, device)

    def denoise(x: Tensor, sigma: float) -> Tensor:
        classes = torch.arange(len(x), device=x.device) % max(network.label_dim, 1)
        labels = functional.one_hot(classes, network.label_dim or 1).float()
        return network(x, sigma, labels if network.label_dim else None)

    try:
        check_denoiser(
            denoise,
            (network.channels, network.resolution, network.resolution),
            sigma_max=min(80.0, network.sigma_max),
            sigma_min=max(0.002, network.sigma_min),
            device=device,
        )
    except DenoiserError as error:
        return str(error)
    return None


def _of_code(name: str) -> dict[str, Any]:
    network, identity = load_own_network(name, torch.device("cpu"))
    return {
        **identity,
        "format": "code",
        "resolution": network.resolution,
        "channels": network.channels,
        "classes": network.label_dim,
        "sigma_min": network.sigma_min,
        "sigma_max": _bound(network.sigma_max),
    }


def _of_checkpoint(path: str | Path) -> dict[str, Any]:
    checkpoint = read_checkpoint(path)
    net = checkpoint.network()
    spec = checkpoint.spec
    return {
        "file": str(checkpoint.path),
        "format": checkpoint.format,
        "sha256": checkpoint.sha256,
        "preconditioning": spec.preconditioning,
        "architecture": spec.architecture,
        "resolution": spec.resolution,
        "channels": spec.channels,
        "classes": spec.label_dim,
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "stored_as": sorted(
            {str(tensor.dtype).removeprefix("torch.") for tensor in checkpoint.tensors.values()}
        ),
        "sigma_min": spec.sigma_min,
        "sigma_max": _bound(spec.sigma_max),
        "constants": dict(net.constant),
        "options": spec.options,
        "metadata": checkpoint.metadata,
    }


def _bound(sigma_max: float) -> float | None:
    return None if math.isinf(sigma_max) else sigma_max


def description_table(description: dict[str, Any]) -> Table:
    """The description as a table, an option a line; long ones are cut, as they are the file's to choose."""
    table = Table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in description.items():
        if isinstance(value, dict):
            for inner, detail in islice(value.items(), _ROWS):
                table.add_row(_cell(f"{name}: {inner}"), _cell(detail))
            if len(value) > _ROWS:
                table.add_row(name, f"{len(value) - _ROWS:,} more")
        elif isinstance(value, list):
            table.add_row(name, _cell(", ".join(value)))
        elif name == "parameters":
            table.add_row(name, f"{value:,}")
        else:
            table.add_row(name, "none" if value is None else _cell(value))
    return table


def _cell(value: object) -> str:
    text = printable(value)
    return escape(text if len(text) <= _CELL else f"{text[:_CELL]}... ({len(text):,} characters)")

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
from gpu_runs.checkpoints.own_network import Network, load_own_network
from gpu_runs.errors import printable
from gpu_runs.files.strict_json import with_words
from seeds_theory.denoiser_check import check_denoiser
from seeds_theory.errors import DenoiserError
from seeds_theory.extras import optional_imports

with optional_imports():
    from rich.markup import escape
    from rich.table import Table

_CPU = torch.device("cpu")
_ROWS, _CELL = 100, 300
"""Lines of one kind in the table, and characters in a cell; the JSON holds them all."""


def describe(
    name: str | Path, device: torch.device = _CPU, *, check: bool = False
) -> dict[str, Any]:
    """What a network is, as plain data; an upper noise level of None is no bound.

    Parameters
    ----------
    name : as of `gpu_runs.checkpoints.opening.open_network`: a checkpoint's, that of a folder, or that of the
        user's code, which is run, once.
    device : where it computes. check : whether ``fault`` says why it is no denoiser, see `fault_of`.

    Raises
    ------
    CheckpointError : as of `gpu_runs.load_checkpoint`, which would not open the file either.
    UnknownNameError, NetworkCodeError : as of `gpu_runs.checkpoints.own_network.load_own_network`.
    """
    if names_code(name):
        network, description = _of_code(str(name), device)
    elif Path(name).is_dir():
        network, description = _of_folder(name, device)
    else:
        network, description = _of_checkpoint(name, device)
    return {**description, "fault": fault_of(network)} if check else description


def fault_of(network: Network) -> str | None:
    """Why a network is no denoiser, by `seeds_theory.check_denoiser`; None if it behaves as one.

    It draws images of its own and is held to them, each of some class if it has classes; from the noise
    level 80 to 0.002, as far as it knows them.
    """
    device = network.device

    def denoise(x: Tensor, sigma: float) -> Tensor:
        classes = torch.arange(len(x), device=x.device) % max(network.label_dim, 1)
        labels = functional.one_hot(classes, network.label_dim or 1).float()
        return network(x, sigma, labels if network.label_dim else None)

    try:
        check_denoiser(
            denoise,
            network.state_shape,
            sigma_max=min(80.0, network.sigma_max),
            sigma_min=max(0.002, network.sigma_min),
            device=device,
        )
    except DenoiserError as error:
        return str(error)
    return None


def _of_code(name: str, device: torch.device) -> tuple[Network, dict[str, Any]]:
    network, identity = load_own_network(name, device)
    return network, {
        **identity,
        "format": "code",
        "resolution": network.resolution,
        "channels": network.channels,
        "classes": network.label_dim,
        "sigma_min": network.sigma_min,
        "sigma_max": _bound(network.sigma_max),
    }


def _of_folder(path: str | Path, device: torch.device) -> tuple[Network, dict[str, Any]]:
    from gpu_runs.checkpoints.diffusers_folder import read_folder

    folder = read_folder(path)
    net = folder.network(device)
    training = folder.training
    return net, {
        "folder": str(folder.path),
        "format": "diffusers folder",
        "sha256": folder.sha256,
        "architecture": folder.part.kind,
        "predicts": training.predicts,
        "learned_variance": training.learned_variance,
        "resolution": net.resolution,
        "channels": net.channels,
        "latents": list(net.state_shape) if net.decoder is not None else None,
        "classes": net.label_dim,
        "parameters": sum(parameter.numel() for parameter in net.model.parameters()),
        "stored_as": sorted(
            {str(tensor.dtype).removeprefix("torch.") for tensor in folder.part.tensors.values()}
        ),
        "sigma_min": training.sigma_min,
        "sigma_max": _bound(training.sigma_max),
        "options": folder.part.options,
        "scheduler": with_words(folder.scheduler),
        "files": dict(folder.files),
    }


def _of_checkpoint(path: str | Path, device: torch.device) -> tuple[Network, dict[str, Any]]:
    checkpoint = read_checkpoint(path)
    net = checkpoint.network(device)
    spec = checkpoint.spec
    return net, {
        "file": str(checkpoint.path),
        "format": checkpoint.format,
        "sha256": checkpoint.sha256,
        **({"read_as": checkpoint.read_as} if checkpoint.read_as else {}),
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
            table.add_row(name, _cell(", ".join(map(str, value))))
        elif name == "parameters":
            table.add_row(name, f"{value:,}")
        else:
            table.add_row(name, "none" if value is None else _cell(value))
    return table


def _cell(value: object) -> str:
    text = printable(value)
    return escape(text if len(text) <= _CELL else f"{text[:_CELL]}... ({len(text):,} characters)")

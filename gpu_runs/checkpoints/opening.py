"""Networks by the names that the commands take: a checkpoint's, or that of a function of the user's."""

from __future__ import annotations

from pathlib import Path

import torch

from gpu_runs.checkpoints.checkpoint import read_checkpoint
from gpu_runs.checkpoints.network_names import names_code
from gpu_runs.checkpoints.own_network import Network, load_own_network


def open_network(name: str | Path, device: torch.device) -> tuple[Network, dict[str, str | None]]:
    """The network of that name, in float32, and what tells it from others, for records of runs.

    Parameters
    ----------
    name : the path of a checkpoint, with what the file does not say as ``FILE@name=value``, or of a folder of
        diffusers, an embedded one's name, or ``module:function`` or ``file.py:function``: the user's code,
        which is run; the function returns a `gpu_runs.checkpoints.image_denoiser.ImageDenoiser`.
    device : where it computes.

    Raises
    ------
    CheckpointError, ParameterError : as of `gpu_runs.load_checkpoint`, and for a folder likewise.
    LibraryError : a folder, and diffusers is not installed.
    UnknownNameError, NetworkCodeError : as of `gpu_runs.checkpoints.own_network.load_own_network`.
    """
    if names_code(name):
        return load_own_network(str(name), device)
    if Path(name).is_dir():
        from gpu_runs.checkpoints.diffusers_folder import read_folder

        folder = read_folder(name)
        return folder.network(device), {"checkpoint": folder.sha256}
    checkpoint = read_checkpoint(name)
    return checkpoint.network(device), checkpoint.identity

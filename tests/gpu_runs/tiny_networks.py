"""Networks of a few thousand parameters, which answer in milliseconds."""

from pathlib import Path

import torch

from gpu_runs.checkpoints.checkpoint import save_checkpoint
from gpu_runs.checkpoints.preconditioning import NetworkSpec, PreconditionedNetwork, build_network


def tiny_network(
    preconditioning: str = "EDMPrecond", *, channels: int = 3, label_dim: int = 4, **spec
) -> PreconditionedNetwork:
    """A network of 8x8 images with random weights, none of them 0 as in a new one."""
    options = {"model_channels": 8, "channel_mult": [1, 2], "num_blocks": 1}
    options |= {"attn_resolutions": [4], "dropout": 0.0}
    network = build_network(
        NetworkSpec(
            preconditioning, "SongUNet", 8, channels, label_dim=label_dim, options=options, **spec
        )
    )
    generator = torch.Generator().manual_seed(0)
    for name, parameter in network.named_parameters():
        draw = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            parameter.data = draw / parameter[0].numel() ** 0.5
        else:  # biases around 0, scales of norms around 1
            parameter.data = 0.1 * draw + name.endswith("weight")
    return network.requires_grad_(False)


def tiny_checkpoint(folder: Path, **options) -> str:
    """The file of such a network."""
    path = folder / "tiny.safetensors"
    save_checkpoint(tiny_network(**options), path)
    return str(path)

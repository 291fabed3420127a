"""Writes networks of EDM2 as pickles: the format without the classes of the original."""

import torch
from edm_writer import Persisted, dump, persisted
from torch import nn

from gpu_runs.checkpoints.edm2_network import MPConv, MPFourier
from gpu_runs.checkpoints.preconditioning import NetworkSpec, build_network

SMALL = NetworkSpec(
    preconditioning="EDMPrecond",
    architecture="EDM2UNet",
    resolution=8,
    channels=3,
    label_dim=5,
    constants={"sigma_data": 0.5},
    options={
        "model_channels": 8,
        "channel_mult": [1, 2],
        "num_blocks": 1,
        "attn_resolutions": [4],
        "channels_per_head": 8,
    },
)
"""A network of some 40 000 parameters, with two heads at its lower resolution."""


def small_edm2(spec=SMALL, dtype=torch.float32):
    """With weights of any magnitude, and gains that are not 0."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = build_network(spec).requires_grad_(False)
        for name, parameter in net.named_parameters():
            if name.endswith("gain"):
                parameter.fill_(0.7)
            else:
                parameter.mul_(0.5 + 2 * torch.rand(()))
    return net.to(dtype)


def edm2_record(net, class_name="Precond", unet="UNet", **changes):
    """The stored network; `changes` replace or add attributes, and keywords as `_init_kwargs`."""
    spec = net.spec
    images = {
        "img_resolution": spec.resolution,
        "img_channels": spec.channels,
        "label_dim": spec.label_dim,
    }
    attributes = {**images, "use_fp16": True, "sigma_data": net.constant["sigma_data"]}
    holder = nn.Module()
    holder.unet = net.model
    holder.logvar_fourier = MPFourier(4).to(net.model.dtype)
    holder.logvar_linear = MPConv(4, 1, 0).to(net.model.dtype)
    record = persisted(
        holder, class_name, **attributes | {"_init_kwargs": images | spec.options} | changes
    )
    parts = record.record["state"]["_modules"]
    parts["unet"] = Persisted(unet, parts["unet"].record["state"])
    return record


def edm2_pickle(net, entry="ema", protocol=4, **changes):
    """The bytes of a pickle of EDM2, in half precision as the public ones."""
    encoder = Persisted("StandardRGBEncoder", {"scale": 1.0})
    return dump({"encoder": encoder, entry: edm2_record(net, **changes)}, protocol)

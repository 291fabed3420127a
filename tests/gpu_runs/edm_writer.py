"""Writes networks as EDM pickles: the format without the classes of the original."""

import pickle
import sys
import types
from unittest import mock

import numpy as np
import torch
from torch import nn

from gpu_runs.preconditioning import NetworkSpec, build_network

SMALL = NetworkSpec(
    preconditioning="EDMPrecond",
    architecture="SongUNet",
    resolution=4,
    channels=1,
    label_dim=2,
    constants={"sigma_data": 0.5},
    options={
        "model_channels": 4,
        "channel_mult": [1],
        "channel_mult_emb": 1,
        "num_blocks": 1,
        "attn_resolutions": [],
        "embedding_type": "fourier",
    },
)
"""A network of 40 kB."""


def small_network(spec=SMALL):
    """With weights that are not 0 anywhere."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = build_network(spec).requires_grad_(False)
        for parameter in net.parameters():
            parameter.normal_()
    return net


def _reconstruct_persistent_obj(record):
    raise AssertionError("only its name is written")


_reconstruct_persistent_obj.__module__ = "torch_utils.persistence"


class Persisted:
    """An object stored by class name, attributes and placeholder for the source."""

    def __init__(self, class_name, state, changes=()):
        self.record = {
            "type": "class",
            "version": 6,
            "module_src": "# placeholder",
            "class_name": class_name,
            "state": state,
        } | dict(changes)

    def __reduce__(self):
        return _reconstruct_persistent_obj, (self.record,)


def persisted(module, class_name=None, **attributes):
    """A module of ours, as EDM stores one."""
    state = {
        "training": module.training,
        "_parameters": dict(module._parameters),
        "_buffers": dict(module._buffers),
        "_non_persistent_buffers_set": set(),
        "_is_full_backward_hook": None,
        "_modules": {name: persisted(inner) for name, inner in module._modules.items() if inner},
        "skip_scale": np.sqrt(0.5),
        **attributes,
        "_init_args": (),
    }
    state.setdefault("_init_kwargs", {})
    if isinstance(module, nn.ModuleDict):
        container = nn.ModuleDict()
        container.__dict__.update(state)
        return container
    return Persisted(class_name or type(module).__name__, state)


def network_record(net, **changes):
    """The stored network; `changes` replace or add attributes, and keywords as `_init_kwargs`."""
    spec = net.spec
    attributes = {
        "img_resolution": spec.resolution,
        "img_channels": spec.channels,
        "label_dim": spec.label_dim,
        "sigma_min": spec.sigma_min,
        "sigma_max": spec.sigma_max,
        **net.constant,
    }
    images = {name: attributes[name] for name in ("img_resolution", "img_channels", "label_dim")}
    keywords = {"model_type": spec.architecture, "use_fp16": False, **images, **spec.options}
    return persisted(net, spec.preconditioning, **attributes | {"_init_kwargs": keywords} | changes)


def dump(content, protocol=4):
    """Pickle something that holds stored objects."""
    stand_in = types.ModuleType("torch_utils.persistence")
    stand_in._reconstruct_persistent_obj = _reconstruct_persistent_obj
    modules = {"torch_utils": types.ModuleType("torch_utils"), "torch_utils.persistence": stand_in}
    with mock.patch.dict(sys.modules, modules):
        return pickle.dumps(content, protocol)


def edm_pickle(net, protocol=4, **changes):
    """The bytes of an EDM pickle of a network."""
    return dump({"ema": network_record(net, **changes)}, protocol)

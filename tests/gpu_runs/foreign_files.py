"""Writes networks of other projects as their files: the formats without the code of the originals."""

import gzip
import io
import json
import math
import zlib
from collections import OrderedDict
from functools import cache
from pathlib import Path

import numpy as np
import torch

DATA = Path(__file__).parent.parent / "data" / "foreign"
_RECORD = json.loads(gzip.decompress((DATA / "networks.json.gz").read_bytes()))
SHAPES, FLAGS = _RECORD["shapes"], _RECORD["flags"]
"""Of each network: names and shapes of its state dict; the flags behind its name."""


def draw(name, shape):
    """A parameter of this name: random, not 0 anywhere."""
    return _drawn(name, tuple(shape)).clone()


@cache
def _drawn(name, shape):
    numbers = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) > 1:
        numbers = numbers / math.sqrt(math.prod(shape[1:]))
    else:
        numbers = 0.1 * numbers + name.endswith("weight")
    return torch.from_numpy(numbers).float()


def saved(content, *, zipped=True):
    """The bytes that torch.save writes."""
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def adm(name):
    """The state dict of an ADM network."""
    return OrderedDict((key, draw(key, shape)) for key, shape in SHAPES[name].items())


def flat(state):
    """The same, every tensor a part of one storage: as networks trained in half precision are saved."""
    whole = torch.cat([tensor.reshape(-1) for tensor in state.values()])
    parts = whole.split([tensor.numel() for tensor in state.values()])
    return OrderedDict(
        (key, part.view(tensor.shape))
        for (key, tensor), part in zip(state.items(), parts, strict=True)
    )


def score(name):
    """A checkpoint of score_sde: what is averaged is the network, its own parameters are others."""
    shapes = dict(SHAPES[name]["state"])
    averaged = SHAPES[name]["ema"]
    top = 348.0 if name == "score_ve_skip" else 50.0
    sigmas = torch.from_numpy(np.exp(np.linspace(np.log(top), np.log(0.01), 1000)))
    model = OrderedDict()
    for key, shape in shapes.items():
        drawn = sigmas if key == "sigmas" else draw(key, shape)
        model[f"module.{key}"] = drawn + 1 if key in averaged else drawn
    shadow = [draw(key, shapes[key]) for key in averaged]
    moments = {i: {"step": i, "exp_avg": value.clone()} for i, value in enumerate(shadow[:3])}
    groups = [{"lr": 2e-4, "betas": (0.9, 0.999), "params": list(range(len(shadow)))}]
    return {
        "optimizer": {"state": moments, "param_groups": groups},
        "model": model,
        "ema": {"decay": 0.999, "num_updates": 10, "shadow_params": shadow},
        "step": 10,
    }


def content(name):
    """What the file of a network holds."""
    return score(name) if name.startswith("score") else adm(name)


def with_flags(path, name):
    """The name of a file with the flags of a network."""
    return f"{path}@{FLAGS[name]}" if FLAGS[name] else str(path)


def states(sigma, image):
    """Noisy states (batch, *image), one for each noise level."""
    noise = np.random.RandomState(1).standard_normal((len(sigma), *image))
    noise = torch.from_numpy(noise).float().double()
    return (noise * (sigma**2 + 0.25).sqrt()[:, None, None, None]).float()

"""Writes networks as EDM pickles: the format without the classes of the original."""

import pickle
import sys
import types
from unittest import mock

import numpy as np
import torch
from torch import nn

from gpu_runs.checkpoints.preconditioning import NetworkSpec, build_network

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


class Call:
    """Pickled as a call of what has this name, with these arguments."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


class _Unknown:
    """An object of a class that nobody can import; called, one with arguments, state and items."""

    def __init__(self, function, arguments=(), state=None, items=(), pairs=()):
        self.function, self.rest = function, (state, items, pairs)
        self.arguments = arguments

    def __call__(self, *arguments, state=None, items=(), pairs=()):
        return _Unknown(self.function, arguments, state, items, dict(pairs).items())

    def __reduce__(self):
        state, items, pairs = self.rest
        return self.function, self.arguments, state, iter(items), iter(pairs)


_UNKNOWN_MODULES = {}


def unknown(module, name):
    """An object whose class is called so; `dump` writes it."""

    def function():
        raise AssertionError("only its name is written")

    function.__module__, function.__qualname__, function.__name__ = module, name, name
    stand_in = _UNKNOWN_MODULES.setdefault(module, types.ModuleType(module))
    return _Unknown(stand_in.__dict__.setdefault(name, function))


class Keywords:
    """Made with keywords, which is another opcode."""

    def __new__(cls, *, size=1):
        return super().__new__(cls)

    def __getnewargs_ex__(self):
        return (), {"size": 2}


def cycle():
    """A tuple that holds itself, by a list."""
    inner = []
    outer = (1, inner)
    inner.append(outer)
    return [outer, (1, 2, 3, 4, inner)]


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
    packages = {name.partition(".")[0]: types.ModuleType("package") for name in _UNKNOWN_MODULES}
    with mock.patch.dict(sys.modules, modules | packages | _UNKNOWN_MODULES):
        return pickle.dumps(content, protocol)


def edm_pickle(net, protocol=4, **changes):
    """The bytes of an EDM pickle of a network."""
    return dump({"ema": network_record(net, **changes)}, protocol)


def with_model(change, protocol=4):
    """A pickle of the small network whose stored attributes were changed."""
    record = network_record(small_network())
    change(record.record["state"])
    return dump({"ema": record}, protocol)


def nested(value, depth):
    """A tuple that holds the one before twice: 2^depth values in `depth` objects."""
    for _ in range(depth):
        value = (value, value)
    return value


def module_state(**parts):
    """The attributes of a module with these parts."""
    return {"_parameters": {}, "_buffers": {}, "_modules": {}, **parts}


def bombs():
    """Small files, by name, that refer to the same thing so often that all of it together is huge."""

    def long_names(state):
        name = "x" * 65_000 + "\U0001f4a3"  # four bytes a character, each of the eight times
        for _ in range(8):
            inner = module_state()
            state["_modules"][name] = Persisted("Deep", inner)
            state = inner
        state["_buffers"].update((str(i), torch.zeros(1)) for i in range(1000))

    def common_parts(state):
        empty = module_state(_buffers=dict.fromkeys(map(str, range(50_000))))
        many = {str(i): Persisted("Empty", empty) for i in range(10_000)}
        state["_modules"]["inner"] = Persisted("Many", module_state(_modules=many))

    def common_modules(state):
        for _ in range(8):
            inner = module_state()
            state["_modules"].update((str(i), Persisted("Same", inner)) for i in range(100))
            state = inner

    pair = nested((), 100)
    deep = b"\x80\x04cnumpy\ndtype\n)" + b"\x85" * 200_000 + b"\x89\x88\x87R."
    return {
        "long names": with_model(long_names),
        "common parts": with_model(common_parts),
        "common modules": with_model(common_modules),
        "hash of a pair of pairs": dump({"ema": None, "type": Call(np.dtype, pair, False, True)}),
        "hash of nested tuples": deep,
        "unknown calls": b"\x80\x02" + b"ca\nb\n)R0" * 120_000 + b".",
        "unknown names": b"\x80\x02]" + b"ca\nb\na" * 160_000 + b".",
        "constructors that fail": b"\x80\x02]"
        + b"ccollections\nOrderedDict\nN\x85Ra" * 80_000
        + b".",
        "keys of numbers": b"\x80\x02}" + b"K\x01Ns" * 160_000 + b".",
        "keys of nested tuples": b"\x80\x02)"
        + b"\x85" * 10**5
        + b"q\x01}"
        + b"h\x01Ns" * 10**5
        + b".",
        "states of what has none": b"\x80\x02" + b"N}b0" * 120_000 + b".",
        "list of pairs": with_model(lambda state: state["_init_kwargs"].update(dropout=[pair] * 9)),
    }

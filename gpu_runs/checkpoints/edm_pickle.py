"""Reads the pickles of EDM and EDM2: networks as records of their classes, without their classes.

Such a file is a pickled dict; its entry ``ema``, or else ``net``, is the network. Each module is stored as
the source of its class, which the original runs and this reader does not look at, the name of the class,
and the module's attributes. Nothing is needed of the other entries, training state, data sets,
augmentation: what they hold may be unknown here. Within the network nothing may be. What a file can ask for
is bounded: what is decoded is counted against the size of the file, each entry of a module is visited once,
and names are short.
"""

from __future__ import annotations

import codecs
import struct
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gpu_runs.checkpoints.pickle_data import LongText, Names, Opaque, read_pickle
from gpu_runs.checkpoints.preconditioning import PRECONDITIONINGS, NetworkSpec
from gpu_runs.checkpoints.stored_tensors import Storage, StoredTensor, read_storage, stored_tensor
from gpu_runs.errors import OWN_CODE, CheckpointError, shown

_DEPTH_LIMIT = 8
"""Modules in modules; those of EDM are five deep."""
_NAME_LIMIT = 256
"""Characters of the full name of a tensor; those of EDM have less than 60."""
_STORAGE_LIMIT = 5000
"""Tensors in a file of any size; those of EDM have less than 1000, with a training state some 3000."""
_STORAGE_BYTES = 16_384
"""Bytes of a file beyond which it may have another tensor."""
_PASSING_LIMIT = 16
"""Buffers of a module that are not stored; those of EDM have none."""

_ENTRIES = ("ema", "net")
"""What the network is called in a file; the first that is there counts."""
EDM2 = "Precond"
"""The class of EDM2's preconditioning; see `gpu_runs.checkpoints.edm2_pickle`."""
_MODELS = ("model", "unet")
"""What the network in a preconditioning is called, in EDM and in EDM2."""

_IMAGES = ("img_resolution", "img_channels", "label_dim")
"""Attributes of a preconditioning that are also keywords of its constructor."""
_RUNTIME = ("use_fp16", "label_dropout")
"""Keywords of EDM's constructors that have no effect on what a trained network computes."""
_POSITIONS = {
    "EDMPrecond": (*_IMAGES, "use_fp16", "sigma_min", "sigma_max", "sigma_data", "model_type"),
    "VPPrecond": (*_IMAGES, "use_fp16", "beta_d", "beta_min", "M", "epsilon_t", "model_type"),
    "VEPrecond": (*_IMAGES, "use_fp16", "sigma_min", "sigma_max", "model_type"),
    "iDDPMPrecond": (*_IMAGES, "use_fp16", "C_1", "C_2", "M", "model_type"),
    EDM2: (*_IMAGES, "use_fp16", "sigma_data", "logvar_channels"),
}
"""Names of the arguments of EDM's constructors by their positions; all later ones are keywords."""

_SCALARS = {"f8": "d", "f4": "f", "f2": "e", "b1": "?"}
_SCALARS |= {"i8": "q", "i4": "i", "i2": "h", "i1": "b", "u8": "Q", "u4": "I", "u2": "H", "u1": "B"}
"""Types of numpy's scalars, and their names in the module struct."""


@dataclass(frozen=True)
class EDMRecord:
    """A network out of an EDM pickle.

    Attributes
    ----------
    class_name, model_class : names of the classes of the preconditioning and of the network in it.
    options : keywords of the constructor; values are not checked. arguments : before them, without names.
    attributes : of the preconditioning, those that are numbers, strings or None.
    tensors : parameters and buffers, in the order and by the names of a state dict.
    """

    class_name: str
    model_class: str
    options: dict[str, Any]
    attributes: dict[str, Any]
    tensors: dict[str, Tensor]
    arguments: tuple[Any, ...] = ()

    def spec(self) -> NetworkSpec:
        """The description of the network; of its values only those needed here are checked."""
        kind = self.class_name
        if kind not in _POSITIONS:
            known = ", ".join(_POSITIONS)
            raise CheckpointError(f"preconditioning {shown(kind)} is unknown; known: {known}")
        constants = PRECONDITIONINGS[kind].constants
        # Attributes, since the original computes some on building, as the least noise level in float32.
        needed = (*_IMAGES, "sigma_min", "sigma_max", *constants)
        missing = [name for name in needed if name not in self.attributes]
        if missing:
            raise CheckpointError(f"{kind} lacks its {missing[0]}")
        said: dict[str, Any] = {name: self.attributes[name] for name in needed}
        options = self.named_options()
        for name, value in [*said.items(), ("model_type", self.model_class)]:
            # Those that are neither, as the range of noise levels, may be set later.
            if name in (*_IMAGES, "model_type"):
                agree(name, options.get(name, value), value)
        elsewhere = {*needed, "model_type", *_RUNTIME}
        return NetworkSpec(
            preconditioning=kind,
            architecture=self.model_class,
            resolution=said["img_resolution"],
            channels=said["img_channels"],
            label_dim=said["label_dim"],
            sigma_min=said["sigma_min"],
            sigma_max=said["sigma_max"],
            constants={name: said[name] for name in constants},
            options={name: value for name, value in options.items() if name not in elsewhere},
        )

    def named_options(self) -> dict[str, Any]:
        """The options, with the arguments by their names."""
        names = _POSITIONS[self.class_name]
        if len(self.arguments) > len(names):
            raise CheckpointError(
                f"{self.class_name} takes {len(names)} arguments without names; this one got "
                f"{len(self.arguments)}"
            )
        named = dict(zip(names, self.arguments, strict=False))
        for name in named:
            if name in self.options:
                raise CheckpointError(f"{self.class_name} got its {name} twice")
        return {**named, **self.options}


def agree(name: str, given: object, value: object) -> None:
    """An option that is also stored elsewhere has to be the same there."""
    if given != value:
        raise CheckpointError(
            f"{name} is {shown(given)} in the options, {shown(value)} in the network"
        )


def read_edm_pickle(data: bytes) -> EDMRecord:
    """The network in the bytes of an EDM pickle; its other entries are left out, whatever they are.

    Raises
    ------
    CheckpointError : the bytes are not such a pickle; says at which byte or in which module.
    """
    names = _Constructors(len(data)).names()
    content, end = read_pickle(memoryview(data), names, opaque=True)
    if end != len(data):
        raise CheckpointError(f"byte {end}: the pickle ends here, the file does not")
    if isinstance(content, Opaque):
        raise CheckpointError(content.why)
    held = content if type(content) is dict else {}
    entry = next((name for name in _ENTRIES if name in held), None)
    if entry is None:
        raise CheckpointError(
            f"holds no entry 'ema', which is the network of an EDM pickle: take a snapshot of "
            f"EDM's; {OWN_CODE}"
        )
    network = _known(held[entry], f"entry '{entry}'")
    if not isinstance(network, _Module):
        raise CheckpointError(f"entry '{entry}' has to be a network; it is {shown(network)}")
    state, parts = network.state_dict(), _part(network, "_modules")
    model = next((parts[name] for name in _MODELS if name in parts), None)
    if not isinstance(model, _Module):
        raise CheckpointError(
            f"{shown(network.class_name)} holds no network 'model', as the networks of EDM do; {OWN_CODE}"
        )
    options, arguments = state.get("_init_kwargs"), state.get("_init_args")
    if type(options) is not dict or type(arguments) is not tuple:
        raise CheckpointError("the network does not say with which options it was built")
    for name, value in [*options.items(), *(("without a name", value) for value in arguments)]:
        _known(value, f"option {shown(name)}")
    tensors: dict[str, Tensor] = {}
    _collect(network, "", tensors, visited=set())
    attributes = {
        name: value
        for name, value in state.items()
        if not name.startswith("_") and (value is None or isinstance(value, int | float | str))
    }
    return EDMRecord(network.class_name, model.class_name, options, attributes, tensors, arguments)


def _known(value: object, what: str) -> object:
    """A value of the network; CheckpointError if it is one that was not made."""
    if isinstance(value, Opaque):
        raise CheckpointError(f"{what}: {value.why}")
    return value


def _part(module: _Module, name: str) -> dict[str, Any]:
    part = module.state_dict().get(name)
    if type(part) is not dict:
        raise CheckpointError(f"a {shown(module.class_name)} lacks its {name}")
    return part


def _collect(module: _Module, prefix: str, tensors: dict[str, Tensor], visited: set[int]) -> None:
    """Add the tensors of a module and of those in it; `visited` are the dicts that hold them."""
    if prefix.count(".") > _DEPTH_LIMIT:
        raise CheckpointError(f"module {shown(prefix)} lies deeper than any of EDM")

    def entries(part: str) -> dict[str, Any]:
        held = _part(module, part)
        # Modules of the same state, or the same module at two places: a walk through 2^n of them.
        if id(held) in visited:
            raise CheckpointError(f"module {shown(prefix)} has its {part} in common with another")
        visited.add(id(held))
        return held

    parameters = entries("_parameters")
    for name, value in module.state_dict().items():
        _known(value, f"{shown(prefix + name[:_NAME_LIMIT])}")
        if type(value) is dict:  # hooks, for instance, have numbers as keys
            _known(value.get(""), f"{shown(prefix + name[:_NAME_LIMIT])}")
    passing = module.state_dict().get("_non_persistent_buffers_set", [])
    if not isinstance(passing, list) or len(passing) > _PASSING_LIMIT:
        raise CheckpointError(f"module {shown(prefix)} has strange _non_persistent_buffers_set")
    for part, held in (("_parameters", parameters), ("_buffers", entries("_buffers"))):
        for name, stored in held.items():
            if stored is None or (part == "_buffers" and name in passing):
                continue
            full = _full_name(prefix, name)
            _known(stored, shown(full))
            if not isinstance(stored, StoredTensor):
                raise CheckpointError(f"{shown(full)} has to be a tensor")
            try:
                tensors[full] = stored.tensor()
            except CheckpointError as error:
                raise CheckpointError(f"{shown(full)}: {error}") from None
    for name, inner in entries("_modules").items():
        if inner is None:
            continue
        full = _full_name(prefix, name)
        _known(inner, shown(full))
        if not isinstance(inner, _Module):
            raise CheckpointError(f"{shown(full)} has to be a module")
        _collect(inner, f"{full}.", tensors, visited)


def _full_name(prefix: str, name: str) -> str:
    """The key in a state dict; a long prefix would be copied for every tensor behind it."""
    full = prefix + name
    if not name or "." in name or len(full) > _NAME_LIMIT:
        raise CheckpointError(
            f"{shown(full)}: names have no dots, and with those of the modules around them "
            f"1 to {_NAME_LIMIT} characters"
        )
    return full


class _Module:
    """A module: the name of its class, and its attributes, which may come later."""

    def __init__(self, class_name: str, state: object = None) -> None:
        self.class_name, self.state = class_name, state

    def build(self, state: object) -> None:
        again = Opaque(f"a {shown(self.class_name)} gets its attributes twice")
        self.state = state if self.state is None else again

    def state_dict(self) -> dict[str, Any]:
        _known(self.state, "a module")
        if type(self.state) is not dict:
            raise CheckpointError(f"a {shown(self.class_name)} has no attributes")
        return self.state


class _ScalarType:
    """The type of a numpy scalar; the state that follows has to say that its bytes are as here.

    format : of its bytes, as of the module struct; None if they are not as here.
    """

    def __init__(self, code: object) -> None:
        # Nothing but a string is looked up: to hash nested tuples can take for ever.
        if not isinstance(code, str) or code not in _SCALARS:
            raise CheckpointError(f"numpy type {shown(code)} is no number that can be read")
        self.format: str | None = "<" + _SCALARS[code]

    def build(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", "|"):
            self.format = None


class _Constructors:
    """What stands for the names in one file; counts the bytes and the storages that it decodes."""

    def __init__(self, size: int) -> None:
        self.budget = 2 * size
        self.most = _STORAGE_LIMIT + size // _STORAGE_BYTES
        self.storages = 0

    def names(self) -> Names:
        return {
            ("torch_utils.persistence", "_reconstruct_persistent_obj"): _persisted,
            ("torch.nn.modules.container", "ModuleDict"): lambda: _Module("ModuleDict"),
            ("collections", "OrderedDict"): _empty,
            ("dnnlib.util", "EasyDict"): _empty,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, gradient, hooks: tensor,
            ("torch._utils", "_rebuild_tensor_v2"): stored_tensor,
            ("torch.storage", "_load_from_bytes"): self._storage,
            ("numpy", "dtype"): lambda code, align, copy: _ScalarType(code),
            ("numpy.core.multiarray", "scalar"): _scalar,
            ("numpy._core.multiarray", "scalar"): _scalar,
            ("_codecs", "encode"): self._encode,
            # A set is read as the list of its elements.
            ("__builtin__", "set"): _elements,
            ("builtins", "set"): _elements,
        }

    def _spend(self, count: int) -> None:
        self.budget -= count
        if self.budget < 0:
            raise CheckpointError("refers to the same bytes over and over")

    def _encode(self, text: object, encoding: object) -> memoryview:
        """Bytes that protocol 2 writes as the string of the same code points."""
        if encoding != "latin1" or not isinstance(text, str | LongText):
            raise CheckpointError("bytes that are not written as text in latin1")
        utf8 = memoryview(text.encode()) if isinstance(text, str) else text.utf8
        self._spend(len(utf8))
        decoder = codecs.getincrementaldecoder("utf-8")()
        result = bytearray()
        piece = 1 << 20  # as a whole, a text can take four times its bytes
        for start in range(0, len(utf8), piece):
            result += decoder.decode(bytes(utf8[start : start + piece])).encode("latin1")
        decoder.decode(b"", final=True)
        return memoryview(result)

    def _storage(self, data: object) -> Storage:
        if not isinstance(data, memoryview):
            raise CheckpointError("a storage that is not bytes")
        self._spend(len(data))
        self.storages += 1
        if self.storages > self.most:
            raise CheckpointError(
                f"more than {self.most} tensors in a file of this size; {OWN_CODE}"
            )
        return read_storage(data)


def _empty() -> dict[str, object]:
    return {}


def _elements(items: list[object] | None = None) -> list[object]:
    if not isinstance(items, list | None):
        raise CheckpointError("a set of something that is not a list")
    return [] if items is None else items


def _persisted(record: object) -> _Module:
    """A module or another object, as EDM stores it."""
    keys = {"type", "version", "module_src", "class_name", "state"}
    if type(record) is not dict or record.keys() != keys:
        raise CheckpointError(f"a stored object has {', '.join(sorted(keys))}; this one has not")
    if record["type"] != "class" or record["version"] != 6:
        raise CheckpointError(
            f"stored objects are of type 'class' and version 6; got {shown(record['type'])} "
            f"and {shown(record['version'])}"
        )
    if not isinstance(record["class_name"], str) or type(record["state"]) is not dict:
        raise CheckpointError("a stored object lacks its class name or its state")
    return _Module(record["class_name"], record["state"])


def _scalar(kind: object, data: object) -> object:
    if not isinstance(kind, _ScalarType) or not isinstance(data, memoryview):
        raise CheckpointError("a numpy number without its type or its bytes")
    if kind.format is None:
        raise CheckpointError("a numpy type that is not of little-endian numbers")
    return struct.unpack(kind.format, data)[0]

"""Files of torch.save as data, archives and those before them: dicts and lists of stored tensors.

Either is a pickle, and beside it the numbers, which a persistent id names. Names that stand for no data are
`Opaque`, as in an EDM pickle; an optimizer's state may hold any.
"""

from __future__ import annotations

from gpu_runs.checkpoints.pickle_data import Names, Opaque, read_pickle
from gpu_runs.checkpoints.stored_tensors import (
    STORAGES,
    Storage,
    identified,
    read_head,
    stored_tensor,
)
from gpu_runs.checkpoints.zip_entries import zip_entries
from gpu_runs.errors import OWN_CODE, CheckpointError, shown

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How files begin that torch wrote before its archives: a magic number, pickled."""

ARCHIVE = b"PK\x03\x04"
"""How archives begin."""

_NAMES: Names = {
    **STORAGES,
    ("collections", "OrderedDict"): lambda: {},  # with no arguments: to hash some takes for ever
    ("torch._utils", "_rebuild_parameter"): lambda tensor, gradient, hooks: tensor,
    ("torch._utils", "_rebuild_tensor_v2"): stored_tensor,
}
_ROOT = "data.pkl"


class _Storages:
    """The storages that a pickle names; each is one, however often it is named."""

    def __init__(self) -> None:
        self.by_key: dict[str, Storage] = {}

    def __call__(self, identity: object) -> Storage:
        named = identified(identity)
        assert isinstance(identity, tuple)
        storage = self.by_key.setdefault(identity[2], named)
        if (storage.kind, storage.count) != (named.kind, named.count):
            raise CheckpointError(f"storage {shown(identity[2])} is said to be of two kinds")
        return storage


def read_torch_file(data: memoryview) -> object:
    """What a file of torch.save holds; its tensors are `StoredTensor` and still lie in the file.

    Raises
    ------
    CheckpointError : it is damaged, or of another kind of archive; says which.
    """
    if data[: len(LEGACY)] != LEGACY and data[: len(ARCHIVE)] != ARCHIVE:
        raise CheckpointError(f"is no file of torch.save: nothing was run; {OWN_CODE}")
    content = _legacy(data) if data[: len(LEGACY)] == LEGACY else _archive(data)
    if isinstance(content, Opaque):
        raise CheckpointError(f"holds an object, not tensors by name: {content.why}; {OWN_CODE}")
    return content


def _archive(data: memoryview) -> object:
    entries = zip_entries(data)
    roots = [name for name in entries if name.rpartition("/")[2] == _ROOT]
    if any(name.endswith("constants.pkl") for name in entries):
        raise CheckpointError(
            f"an archive of TorchScript, which is a program: nothing was run; {OWN_CODE}"
        )
    if any(name.endswith(".npy") for name in entries):
        raise CheckpointError("an archive of numpy's arrays, which are no network")
    if len(roots) != 1:
        raise CheckpointError(f"an archive without one {_ROOT} is not torch's; {OWN_CODE}")
    folder = roots[0].removesuffix(_ROOT)
    if bytes(entries.get(f"{folder}byteorder", memoryview(b"little"))) != b"little":
        raise CheckpointError("an archive whose numbers are not little-endian")
    storages = _Storages()
    root = entries[roots[0]]
    content, end = read_pickle(root, _NAMES, persistent=storages, opaque=True)
    if end != len(root):
        raise CheckpointError(f"{_ROOT}: the pickle ends at byte {end}, the entry does not")
    if sum(storage.size for storage in storages.by_key.values()) > len(data):
        raise CheckpointError("storages that are larger together than the file")
    for key, storage in storages.by_key.items():
        if (numbers := entries.get(f"{folder}data/{key}")) is None:
            raise CheckpointError(
                f"the archive has no storage {shown(key)}, which its pickle names"
            )
        storage.fill(numbers)
    return content


def _legacy(data: memoryview) -> object:
    storages = _Storages()
    content, at = read_pickle(data, _NAMES, start=read_head(data), persistent=storages, opaque=True)
    keys, at = read_pickle(data, {}, start=at)
    if not isinstance(keys, list):
        raise CheckpointError("a file of torch without the list of its storages")
    for key in keys:
        storage = storages.by_key.get(key) if isinstance(key, str) else None
        if storage is None:
            raise CheckpointError(
                f"storage {shown(key)} is of no kind that is read here; {OWN_CODE}"
            )
        size = storage.size
        if int.from_bytes(data[at : at + 8], "little") != storage.count:
            raise CheckpointError(f"storage {shown(key)} is not as long as its tensors say")
        storage.fill(data[at + 8 : at + 8 + size])
        at += 8 + size
    if at != len(data):
        raise CheckpointError(f"byte {at}: the last storage ends here, the file does not")
    return content

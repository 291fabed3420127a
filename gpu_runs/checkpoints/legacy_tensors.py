"""Tensors as torch stored them before its archives: pickles followed by raw numbers.

A tensor is a description (offset, size, stride) of a storage. A storage is a file of its own: five pickles (a
magic number, a version, facts about the machine, the kind and the length of the storage, its key), the
length again, and the numbers. No storage may be in two tensors, and no tensor may be larger than its storage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor

from gpu_runs.checkpoints.pickle_data import Name, read_pickle
from gpu_runs.errors import CheckpointError

_OPCODES = 40
"""Of each of the five pickles of a storage; torch writes 27 at most."""
_HEADER = [0x1950A86A20F9469CFC6C, 1001]
"""The first two values in a storage: a magic number and the version of the format."""

_KINDS = {
    "FloatStorage": ("<f4", torch.float32),
    "DoubleStorage": ("<f8", torch.float64),
    "HalfStorage": ("<f2", torch.float16),
    "BFloat16Storage": ("<i2", torch.bfloat16),
    "LongStorage": ("<i8", torch.int64),
    "IntStorage": ("<i4", torch.int32),
    "ShortStorage": ("<i2", torch.int16),
    "CharStorage": ("<i1", torch.int8),
    "ByteStorage": ("<u1", torch.uint8),
    "BoolStorage": ("<u1", torch.bool),
}
"""Names of storages in torch: how their numbers lie in the file, and what they are."""


class Storage:
    """Numbers in the file; `raw` until a tensor takes them."""

    def __init__(self, kind: str, count: int) -> None:
        self.layout, self.dtype = _KINDS[kind]
        self.count = count
        self.raw: memoryview | None = None

    def take(self) -> Tensor:
        """The numbers, copied out of the file; once only."""
        if self.raw is None:
            raise CheckpointError("its storage is that of another tensor, too")
        numbers = np.frombuffer(self.raw, self.layout)
        self.raw = None
        copy = torch.from_numpy(numbers.astype(numbers.dtype.newbyteorder("=")))
        return copy.to(torch.bool) if self.dtype is torch.bool else copy.view(self.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class StoredTensor:
    """A view of a storage; made when a network needs it."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def tensor(self) -> Tensor:
        """The tensor; CheckpointError if its storage is taken."""
        whole = self.storage.take()
        view = whole.as_strided(self.size, self.stride, self.offset)
        if view.numel() == whole.numel():
            return view.contiguous()
        return view.clone(memory_format=torch.contiguous_format)


def stored_tensor(
    storage: object,
    offset: object,
    size: object,
    stride: object,
    requires_grad: object,
    hooks: object,
    metadata: object = None,
) -> StoredTensor:
    """What stands for the function of torch that makes a tensor; takes its arguments, checked."""
    if not isinstance(storage, Storage):
        raise CheckpointError("a tensor of something that is not a storage")
    if not _counts(size) or not _counts(stride) or type(offset) is not int or offset < 0:
        raise CheckpointError("a tensor whose size, stride or offset are not natural numbers")
    if len(size) != len(stride) or 0 in size:
        raise CheckpointError("a tensor without elements, or whose strides do not fit its size")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if last >= storage.count or math.prod(size) > storage.count:
        raise CheckpointError(f"a tensor that is larger than its storage of {storage.count}")
    return StoredTensor(storage, offset, size, stride)


def _counts(numbers: object) -> TypeGuard[tuple[int, ...]]:
    return (
        isinstance(numbers, tuple)
        and len(numbers) <= 8
        and all(type(number) is int and 0 <= number < 1 << 40 for number in numbers)
    )


def read_storage(data: memoryview) -> Storage:
    """The storage in these bytes, which it keeps a view of."""

    def identified(identity: object) -> Storage:
        match identity:
            case ("storage", Name(meaning=str(kind)), str(), str(), int(count), None) if count >= 0:
                return Storage(kind, count)
        raise CheckpointError("a storage without its type, key, place and length")

    names = {("torch", kind): kind for kind in _KINDS}
    values, at = [], 0
    for _ in range(5):
        value, at = read_pickle(data, names, start=at, limit=_OPCODES, persistent=identified)
        values.append(value)
    *header, facts, storage, _ = values
    if header != _HEADER or type(facts) is not dict or facts.get("little_endian") is not True:
        raise CheckpointError("a storage in a format that is not torch's, or not little-endian")
    if not isinstance(storage, Storage):
        raise CheckpointError("a storage that does not say what it holds")
    count, raw = int.from_bytes(data[at : at + 8], "little"), data[at + 8 :]
    if count != storage.count or len(raw) != count * np.dtype(storage.layout).itemsize:
        raise CheckpointError(f"a storage of {storage.count} numbers that holds {len(raw)} bytes")
    storage.raw = raw
    return storage

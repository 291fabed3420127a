"""Tensors as torch stores them: each a part (offset, size, stride) of a storage, which is numbers in a row.

Tensors may be parts of one storage, as those of a network that was trained in half precision are; together
they may not be larger than it, so that a file cannot ask for more memory than it has bytes.

EDM's pickles hold each storage as a file of its own, as torch wrote them before its archives: five pickles (a
magic number, a version, facts about the machine, the kind and the length of the storage, its key), the length
again, and the numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor

from gpu_runs.checkpoints.pickle_data import Name, Names, Opaque, read_pickle
from gpu_runs.errors import CheckpointError

_OPCODES = 40
"""Of each of the five pickles of a storage; torch writes 27 at most."""
_HEADER = [0x1950A86A20F9469CFC6C, 1001]
"""The first two values in a storage: a magic number and the version of the format."""

KINDS = {
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

STORAGES: Names = {("torch", kind): kind for kind in KINDS}
"""The names of storages in a pickle."""


class Storage:
    """Numbers in the file: `count` of them, of which `left` are not in a tensor yet.

    kind : a name in `KINDS`. raw : their bytes, which may come later.
    """

    def __init__(self, kind: str, count: int) -> None:
        self.kind, self.count, self.left = kind, count, count
        self.raw = memoryview(b"")

    @property
    def size(self) -> int:
        """Bytes that its numbers take."""
        return self.count * np.dtype(KINDS[self.kind][0]).itemsize

    def fill(self, raw: memoryview) -> None:
        """Give it the bytes; CheckpointError if they are not as many as the numbers take."""
        if len(raw) != self.size:
            raise CheckpointError(f"a storage of {self.count} numbers that holds {len(raw)} bytes")
        self.raw = raw

    def view(self, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
        """A part of the numbers, within the storage, copied out of the file."""
        self.left -= math.prod(size)
        if self.left < 0:
            raise CheckpointError("its storage is that of another tensor, too")
        layout, dtype = KINDS[self.kind]
        numbers = np.frombuffer(self.raw, layout)
        if not len(numbers):
            raise CheckpointError("its numbers are not in the file")
        steps = [step * numbers.itemsize for step in stride]
        part = np.lib.stride_tricks.as_strided(numbers[offset:], size, steps, writeable=False)
        copy = torch.from_numpy(np.array(part, numbers.dtype.newbyteorder("="), order="C"))
        return copy.to(torch.bool) if dtype is torch.bool else copy.view(dtype)


@dataclass(frozen=True, slots=True, eq=False)
class StoredTensor:
    """A view of a storage; made when a network needs it."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def tensor(self) -> Tensor:
        """The tensor; CheckpointError if its storage is taken."""
        return self.storage.view(self.offset, self.size, self.stride)


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


def identified(identity: object) -> Storage:
    """The storage, without its numbers, that a persistent id of torch's stands for."""
    match identity:
        case ("storage", Opaque(why=why), *_):
            raise CheckpointError(why)
        case ("storage", Name(meaning=str(kind)), str(), str(), int(count), *rest) if count >= 0:
            if rest in ([], [None]):  # else a view of another storage, as torch wrote in 2016
                return Storage(kind, count)
    raise CheckpointError("a storage without its type, key, place and length")


def read_head(data: memoryview) -> int:
    """Where the fourth pickle of torch's old format begins, after those that say which format it is."""
    values: list[object] = []
    at = 0
    for _ in range(3):
        value, at = read_pickle(data, {}, start=at, limit=_OPCODES)
        values.append(value)
    *header, facts = values
    if header != _HEADER or type(facts) is not dict or facts.get("little_endian") is not True:
        raise CheckpointError("a storage in a format that is not torch's, or not little-endian")
    return at


def read_storage(data: memoryview) -> Storage:
    """The storage in these bytes, which it keeps a view of."""

    values, at = [], read_head(data)
    for _ in range(2):
        value, at = read_pickle(data, STORAGES, start=at, limit=_OPCODES, persistent=identified)
        values.append(value)
    storage, _ = values
    if not isinstance(storage, Storage):
        raise CheckpointError("a storage that does not say what it holds")
    count, raw = int.from_bytes(data[at : at + 8], "little"), data[at + 8 :]
    if count != storage.count:
        raise CheckpointError(f"a storage of {storage.count} numbers that says it has {count}")
    storage.fill(raw)
    return storage

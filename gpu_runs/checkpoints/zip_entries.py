"""The entries of a zip archive that is not compressed, as torch writes them: views of its bytes.

Nothing is unpacked, so no archive is larger than it looks. Entries may overlap: who copies them counts what
it copies.
"""

from __future__ import annotations

import struct

from gpu_runs.errors import CheckpointError, shown

ENTRY_LIMIT = 100_000
"""Of an archive; a network of 1000 tensors with its training state has some 4000."""

_COMMENT = 1 << 16
"""Bytes that may follow the end record."""
_FULL = 0xFFFFFFFF
"""Stands for a number that is in the extra field, as it takes 64 bits."""


def zip_entries(data: memoryview) -> dict[str, memoryview]:
    """Names and contents.

    Raises
    ------
    CheckpointError : it is no such archive, or compressed, encrypted, cut off, or has a name twice.
    """
    try:
        count, at = _directory(data)
        if count > ENTRY_LIMIT:
            raise CheckpointError(f"an archive of more than {ENTRY_LIMIT} entries")
        entries: dict[str, memoryview] = {}
        for _ in range(count):
            name, content, at = _entry(data, at)
            if name in entries:
                raise CheckpointError(f"an archive that has {shown(name)} twice")
            entries[name] = content
    except (struct.error, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError("an archive that is cut off or damaged") from error
    return entries


def _directory(data: memoryview) -> tuple[int, int]:
    """The number of entries, and where the list of them begins."""
    begin = max(0, len(data) - 22 - _COMMENT)
    end = bytes(data[begin:]).rfind(b"PK\x05\x06")
    if end < 0:
        raise CheckpointError("an archive without its end: the file is cut off")
    end += begin
    count, size, at = struct.unpack_from("<HII", data, end + 10)
    if end >= 20 and bytes(data[end - 20 : end - 16]) == b"PK\x06\x07":
        (wide,) = struct.unpack_from("<Q", data, end - 12)
        if bytes(data[wide : wide + 4]) != b"PK\x06\x06":
            raise CheckpointError("an archive whose end is damaged")
        count, size, at = struct.unpack_from("<QQQ", data, wide + 32)
    if at + size > end:
        raise CheckpointError("an archive whose list of entries is outside of it")
    return count, at


def _entry(data: memoryview, at: int) -> tuple[str, memoryview, int]:
    """Name and content of the entry that is listed here, and where the next one is."""
    mark, flags, method = struct.unpack_from("<4s4xHH", data, at)
    if mark != b"PK\x01\x02":
        raise CheckpointError("an archive whose list of entries is damaged")
    packed, size, name_length, extra_length, comment = struct.unpack_from("<IIHHH", data, at + 20)
    (begin,) = struct.unpack_from("<I", data, at + 42)
    name = str(data[at + 46 : at + 46 + name_length], "utf-8")
    extra = data[at + 46 + name_length : at + 46 + name_length + extra_length]
    size, packed, begin = _wide(extra, [size, packed, begin])
    if method or flags & 1 or packed != size:
        raise CheckpointError(
            f"{shown(name)} is compressed or encrypted, which torch never does: nothing was unpacked"
        )
    if bytes(data[begin : begin + 4]) != b"PK\x03\x04":
        raise CheckpointError(f"{shown(name)} is not where the archive says")
    before = sum(struct.unpack_from("<HH", data, begin + 26))
    content = data[begin + 30 + before : begin + 30 + before + size]
    if len(content) < size:
        raise CheckpointError(f"{shown(name)} is cut off")
    return name, content, at + 46 + name_length + extra_length + comment


def _wide(extra: memoryview, numbers: list[int]) -> list[int]:
    """The numbers, with those of 64 bits out of the extra field, where they stand in this order."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        if kind == 1:
            full = [i for i, number in enumerate(numbers) if number == _FULL]
            for i, value in zip(full, struct.unpack_from(f"<{len(full)}Q", extra, 4), strict=True):
                numbers[i] = value
            break
        extra = extra[4 + length :]
    return numbers

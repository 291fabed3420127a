"""Arrays in .npy and .npz files, read as data: whatever the bytes are, an array or an ArrayError.

numpy trusts the sizes in a file; here they are compared with the bytes that there are before any
memory is taken. Python objects are never loaded.
"""

from __future__ import annotations

import math
import os
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from gpu_runs.errors import printable
from gpu_runs.files.inputs import open_regular, reason
from seeds_theory.errors import SeedsError

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""Version 3 is of structured arrays only."""


class ArrayError(SeedsError):
    """A file that does not hold the arrays that it should."""


class Npz(Mapping[str, np.ndarray]):
    """The arrays in an .npz file by name, each read into memory when it is asked for.

    Raises ArrayError for a file that is none, whose arrays take more than `limit` bytes in all, or
    that has a name twice; and where an array is asked for that is damaged or holds objects.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        with self._archive() as archive:
            members = archive.infolist()
            # A member is never unpacked beyond the size in the directory.
            total = sum(member.file_size for member in members)
            if total > limit:
                raise ValueError(
                    f"its arrays take {total} bytes, more than the {limit} that are unpacked: "
                    "an .npy has no limit"
                )
            self._members = {member.filename.removesuffix(".npy"): member for member in members}
            if len(self._members) < len(members):
                raise ValueError("two of its arrays have one name")

    def __getitem__(self, name: str) -> np.ndarray:
        member = self._members[name]
        with self._archive() as archive:
            with archive.open(member) as file:
                _require_whole(file, member.file_size)
            with archive.open(member) as file:
                return np.lib.format.read_array(file, allow_pickle=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    @contextmanager
    def _archive(self) -> Iterator[zipfile.ZipFile]:
        with (
            _errors_of(self._path),
            open_regular(self._path) as file,
            zipfile.ZipFile(file) as zipped,
        ):
            yield zipped


def map_npy(path: Path) -> np.ndarray:
    """The array in an .npy file, which stays on disk until it is used. Raises ArrayError."""
    with _errors_of(path):
        with open_regular(path) as file:
            _require_whole(file, path.stat().st_size)
        return np.lib.format.open_memmap(path, "r")


def read_npy_sequence(path: Path) -> list[np.ndarray]:
    """The arrays of a file that holds one .npy after another, as Equinox writes the leaves of a tree.

    Raises ArrayError.
    """
    arrays = []
    with _errors_of(path), open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        while (start := file.tell()) < size:
            _require_whole(file, size)
            file.seek(start)
            arrays.append(np.lib.format.read_array(file, allow_pickle=False))
    return arrays


def _require_whole(file: IO[bytes], size: int) -> None:
    """Raises ValueError unless a file of that size has all values that its header declares."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"it has version {version} of the format")
    shape, _, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        raise ValueError("its values are Python objects, which are not loaded")
    if any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"its shape is {shape}")
    need, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if need > there:
        raise ValueError(f"its values, {dtype} {shape}, need {need} bytes; it has {there}")


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what numpy and the parser of headers wonder about
            yield
    except Exception as error:  # of zipfile, its decompressors, numpy or Python's parser
        raise ArrayError(f"cannot read {printable(path)}: {reason(error)}") from None

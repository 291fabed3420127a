"""The files of a folder of diffusers, read as data: settings in JSON, and tensors.

Links are followed, as the folders in the cache of Hugging Face are full of them, but to regular files only. A
file's SHA-256 is that of the bytes that were read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from torch import Tensor

from gpu_runs.checkpoints.safetensors_data import read_safetensors
from gpu_runs.checkpoints.state_dicts import require_real
from gpu_runs.checkpoints.torch_files import read_torch_file
from gpu_runs.checkpoints.translation import tensors_of
from gpu_runs.errors import CheckpointError, printable, shown
from gpu_runs.files.inputs import read_whole, reason
from gpu_runs.files.strict_json import json_object
from seeds_theory.errors import SeedsError

INDEX = "model_index.json"
"""What names the parts of a pipeline."""
WEIGHTS = "diffusion_pytorch_model"
"""What weights of networks are called."""
_JSON_LIMIT = 1 << 22
_TENSOR_LIMIT = 8 << 30
"""Bytes of a file."""
_FILES_LIMIT = 100
"""Files that the weights of one network are cut into."""


class FolderFiles:
    """What was read of a folder.

    Attributes
    ----------
    path : of the folder. sha256 : of the files that were read, by their paths in it, in hexadecimal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sha256: dict[str, str] = {}

    def has(self, name: str) -> bool:
        """Whether there is such a file or folder, or a link of that name."""
        return (self.path / name).is_symlink() or (self.path / name).exists()

    def part(self, name: str, file: str) -> str:
        """The beginning of the paths of a part's files, one of which is called so.

        Those of some old folders lie in the folder itself.
        """
        return "" if self.has(file) and not (self.path / name).is_dir() else f"{name}/"

    def settings(self, name: str) -> dict[str, Any]:
        """The JSON object in a file, whose numbers may be infinite or NaN. Raises CheckpointError."""
        with self.blamed_on(name):
            return json_object(self._bytes(name, _JSON_LIMIT), "it", finite=False)

    def tensors(self, part: str) -> dict[str, Tensor]:
        """The tensors of a network, real numbers, by the names of its state dict; `part` as of `part`.

        Raises
        ------
        CheckpointError : no weights, or weights that are malformed or ask for more than tensors.
        """
        plain = f"{part}{WEIGHTS}.safetensors"
        if self.has(plain):
            return self._safetensors(plain)
        if self.has(f"{plain}.index.json"):
            return self._sharded(part, f"{plain}.index.json")
        if self.has(f"{part}{WEIGHTS}.bin"):
            return self._pickled(f"{part}{WEIGHTS}.bin")
        with self.blamed_on(part):
            raise CheckpointError(f"has no {WEIGHTS}.safetensors: save_pretrained writes it")

    def shards(self, index: str) -> list[str]:
        """The names of the files that weights are cut into, beside the file that lists them.

        Raises
        ------
        CheckpointError : there are too many, or one is no safetensors, or lies elsewhere.
        """
        places = self.settings(index).get("weight_map")
        with self.blamed_on(index):
            if type(places) is not dict or not all(
                isinstance(place, str) for place in places.values()
            ):
                raise CheckpointError("has no weight_map from names to files")
            names = sorted(set(places.values()))
            if len(names) > _FILES_LIMIT:
                raise CheckpointError(f"names {len(names)} files; {_FILES_LIMIT} at most are read")
            for name in names:
                if name != Path(name).name or not name.endswith(".safetensors"):
                    raise CheckpointError(f"{shown(name)} is no safetensors file beside it")
        return names

    @contextmanager
    def blamed_on(self, name: str) -> Iterator[None]:
        """Put the file's name before what is wrong with it."""
        try:
            yield
        except SeedsError as error:
            raise CheckpointError(f"{printable(self.path / name)}: {error}") from error

    def _bytes(self, name: str, limit: int) -> bytes:
        try:
            data = read_whole(self.path / name, limit)
        except (OSError, ValueError) as error:  # ValueError: a null byte in the path
            raise CheckpointError(f"cannot be read: {reason(error)}") from error
        self.sha256[name] = sha256(data).hexdigest()
        return data

    def _safetensors(self, name: str) -> dict[str, Tensor]:
        with self.blamed_on(name):
            tensors = read_safetensors(self._bytes(name, _TENSOR_LIMIT))
            require_real(tensors)
            return tensors

    def _sharded(self, part: str, index: str) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {}
        for name in self.shards(index):
            found = self._safetensors(f"{part}{name}")
            with self.blamed_on(f"{part}{name}"):
                if tensors.keys() & found.keys():
                    raise CheckpointError("has tensors that are in another file, too")
            tensors.update(found)
        return tensors

    def _pickled(self, name: str) -> dict[str, Tensor]:
        with self.blamed_on(name):
            content = read_torch_file(memoryview(self._bytes(name, _TENSOR_LIMIT)))
            entries: dict[str, object] = content if isinstance(content, dict) else {}
            stored = tensors_of(entries)
            if not stored or len(stored) < len(entries):
                raise CheckpointError("holds no tensors by their names alone")
            tensors = {}
            for key, value in stored.items():
                try:
                    tensors[key] = value.tensor()
                except CheckpointError as error:
                    raise CheckpointError(f"{shown(key)}: {error}") from None
            require_real(tensors)
            return tensors


def named_class(part: str, value: object) -> tuple[str, str] | None:
    """The library and the class that an index names for a part; None for none, which is a pair of null.

    Raises
    ------
    CheckpointError : it is no such pair.
    """
    if value == [None, None]:
        return None
    if isinstance(value, list) and len(value) == 2 and all(isinstance(w, str) for w in value):
        return value[0], value[1]
    raise CheckpointError(f"its {part} is no pair of a library and a class")


def digest_of(hashes: Mapping[str, str]) -> str:
    """One SHA-256 of those of many files and of their names, in hexadecimal."""
    return sha256(json.dumps(dict(hashes), sort_keys=True).encode()).hexdigest()

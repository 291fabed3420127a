"""The files of a folder of diffusers, read as data: settings in JSON, and tensors.

Links are followed, as the folders in the cache of Hugging Face are full of them, but to regular files only. A
file's SHA-256 is that of the bytes that were read.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpu_runs.checkpoints.state_dicts import require_real
from gpu_runs.checkpoints.strict_json import json_object
from gpu_runs.errors import CheckpointError, printable, shown
from gpu_runs.files.inputs import open_regular, reason
from seeds_theory.errors import SeedsError
from seeds_theory.extras import optional_imports

with optional_imports():
    import safetensors.torch

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
        """The JSON object in a file. Raises CheckpointError, also for numbers that are not finite."""
        with self.blamed_on(name):
            return json_object(self._bytes(name, _JSON_LIMIT), "it")

    def tensors(self, part: str) -> dict[str, Tensor]:
        """The tensors of a network, real numbers, by the names of its state dict; `part` as of `part`.

        Raises
        ------
        CheckpointError : no weights, or weights that are malformed or need code to be read.
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

    @contextmanager
    def blamed_on(self, name: str) -> Iterator[None]:
        """Put the file's name before what is wrong with it."""
        try:
            yield
        except SeedsError as error:
            raise CheckpointError(f"{printable(self.path / name)}: {error}") from error

    def _bytes(self, name: str, limit: int) -> bytes:
        try:
            with open_regular(self.path / name) as file:
                data = file.read(limit + 1)
        except (OSError, ValueError, MemoryError) as error:
            why = getattr(error, "strerror", None) or reason(error)
            raise CheckpointError(f"cannot be read: {why}") from error
        if len(data) > limit:
            raise CheckpointError(f"has more than {limit} bytes")
        self.sha256[name] = sha256(data).hexdigest()
        return data

    def _safetensors(self, name: str) -> dict[str, Tensor]:
        with self.blamed_on(name):
            data = self._bytes(name, _TENSOR_LIMIT)
            try:
                tensors = safetensors.torch.load(data)
            except Exception as error:  # of the library, or of torch for an unusual type
                raise CheckpointError(f"safetensors: {shown(str(error), 100)}") from error
            require_real(tensors)
            return tensors

    def _sharded(self, part: str, index: str) -> dict[str, Tensor]:
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
        tensors: dict[str, Tensor] = {}
        for name in names:
            found = self._safetensors(f"{part}{name}")
            with self.blamed_on(f"{part}{name}"):
                if tensors.keys() & found.keys():
                    raise CheckpointError("has tensors that are in another file, too")
            tensors.update(found)
        return tensors

    def _pickled(self, name: str) -> dict[str, Tensor]:
        with self.blamed_on(name):
            data = self._bytes(name, _TENSOR_LIMIT)
            _require_uncompressed(data)
            try:
                tensors = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            except Exception as error:  # whatever a pickle can do to the loader
                raise CheckpointError(
                    f"is no file of tensors alone; nothing was run: {shown(str(error), 100)}"
                ) from error
            if not isinstance(tensors, dict) or not all(
                isinstance(key, str) and isinstance(value, Tensor) for key, value in tensors.items()
            ):
                raise CheckpointError("holds no tensors by their names alone")
            require_real(tensors)
            if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > len(
                data
            ):
                raise CheckpointError("its tensors have more numbers than the file")
            return {key: value.detach().contiguous() for key, value in tensors.items()}


def _require_uncompressed(data: bytes) -> None:
    """An archive of torch.save packs nothing: one that does can become any size."""
    if data[:2] != b"PK":
        return
    try:
        entries = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except Exception as error:
        raise CheckpointError(f"is a damaged archive: {shown(str(error), 100)}") from error
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise CheckpointError("is an archive that is packed, which torch.save does not write")

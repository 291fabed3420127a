"""Checkpoints: networks in files, as of EDM, EDM2, torch.save, or in the format of this project.

All are read as data, see `gpu_runs.checkpoints.edm_pickle` and `gpu_runs.checkpoints.foreign`. The project's
own format is safetensors: the tensors by the names of the state dict, and in the header the `NetworkSpec` as
JSON. What a file describes is checked, built without memory, and compared with the tensors that the file
holds, before any of them is used.

Memory: a file and its tensors while it is read; its tensors and the network's while they change precision.
That is three times the size of the file at most, if its numbers become no more than twice as long.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import reduce
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpu_runs.checkpoints.checkpoint_files import checkpoint_path
from gpu_runs.checkpoints.edm2_pickle import edm2_network, is_edm2
from gpu_runs.checkpoints.edm_pickle import read_edm_pickle
from gpu_runs.checkpoints.file_kinds import kind_of_bytes
from gpu_runs.checkpoints.flags import Value, joined, split_name
from gpu_runs.checkpoints.foreign import read_foreign
from gpu_runs.checkpoints.header import read_header, write_header
from gpu_runs.checkpoints.networks import UNetBlock
from gpu_runs.checkpoints.preconditioning import NetworkSpec, PreconditionedNetwork, build_network
from gpu_runs.checkpoints.safetensors_data import read_safetensors
from gpu_runs.checkpoints.spec_checks import check_spec
from gpu_runs.checkpoints.state_dicts import PRECISIONS, placed, require_fitting, require_real
from gpu_runs.checkpoints.torch_files import ARCHIVE, LEGACY
from gpu_runs.errors import CheckpointError, printable, shown
from gpu_runs.files.inputs import open_regular, read_whole, reason
from gpu_runs.files.whole import whole_file
from gpu_runs.machine.device import require_device
from seeds_theory.errors import ParameterError
from seeds_theory.extras import optional_imports

with optional_imports():
    import safetensors.torch

SIZE_LIMIT = 8 << 30
"""Bytes of a file; the largest public checkpoint has 1.2e9."""


@dataclass(frozen=True)
class Checkpoint:
    """A file that was read: what it says about its network, and the tensors.

    Attributes
    ----------
    path, format : of the file; the format is "EDM pickle", "EDM2 pickle", "safetensors", "ADM state dict" or
        "score_sde checkpoint".
    sha256 : of the bytes that were read, in hexadecimal, whatever the file holds by now.
    spec : of the network; checked.
    tensors : real numbers by the names of the state dict, in the precision of the file.
    metadata : what else the header holds: free data about training.
    flags : what the file does not say of itself: given behind its name, or known of such a network.
    """

    path: Path
    format: str
    sha256: str
    spec: NetworkSpec
    tensors: dict[str, Tensor]
    metadata: dict[str, Any] = field(default_factory=dict)
    flags: dict[str, Value] = field(default_factory=dict)

    @property
    def read_as(self) -> str:
        """The flags as they can be given behind the name of the file; empty if there are none."""
        return joined(self.flags)

    @property
    def identity(self) -> dict[str, str | None]:
        """What tells the network from others, for records of runs."""
        read_as = {"read_as": self.read_as} if self.flags else {}
        return {"checkpoint": self.sha256, **read_as}

    def widest(self) -> torch.dtype:
        """The highest precision among the tensors, and at least single."""
        return reduce(torch.promote_types, (t.dtype for t in self.tensors.values()), torch.float32)

    def network(
        self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> PreconditionedNetwork:
        """The network, for evaluation only; it shares the tensors if they are in place already.

        Raises
        ------
        CheckpointError : the tensors are not those of the network that the file describes.
        ParameterError : no such device here, or a dtype of other than real numbers.
        """
        place = _usable(device, dtype)
        with _blamed_on(self.path):
            return _assemble(self.spec, self.tensors, place, dtype)


def load_checkpoint(
    path: str | os.PathLike[str],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> PreconditionedNetwork:
    """The network in a checkpoint; nothing that the file holds is run.

    Parameters
    ----------
    path : a pickle of EDM or EDM2, a safetensors file of `save_checkpoint`, a file of another project's that
        is read, with what it does not say as ``FILE@name=value,name=value``; or the name of an embedded one.
    device : where the network is to be.
    dtype : of its parameters. Its buffers (filters, frequencies, noise levels) are float32 at least.

    Returns
    -------
    A module ``net(x, sigma, class_labels=None)`` that denoises, in evaluation mode, without gradients; see
    `gpu_runs.checkpoints.preconditioning.PreconditionedNetwork`.

    Raises
    ------
    CheckpointError : no such file, or one that is malformed or hostile; one line says what and where.
    ParameterError, UnknownNameError : no such device here, a dtype of other than real numbers, a flag that is
        wrong.
    """
    return read_checkpoint(path).network(device, dtype)


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """A checkpoint as data: `load_checkpoint` without building the network.

    Raises
    ------
    CheckpointError : as of `load_checkpoint`, but the tensors may still be those of another network.
    """
    file = checkpoint_path(path)
    _, given = split_name(path)
    with _blamed_on(file):
        data = _content(file)
        read = _parse(data, given, file.name)
        check_spec(read.spec)
        require_real(read.tensors)
        return replace(read, path=file, sha256=sha256(data).hexdigest())


def save_checkpoint(
    net: PreconditionedNetwork,
    path: str | os.PathLike[str],
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a network as safetensors; a file that is there is replaced once the new one is complete.

    Parameters
    ----------
    net : in any precision, on any device.
    path : of the file.
    metadata : about the training, or whatever; JSON.

    Raises
    ------
    OutputError : the file cannot be written.
    ParameterError : metadata that JSON cannot hold.
    """
    header = write_header(replace(net.spec, constants=net.constant), metadata or {})
    tensors = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    data = safetensors.torch.save(tensors, header)
    with whole_file(Path(path)) as part:
        part.write_bytes(data)


def file_sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a checkpoint's file, in hexadecimal; names and errors as in `checkpoint_path`."""
    file = checkpoint_path(path)
    with _blamed_on(file), _opening(file), open_regular(file) as stream:
        return file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


@contextmanager
def _blamed_on(path: Path) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{printable(path)}: {error}") from error


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    if path.is_dir():
        raise CheckpointError(
            "is a folder and no file: those of diffusers are for --network, without flags behind them"
        )
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"cannot be read: {reason(error)}") from error


def _content(path: Path) -> bytes:
    with _opening(path):
        data = read_whole(path, SIZE_LIMIT)
    if not data:
        raise CheckpointError("is empty: fetch the file again")
    return data


def _parse(data: bytes, given: Mapping[str, str], name: str) -> Checkpoint:
    """The content of a file, not checked yet; without its path and its hash."""
    if data.startswith((ARCHIVE, LEGACY)):
        found = read_foreign(memoryview(data), given, name)
        return Checkpoint(Path(), found.format, "", found.spec, found.tensors, flags=found.flags)
    if given:
        raise ParameterError(
            f"{printable(name)} says all of itself: leave out {printable(joined(given))} behind its name"
        )
    # The first eight bytes of safetensors are the length of a JSON object, which begins at the ninth.
    if data[8:9] == b"{" and data[5:8] == bytes(3):
        spec, metadata = read_header(data)
        return Checkpoint(Path(), "safetensors", "", spec, read_safetensors(data), metadata)
    if data[:1] == b"\x80":
        record = read_edm_pickle(data)
        if is_edm2(record):
            return Checkpoint(Path(), "EDM2 pickle", "", *edm2_network(record))
        return Checkpoint(Path(), "EDM pickle", "", record.spec(), record.tensors)
    raise CheckpointError(f"is no network that is read here: {kind_of_bytes(data)}")


def _assemble(
    spec: NetworkSpec, tensors: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype
) -> PreconditionedNetwork:
    """The network of this description, with these tensors.

    It is built without memory first, as a file can describe one of any size; once its shapes are those
    of the tensors, these are its memory.
    """
    try:
        with torch.device("meta"):
            net = build_network(spec)
    except Exception as error:  # channels that do not fit groups, a level that overflows
        raise CheckpointError(f"no network has these options: {shown(str(error), 100)}") from error
    for block in net.modules():
        if isinstance(block, UNetBlock) and block.heads and block.norm2.num_channels % block.heads:
            raise CheckpointError(
                f"no attention has {block.heads} heads for {block.norm2.num_channels} channels"
            )
    require_fitting(net.state_dict(), tensors)
    # Buffers are small, and numbers like the frequencies are useless in half precision.
    fine = torch.promote_types(dtype, torch.float32)
    buffers = {name for name, _ in net.named_buffers()}
    own = {
        name: placed(name, tensor, device, fine if name in buffers else dtype)
        for name, tensor in tensors.items()
    }
    net.load_state_dict(own, assign=True)
    return net.requires_grad_(False)


def _usable(device: torch.device | str, dtype: torch.dtype) -> torch.device:
    if dtype not in PRECISIONS:
        raise ParameterError(f"a precision is {', '.join(map(str, PRECISIONS))}; got {dtype}")
    return require_device(device)

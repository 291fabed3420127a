"""From the state dict of another project to a network of this one: what translators share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gpu_runs.checkpoints.flags import Value
from gpu_runs.checkpoints.pickle_data import Opaque
from gpu_runs.checkpoints.preconditioning import NetworkSpec
from gpu_runs.checkpoints.state_dicts import require_finite
from gpu_runs.checkpoints.stored_tensors import StoredTensor
from gpu_runs.errors import CheckpointError, shown

PREFIX = "module."
"""Of all names, where several GPUs shared a network."""

Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Translated:
    """A network in this project's terms.

    Attributes
    ----------
    format : what the file is. spec, tensors : as of a checkpoint; not checked.
    flags : what the file does not say, by the names of the other project's options: given or known.
    """

    format: str
    spec: NetworkSpec
    tensors: dict[str, Tensor]
    flags: dict[str, Value]


class StateDict:
    """The tensors of a state dict, each to be taken once; errors name those that are missing."""

    def __init__(self, stored: Mapping[str, StoredTensor]) -> None:
        self._stored = dict(stored)

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor."""
        return self._find(name).size

    def width(self, name: str, axis: int = 0, axes: int = 4) -> int:
        """One of the dimensions of a tensor that has to have so many."""
        shape = self.shape(name)
        if len(shape) != axes:
            raise CheckpointError(f"{name} has to have {axes} dimensions; it has {len(shape)}")
        return shape[axis]

    def take(self, name: str) -> Tensor:
        """A tensor, which is then no longer there."""
        try:
            tensor = self._find(name).tensor()
        except CheckpointError as error:
            raise CheckpointError(f"{shown(name)}: {error}") from None
        if not tensor.ndim:
            raise CheckpointError(f"{shown(name)} is a single number, no parameter of a layer")
        require_finite(name, tensor)
        del self._stored[name]
        return tensor

    def drop(self, name: str) -> None:
        """Leave a tensor out."""
        self._stored.pop(name, None)

    def require_empty(self) -> None:
        """All were taken; CheckpointError names one that was not."""
        for name in self:
            raise CheckpointError(f"the file has {shown(name)}, which no network read here has")

    def _find(self, name: str) -> StoredTensor:
        if name not in self._stored:
            raise CheckpointError(f"the file has no {shown(name)}, which such a network has")
        return self._stored[name]


def tensors_of(entries: Mapping[str, object]) -> dict[str, StoredTensor]:
    """The tensors of a state dict, without the prefix of a network that several GPUs shared.

    Raises
    ------
    CheckpointError : one could not be read; says why.
    """
    shared = all(name.startswith(PREFIX) for name in entries)
    stored = {}
    for name, value in entries.items():
        if isinstance(value, Opaque):
            raise CheckpointError(f"{shown(name)}: {value.why}")
        if isinstance(value, StoredTensor):
            stored[name.removeprefix(PREFIX) if shared else name] = value
    return stored


def box(taps: list[float]) -> Tensor:
    """The fixed filter of these taps, as a convolution stores it."""
    total = sum(taps) ** 2
    return torch.tensor([[[[a * b / total for b in taps] for a in taps]]])


def interleaved(heads: int, parts_first: bool) -> Change:
    """Rows of the layer that makes q, k and v, brought into the order of this project's networks.

    There a row is (head, channel, part), the part being q, k or v. Else it is (head, part, channel), or with
    parts_first (part, head, channel).
    """

    def change(rows: Tensor) -> Tensor:
        rest = rows.shape[1:]
        if parts_first:
            split = rows.reshape(3, heads, -1, *rest).movedim(0, 2)
        else:
            split = rows.reshape(heads, 3, -1, *rest).movedim(1, 2)
        return split.reshape(-1, *rest)

    return change

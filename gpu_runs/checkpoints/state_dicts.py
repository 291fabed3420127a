"""Whether the tensors of a file are those of a network, before any of them is used."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gpu_runs.errors import CheckpointError, shown

PRECISIONS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""Types of tensors that are weights."""


def require_real(tensors: Mapping[str, Tensor]) -> None:
    """All tensors hold real numbers; raises CheckpointError."""
    for name, tensor in tensors.items():
        if tensor.dtype not in PRECISIONS:
            raise CheckpointError(f"{shown(name)} holds no real numbers but {tensor.dtype}")


def require_fitting(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """The tensors have the names and shapes of the expected ones.

    Raises
    ------
    CheckpointError : names the first that has not.
    """
    for name in [*expected, *tensors]:
        if name not in tensors:
            raise CheckpointError(f"the network has {shown(name)}, the file has not")
        if name not in expected:
            raise CheckpointError(f"the file has {shown(name)}, the network has not")
        found, wanted = tuple(tensors[name].shape), tuple(expected[name].shape)
        if found != wanted:
            raise CheckpointError(
                f"{name} has to have the shape {wanted}; it has {str(found)[:60]}"
            )


def placed(name: str, tensor: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The tensor on a device and in a precision; CheckpointError if it is not finite there."""
    own = tensor.to(device, dtype)
    if not own.isfinite().all():
        require_finite(name, tensor)
        raise CheckpointError(
            f"{name} holds numbers that are not finite in {own.dtype}: load it in {tensor.dtype}"
        )
    return own


def require_finite(name: str, tensor: Tensor) -> None:
    """The numbers of a tensor are finite as they are stored; `name` is that in the file.

    Raises
    ------
    CheckpointError : they are not.
    """
    if not tensor.isfinite().all():
        raise CheckpointError(
            f"{shown(name)} holds numbers that are not finite, as of a training that failed: take "
            "another snapshot, or fetch the file again"
        )

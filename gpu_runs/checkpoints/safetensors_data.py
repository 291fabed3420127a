"""The tensors in the bytes of a safetensors file.

The library sees to it that they lie in the file one after another, without gaps or overlap, so that a file
cannot ask for more memory than it has bytes.
"""

from __future__ import annotations

from torch import Tensor

from gpu_runs.errors import CheckpointError, shown
from seeds_theory.command import is_out_of_memory
from seeds_theory.extras import optional_imports

with optional_imports():
    import safetensors.torch


def read_safetensors(data: bytes) -> dict[str, Tensor]:
    """The tensors by name. Raises CheckpointError; want of memory goes its way."""
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
    except Exception as error:  # of the library, or of torch for an unusual type
        if is_out_of_memory(error):
            raise
        raise CheckpointError(
            f"safetensors: {shown(str(error), 100)}; fetch the file again, if it is cut off"
        ) from error
    return tensors

"""Where a checkpoint is: those that come with the package, by name, and any other by its path."""

from __future__ import annotations

import os
from pathlib import Path

from gpu_runs.checkpoints.flags import split_name
from gpu_runs.errors import CheckpointError, printable
from gpu_runs.names import FASHION_MNIST
from seeds_theory.errors import did_you_mean

MODELS = Path(__file__).parents[1] / "models"
EMBEDDED = {FASHION_MNIST: "fashion-mnist.safetensors"}
"""Names of the checkpoints that come with the package, and their files in `MODELS`."""


def checkpoint_path(name_or_path: str | os.PathLike[str]) -> Path:
    """The file of a checkpoint: an embedded one by its name, or a path that exists; without flags behind it.

    Raises
    ------
    CheckpointError : neither; lists the embedded ones. ParameterError : as of `split_name`.
    """
    embedded = {name: MODELS / file for name, file in EMBEDDED.items() if (MODELS / file).is_file()}
    if isinstance(name_or_path, str) and name_or_path in embedded:
        return embedded[name_or_path]
    if (text := os.fspath(name_or_path)).startswith(("http:/", "https:/")):
        raise CheckpointError(f"{printable(text)} is an address: download the file first")
    path = Path(split_name(name_or_path)[0])
    try:
        path.stat()
    except (OSError, ValueError):  # ValueError: a null byte in the path
        known = ", ".join(embedded) or "none"
        hint = did_you_mean(str(path), embedded)
        raise CheckpointError(
            f"no checkpoint file {printable(name_or_path)}{hint}; embedded: {known}; a network of your own "
            "code is module:function or file.py:function"
        ) from None
    return path

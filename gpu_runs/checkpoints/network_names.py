"""The names of networks that the commands take, looked at before anything heavy is imported."""

from __future__ import annotations

import os
from pathlib import Path

from gpu_runs.checkpoints.checkpoint_files import checkpoint_path
from gpu_runs.errors import CheckpointError, printable
from seeds_theory.errors import UnknownNameError
from seeds_theory.named_code import is_code_name

FORMS = (
    "A pickle of EDM or EDM2, safetensors, a folder of diffusers without prompts, a torch file of ADM, "
    "consistency_models or score_sde as FILE@name=value, an embedded name; or module:function or "
    "file.py:function, which is run."
)
"""What a network is on a command line, for its help."""


def names_code(name: str | Path) -> bool:
    """Whether a name is that of the user's code, ``module:function`` or ``file.py:function``.

    A file of that very name is read as a checkpoint: no file is run because of what it is called.
    """
    return is_code_name(str(name)) and not os.path.exists(name)


def require_network(name: str) -> None:
    """There is such a checkpoint, or such a file of code; modules are looked for when they are imported.

    Raises
    ------
    CheckpointError : no such checkpoint; says what else there is. ParameterError : as of `split_name`.
    UnknownNameError : no such file of code.
    """
    if not names_code(name):
        checkpoint_path(name)
        return
    file = name.rpartition(":")[0]
    if file.endswith(".py") and not os.path.isfile(file):
        raise UnknownNameError(f"there is no file {file}")


def require_pipeline(path: Path) -> None:
    """There is such a folder; what is in it is looked at when it is opened. Raises CheckpointError."""
    if not path.is_dir():
        raise CheckpointError(
            f"there is no folder {printable(path)}: --pipeline is a folder as save_pretrained writes it, "
            "and nothing is downloaded"
        )

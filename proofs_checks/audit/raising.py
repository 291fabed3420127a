"""Where a sampler raised an error, and whether it meant to."""

from __future__ import annotations

import dis
import sysconfig
import traceback
from pathlib import Path
from types import TracebackType

import torch

_AUDIT = Path(__file__).parent
_PEERS = _AUDIT / "peers"  # their adapters speak for the samplers
_TORCH, _PYTHON = Path(torch.__file__).parent, Path(sysconfig.get_paths()["stdlib"])
_INSTALLED = ("site-packages", "dist-packages")  # folders inside Python's own
_COMPUTING = ("torch", "numpy", "scipy", "jax", "jaxlib")
_RAISE = dis.opmap["RAISE_VARARGS"]


def place(error: BaseException) -> str:
    """Where the sampler's own code was when it failed: the last line that is neither torch's nor ours."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not any(map(Path(f.filename).is_relative_to, (_AUDIT, _TORCH)))]
    last = (own or frames)[-1]
    return f"{last.name}, line {last.lineno}"


def is_deliberate(error: BaseException) -> bool:
    """Whether a ``raise`` or ``assert`` in the sampler's code, or in what it is made of, raised it.

    All else is a crash: an error of the interpreter, as of a name without a value or of a division by zero,
    or one that Python's own library or one that computes raises when it is called wrongly.
    """
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and _raises(last) and not _computes(last.tb_frame.f_code.co_filename)


def _raises(entry: TracebackType) -> bool:
    """Whether the line at work is a statement that raises, and not one in which something went wrong."""
    return entry.tb_frame.f_code.co_code[entry.tb_lasti] == _RAISE


def _computes(filename: str) -> bool:
    """Whether a file is of Python, of a library that computes, or of the audit."""
    file = Path(filename)
    for name in _INSTALLED:
        if name in file.parts[:-1]:
            return file.parts[file.parts.index(name) + 1] in _COMPUTING
    if file.is_relative_to(_AUDIT):
        return not file.is_relative_to(_PEERS)
    return file.is_relative_to(_TORCH) or file.is_relative_to(_PYTHON)

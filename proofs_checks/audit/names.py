"""What a target of the audit can be called, known without importing a sampler."""

from __future__ import annotations

from seeds_theory.catalogue import require_sampler_name
from seeds_theory.errors import ParameterError

LIBRARIES = ("kdiffusion", "diffusers", "torchsde", "diffrax", "azula")
"""Other libraries with an adapter, named as their modules in `proofs_checks.audit.peers`."""


def require_target_name(text: str) -> None:
    """A target without a colon is a sampler of this library.

    Raises
    ------
    ParameterError : it is a file without a function.
    UnknownNameError : it is none; lists all, and says how others are written.
    """
    base = text.partition("?")[0]
    if ":" not in base and base.endswith(".py"):
        raise ParameterError(f"name the function in the file, as {base}:sample; got {text!r}")
    if ":" not in base:
        forms = f"module:function, file.py:function, pipe:COMMAND or {':..., '.join(LIBRARIES)}:..."
        others = f"; of others, write {forms}"
        require_sampler_name(base, others)

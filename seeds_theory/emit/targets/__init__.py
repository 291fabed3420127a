"""What `seeds-export` can write: one short module for each target.

A module has ``files(method)``: the files that a `seeds_theory.emit.method.MethodProgram` becomes, by name,
with their texts. The one that a reader opens first comes first.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, cast

from seeds_theory.errors import unknown

if TYPE_CHECKING:
    from seeds_theory.emit.method import MethodProgram

TARGETS = {
    "torch": "one file for k-diffusion and its users; needs torch alone",
    "numpy": "one function of numpy",
    "jax": "one function of jax, for jit and scan",
    "c": "a C99 header and source, and a program that speaks the pipe",
    "rust": "one file without crates, and a program that speaks the pipe",
    "javascript": "one ES module, and a program that speaks the pipe",
    "diffusers": "one scheduler file in that library's style",
    "diffusers_pr": "a pull request of it: scheduler, tests, a page and the text",
    "comfyui": "a folder of nodes without dependencies",
    "json": "a plan on given levels: every row and interval",
    "latex": "the method on one page",
}
"""Every target, and what it is."""


MULTISTEP = {"seeds-2m": ("torch", "numpy")}
"""Methods with memory, which have no tableau, and the targets that have them: by ``multistep_files``."""


class Target(Protocol):
    """What a module of this package offers."""

    def files(self, method: MethodProgram) -> dict[str, str]:
        """File names and texts."""
        ...


def target(name: str) -> Target:
    """The module of a target.

    Raises
    ------
    UnknownNameError : no such target; lists them.
    """
    if name not in TARGETS:
        raise unknown("target", name, TARGETS)
    return cast(Target, importlib.import_module(f"{__name__}.{name}"))

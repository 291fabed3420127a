"""Emitted Python as functions of this process."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from seeds_theory import special_functions

NUMPY = {"exp", "expm1", "log", "log1p", "sqrt"}
"""What emitted Python calls of numpy's."""

SPECIAL = {"damped_phi", "phi"}
"""And of `seeds_theory.special_functions`."""

_NAMES: dict[str, Any] = {
    **{name: getattr(np, name) for name in NUMPY},
    **{name: getattr(special_functions, name) for name in SPECIAL},
}


@lru_cache(maxsize=256)
def compiled(text: str, name: str) -> Callable[..., Any]:
    """A function of a text that `seeds_theory.emit.python` wrote."""
    names = dict(_NAMES)
    exec(compile(text, f"<emitted {name}>", "exec"), names)
    function: Callable[..., Any] = names[name]
    return function

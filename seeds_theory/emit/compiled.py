"""Emitted Python as functions of this process."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from seeds_theory.special_functions import damped_phi, phi

_NAMES: dict[str, Any] = {
    **{name: getattr(np, name) for name in ("exp", "expm1", "log", "log1p", "sqrt")},
    "phi": phi,
    "damped_phi": damped_phi,
}
"""What emitted Python calls."""


@lru_cache(maxsize=256)
def compiled(text: str, name: str) -> Callable[..., Any]:
    """A function of a text that `seeds_theory.emit.python` wrote."""
    names = dict(_NAMES)
    exec(compile(text, f"<emitted {name}>", "exec"), names)
    function: Callable[..., Any] = names[name]
    return function

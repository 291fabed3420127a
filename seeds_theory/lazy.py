"""Packages whose public names load on first use, so that importing one costs next to nothing.

A package's ``__init__.pyi`` has the imports as they would be written in ``__init__.py``. Type checkers and
editors read it, and so does `attach`: where a name comes from is said once.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seeds_theory.extras import optional_imports


def attach(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """What a package is to have as ``__getattr__``, ``__dir__`` and ``__all__`` (PEP 562).

    Modules of the package load as attributes, too, as they would if the package imported them.

    Parameters
    ----------
    package, file : ``__name__`` and ``__file__`` of the package.

    Raises
    ------
    LibraryError : from ``__getattr__``, where a library that the name needs is not installed.
    """
    stub = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
    origins = {
        alias.name: str(node.module)
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    def load(name: str) -> Any:
        module, inside = sys.modules[package], f"{package}.{name}"
        with optional_imports():
            if name in origins:
                value = getattr(importlib.import_module(origins[name]), name)
                setattr(module, name, value)  # found without this function from now on
                return value
            if not name.startswith("_") and importlib.util.find_spec(inside):
                return importlib.import_module(inside)
        raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *origins})

    return load, names, sorted(origins)

"""Repositories that are not packages: modules of a checkout, which lies outside this project.

A checkout is a folder ``owner+name`` in the folder that the environment variable ``SEEDS_CHECKOUTS``
names, at the pinned commit (`make checkouts` makes all of them). Its code runs from there; nothing of it is
copied.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from seeds_theory.errors import LibraryError

VARIABLE = "SEEDS_CHECKOUTS"


@dataclass(frozen=True)
class Checkout:
    """A repository at a commit.

    Parameters
    ----------
    repository : ``owner/name``.
    commit : 40 hex digits.
    root : the folder inside it from which its modules are imported.
    stand_ins : modules that it imports and that its samplers do not use, as trackers and attention kernels;
        each is replaced by one in which every name is a class without content.
    """

    repository: str
    commit: str
    root: str = ""
    stand_ins: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where it is.

        Raises
        ------
        LibraryError : there is none, or it is at another commit; says how to get it.
        """
        base = os.environ.get(VARIABLE)
        way_out = f"make checkouts, and set {VARIABLE} to the folder"
        if not base:
            raise LibraryError(f"{self.repository} is run from a checkout: {way_out}")
        folder = Path(base) / self.repository.replace("/", "+")
        if not folder.is_dir():
            raise LibraryError(f"there is no checkout {folder}: {way_out}")
        found = _head(folder)
        if found != self.commit:
            raise LibraryError(
                f"{folder} is at commit {found or 'unknown'}, and {self.commit} is pinned: {way_out}"
            )
        return folder

    def module(self, name: str) -> ModuleType:
        """A module by its dotted name; nothing of the checkout stays importable afterwards.

        Raises
        ------
        LibraryError : no checkout, or the module does not import.
        """
        return _module(self, self.folder, name)

    @contextlib.contextmanager
    def importable(self) -> Iterator[None]:
        """Its folder in front of the path and its stand-ins in place, for code that imports when it runs."""
        path = str(self.folder / self.root)
        before = dict(sys.modules)
        sys.path.insert(0, path)
        for name in self.stand_ins:
            _stand_in(name)
        try:
            yield
        finally:
            sys.path.remove(path)
            for name in [n for n in sys.modules if n not in before]:
                module = sys.modules[name]
                if isinstance(module, _StandIn) or _lies_in(module, path):
                    del sys.modules[name]
            sys.modules.update({n: m for n, m in before.items() if sys.modules.get(n) is not m})


@functools.cache
def _head(folder: Path) -> str:
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


@functools.cache
def _module(checkout: Checkout, folder: Path, name: str) -> ModuleType:
    with checkout.importable():
        try:
            return importlib.import_module(name)
        except ImportError as error:
            raise LibraryError(
                f"{name} of {checkout.repository} does not import: {error}"
            ) from None


def _lies_in(module: ModuleType, path: str) -> bool:
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return any(place and str(place).startswith(path) for place in places)


class _StandIn(ModuleType):
    """A module in which every name is a class that can be made, called and derived from."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda *_, **__: None})


def _stand_in(name: str) -> None:
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        part = ".".join(parts[:end])
        if part not in sys.modules:
            sys.modules[part] = _StandIn(part)
            if end > 1:
                setattr(sys.modules[".".join(parts[: end - 1])], parts[end - 1], sys.modules[part])

"""Repositories that are not packages: modules of a checkout, which lies outside this project.

A checkout is a folder ``owner+name`` in the folder that the environment variable ``SEEDS_CHECKOUTS`` names,
at the pinned commit (`make checkouts` makes all of them). Its code runs from there; nothing of it is copied.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
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
    stand_ins : modules that it imports and that its samplers do not use, as trackers, types and attention
        kernels; each is replaced by one in which every name is a class without content, that may also be a
        decorator without effect. What holds such a module is itself, where the checkout has it.
    bare : packages that are entered without what their ``__init__`` imports: their folders in the root.
    """

    repository: str
    commit: str
    root: str = ""
    stand_ins: tuple[str, ...] = ()
    bare: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def directory(self) -> str:
        """The name of its folder among the checkouts."""
        return self.repository.replace("/", "+")

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
        folder = Path(base) / self.directory
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
        before = set(sys.modules)
        with standing_in(self.stand_ins, path):
            for name, inside in self.bare.items():
                sys.modules[name] = ModuleType(name)
                sys.modules[name].__path__ = [f"{path}/{inside}"]
            try:
                yield
            finally:
                # All are looked at before one is gone: a package without __init__ asks the one that holds it.
                new = [(n, m) for n, m in sys.modules.items() if n not in before]
                for name in [n for n, m in new if _lies_in(m, path)]:
                    del sys.modules[name]


@contextlib.contextmanager
def standing_in(names: Sequence[str], path: str | None = None) -> Iterator[None]:
    """Stand-ins for modules in this block, with a folder in front of the path; then what was there before."""
    before = dict(sys.modules)
    if path is not None:
        sys.path.insert(0, path)
    try:
        for name in names:
            _stand_in(name)
        yield
    finally:
        if path is not None:
            sys.path.remove(path)
        for name in [n for n, m in sys.modules.items() if isinstance(m, _StandIn)]:
            del sys.modules[name]
        sys.modules.update({n: m for n, m in before.items() if sys.modules.get(n) is not m})


@functools.cache
def _head(folder: Path) -> str:
    """The commit, and whether modules are others."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    commit = git("rev-parse", "HEAD")
    return f"{commit}, changed" if git("status", "--porcelain", "-uno", "--", "*.py") else commit


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
    return any(place and Path(place).is_relative_to(path) for place in places)


_EMPTY = {
    "__init__": lambda *_, **__: None,
    "__call__": lambda _, decorated=None, *__, **___: decorated,
    "__class_getitem__": classmethod(lambda cls, _: cls),
}


class _StandIn(ModuleType):
    """A module in which every name is a class that can be made, called, indexed and derived from."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []
        self.__spec__ = ModuleSpec(name, None)  # for whoever asks whether it is installed

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), dict(_EMPTY))


def _stand_in(name: str) -> None:
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        part = ".".join(parts[:end])
        if part in sys.modules:
            continue
        if end < len(parts) and importlib.util.find_spec(part):
            importlib.import_module(part)
        else:
            sys.modules[part] = _StandIn(part)
            if end > 1:
                setattr(sys.modules[".".join(parts[: end - 1])], parts[end - 1], sys.modules[part])

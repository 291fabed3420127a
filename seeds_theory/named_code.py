"""Code of a user's own by its name, ``module:function`` or ``file.py:function``.

To load it is to import it, which runs it: only a name that a person gives on purpose may come here, never one
out of a file.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from seeds_theory.errors import UnknownNameError, did_you_mean

_NAME = re.compile(r"(.+\.py|[^\W\d]\w*(\.[^\W\d]\w*)*):[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class NamedCode:
    """What a name stands for, and the module in which it was looked up."""

    found: Any
    module: ModuleType


def is_code_name(text: str) -> bool:
    """Whether this has the form of such a name, as no URL and no path of Windows has."""
    return _NAME.fullmatch(text) is not None


def load_named(text: str, what: str, usual: str) -> NamedCode:
    """Import a module or a file, and find in it what is named, also within a class.

    What it prints goes to stderr: stdout is for results.

    Parameters
    ----------
    text : ``module:function``, of a module that can be imported in the current folder, or
        ``file.py:function``, of a file that may import from its own folder.
    what, usual : what it is to be, and what such functions are called; for the errors.

    Raises
    ------
    UnknownNameError : no such module, file or function, or one that cannot be imported.
    """
    file, _, name = text.rpartition(":")
    if file.endswith(".py"):
        source, module = file, _module_of_file(Path(file))
    else:
        source, _, name = text.partition(":")
        if not source or source.startswith(".") or "/" in source:
            raise UnknownNameError(
                f"{source!r} is no name of a module; of a file my_{what}.py write my_{what}.py:{usual}, "
                f"or my_{what}:{usual} in its folder"
            )
        module = _imported(source, lambda: importlib.import_module(source), Path.cwd())
    return NamedCode(_attribute(module, source, name, usual), module)


def summary(error: BaseException) -> str:
    """The class of an error and the first line of its text."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def _module_of_file(file: Path) -> ModuleType:
    """A file of Python as a module, which may import from its own folder."""
    if not file.is_file():
        raise UnknownNameError(f"there is no file {file}")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec and spec.loader  # it ends with .py
    found, execute = importlib.util.module_from_spec(spec), spec.loader.exec_module

    folder = file.resolve().parent

    def load() -> ModuleType:
        before = dict(sys.modules)
        sys.modules[file.stem] = (
            found  # as an import does: its own classes may look for their module
        )
        try:
            execute(found)
        finally:
            # Another file may have a helper of that name, or the name itself.
            for helper in [
                n for n, m in sys.modules.items() if n not in before and _is_in(m, folder)
            ]:
                del sys.modules[helper]
            sys.modules[file.stem] = before.get(file.stem, found)
        return found

    return _imported(str(file), load, folder)


def _is_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).is_relative_to(folder) and "site-packages" not in file


def _imported(what: str, load: Callable[[], ModuleType], folder: Path) -> ModuleType:
    try:
        with _folder_first(str(folder)), contextlib.redirect_stdout(sys.stderr):
            return load()
    except ImportError as error:
        raise UnknownNameError(
            f"cannot import {what!r}: {' '.join(str(error).split())}; run in the folder of a file of your "
            "own, or install the package"
        ) from None
    except (Exception, SystemExit) as error:  # it may be half written, or a script
        raise UnknownNameError(
            f"importing {what!r} raises {summary(error)}; python with it alone shows where"
        ) from None


def _attribute(found: Any, module: str, name: str, usual: str) -> Any:
    for part in name.split("."):
        if not hasattr(found, part):
            own = [n for n, v in vars(found).items() if callable(v) and not n.startswith("_")]
            known = [n for n in own if n.startswith(usual)] if part == name else []
            others = f" and {len(own) - len(known)} others" if len(own) > len(known) else ""
            hint = f"; it has {', '.join(known)}{others}" if known else ""
            raise UnknownNameError(f"{module} has no {name!r}{did_you_mean(part, own)}{hint}")
        found = getattr(found, part)
    return found


@contextlib.contextmanager
def _folder_first(folder: str) -> Iterator[None]:
    """Look for modules in the code's folder, where a console script does not look.

    Afterwards it stays at the end of the path: a function may import from its own folder when it is called,
    and what the rest of the process imports is found where it was.
    """
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)

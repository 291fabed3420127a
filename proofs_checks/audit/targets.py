"""Names of samplers: ``module:function``, ``file.py:function``, ``module:Class``, ``pipe:COMMAND``,
``diffusers:Class``, or one of this library; all with options, ``?option=value&...``.

An option ends its name at the first ``=``. Its value is a Python literal or a word, in which ``%26`` writes
``&`` and ``%25`` writes ``%``, as in any URL. The options of a pipe begin at its last ``?``: a command
may have others, and colons; in a value ``%3F`` writes one.

A function that does not follow the protocol is a target by options that say what it does otherwise
(`proofs_checks.audit.conventions`), unless it has parameters of these names. So is a class of objects with
``set_timesteps`` and ``step`` (`proofs_checks.audit.solver_objects`).
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import sys
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from proofs_checks.audit import pipe
from proofs_checks.audit.conventions import OPTIONS, Convention, split_options
from proofs_checks.audit.foreign import ForeignSampler, parameters
from proofs_checks.audit.names import LIBRARIES, require_target_name
from proofs_checks.audit.peers import library
from proofs_checks.audit.protocol import Target, refuse_protocol_names, summary
from proofs_checks.audit.solver_objects import is_solver, load_solver
from seeds_theory.errors import ParameterError, UnknownNameError, did_you_mean
from seeds_theory.kdiffusion import KDiffusionSampler
from seeds_theory.solver import Solver


def find_target(text: str, options: Mapping[str, Any] | None = None) -> Target:
    """The sampler of a name; options after ``?`` as Python literals, or given beside it.

    Raises
    ------
    UnknownNameError : nothing of that name; says what is known.
    ParameterError : options that cannot be read, or that the sampler does not take.
    """
    piped = text.startswith("pipe:")
    at = text.rfind("?") if piped else text.find("?")
    base, query = (text[:at], text[at + 1 :]) if at >= 0 else (text, "")
    chosen = _parse(query, text) | dict(options or {})
    refuse_protocol_names(text, chosen)
    if piped:
        return Target(text, pipe.load(base.removeprefix("pipe:"), chosen), costly=True)
    file, _, name = base.rpartition(":")
    if file.endswith(".py"):
        return target_of(text, _function_of_file(Path(file), name), chosen)
    module, colon, name = base.partition(":")
    if not colon:
        return _own(text, base, chosen)
    if module == "k_diffusion.sampling":  # its package may lack what it imports
        module = "kdiffusion"
    if module in LIBRARIES:
        return Target(text, library(module).load(name, chosen))
    return target_of(text, _function(module, name), chosen)


def target_of(text: str, found: Any, options: Mapping[str, Any]) -> Target:
    """A function, or a class of solver objects, as a target; its options may name another convention.

    Raises
    ------
    UnknownNameError, ParameterError : options of a convention that cannot be read.
    """
    if is_solver(found):
        return Target(text, load_solver(text, found, options))
    if is_solver(type(found)) and not callable(found):
        raise ParameterError(
            f"{text}: this is an object with step and set_timesteps: give its class; options of its "
            "constructor are options of the target"
        )
    taken = parameters(found)
    named = {p.name for p in taken}
    if not any(p.kind is p.VAR_KEYWORD for p in taken):
        for option in options:
            if option not in named and option not in OPTIONS:
                raise _no_option(text, option, [*named, *OPTIONS])
    convention, rest = split_options(options, named)
    if convention == Convention():
        return Target(text, found, rest)
    sampler = ForeignSampler(found, convention, rest)
    return Target(text, sampler, rest, levels=sampler.levels if convention.grid == "own" else None)


def _no_option(text: str, option: str, known: list[str]) -> ParameterError:
    return ParameterError(
        f"{text}: neither the sampler nor a convention has an option {option!r}"
        f"{did_you_mean(option, known)}; words of a "
        f"convention are {', '.join(OPTIONS)}"
    )


def _parse(query: str, text: str) -> dict[str, Any]:
    pairs = [part.partition("=") for part in query.split("&") if part]
    if any(not name or not equals for name, equals, _ in pairs):
        raise ParameterError(f"options are written as name=value&name=value; got {text!r}")
    return {name: _literal(urllib.parse.unquote(value)) for name, _, value in pairs}


def _literal(value: str) -> Any:
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False, "none": None}.get(value.lower(), value)


def _own(text: str, name: str, options: dict[str, Any]) -> Target:
    require_target_name(name)
    solver = Solver(name, options)
    return Target(text, KDiffusionSampler(solver), declared=solver.declared)


def _function(module: str, name: str) -> Any:
    if not module or module.startswith(".") or "/" in module:
        raise UnknownNameError(
            f"{module!r} is no name of a module; of a file my_sampler.py write my_sampler.py:sample, or "
            "my_sampler:sample in its folder"
        )
    return _attribute(
        _imported(module, lambda: importlib.import_module(module), Path.cwd()), module, name
    )


def _function_of_file(file: Path, name: str) -> Any:
    """A function of a file of Python, which may import from its own folder."""
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

    return _attribute(_imported(str(file), load, folder), str(file), name)


def _is_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).is_relative_to(folder) and "site-packages" not in file


def _imported(what: str, load: Callable[[], ModuleType], folder: Path) -> ModuleType:
    try:
        with _folder_first(str(folder)), contextlib.redirect_stdout(sys.stderr):
            return load()
    except ImportError as error:
        raise UnknownNameError(
            f"cannot import {what!r}: {error}; run in the folder of a file of your own, or install "
            "the package"
        ) from None
    except (Exception, SystemExit) as error:  # it may be half written, or a script
        raise UnknownNameError(
            f"importing {what!r} raises {summary(error)}; python with it alone shows where"
        ) from None


def _attribute(found: Any, module: str, name: str) -> Any:
    for part in name.split("."):
        if not hasattr(found, part):
            known = [n for n in vars(found) if n.startswith("sample")] if part == name else []
            hint = f"; it has {', '.join(known)}" if known else ""
            raise UnknownNameError(f"{module} has no {name!r}{hint}")
        found = getattr(found, part)
    return found


@contextlib.contextmanager
def _folder_first(folder: str) -> Iterator[None]:
    """Look for modules in the sampler's folder, where a console script does not look.

    Afterwards it stays at the end of the path: a sampler may import from its own folder when it is called,
    and what the rest of the process imports is found where it was.
    """
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)

"""Names of samplers: ``module:function``, ``diffusers:Class?option=value&...``, or one of this library.

An option ends its name at the first ``=``. Its value is a Python literal or a word, in which ``%26`` writes
``&`` and ``%25`` writes ``%``, as in any URL.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import sys
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from proofs_checks.audit.names import LIBRARIES, require_target_name
from proofs_checks.audit.peers import library
from proofs_checks.audit.protocol import Target, refuse_protocol_names, summary
from seeds_theory.errors import ParameterError, UnknownNameError
from seeds_theory.kdiffusion import KDiffusionSampler
from seeds_theory.solver import Solver


def find_target(text: str, options: Mapping[str, Any] | None = None) -> Target:
    """The sampler of a name; options after ``?`` as Python literals, or given beside it.

    Raises
    ------
    UnknownNameError : nothing of that name; says what is known.
    ParameterError : options that cannot be read, or that the sampler does not take.
    """
    base, _, query = text.partition("?")
    chosen = _parse(query, text) | dict(options or {})
    refuse_protocol_names(text, chosen)
    module, colon, name = base.partition(":")
    if not colon:
        return _own(text, base, chosen)
    if module == "k_diffusion.sampling":  # its package may lack what it imports
        module = "kdiffusion"
    if module in LIBRARIES:
        return Target(text, library(module).load(name, chosen))
    return Target(text, _function(module, name), chosen)


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
    if not module or module.startswith(".") or "/" in module or module.endswith(".py"):
        raise UnknownNameError(
            f"{module!r} is no name of a module; of a file my_sampler.py write my_sampler:sample, and "
            "run in its folder"
        )
    try:
        with _current_folder_first(), contextlib.redirect_stdout(sys.stderr):
            found: Any = importlib.import_module(module)
    except ImportError as error:
        raise UnknownNameError(
            f"cannot import {module!r}: {error}; run in the folder of a file of your own, or install "
            "the package"
        ) from None
    except (Exception, SystemExit) as error:  # it may be half written, or a script
        raise UnknownNameError(
            f"importing {module!r} raises {summary(error)}; python -c 'import {module}' shows where"
        ) from None
    for part in name.split("."):
        if not hasattr(found, part):
            known = [n for n in vars(found) if n.startswith("sample")] if part == name else []
            hint = f"; it has {', '.join(known)}" if known else ""
            raise UnknownNameError(f"{module} has no {name!r}{hint}")
        found = getattr(found, part)
    return found


@contextlib.contextmanager
def _current_folder_first() -> Iterator[None]:
    """Look for modules in the current folder, where a console script does not look.

    Afterwards it stays at the end of the path: a sampler may import from its own folder when it is called,
    and what the rest of the process imports is found where it was.
    """
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
        if here not in sys.path:
            sys.path.append(here)

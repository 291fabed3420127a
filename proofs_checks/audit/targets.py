"""Names of samplers: ``module:function``, ``diffusers:Class?option=value&...``, or one of this library."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proofs_checks.audit.peers import LIBRARIES, library
from proofs_checks.audit.protocol import Target
from seeds_theory.baselines import BASELINES
from seeds_theory.errors import ParameterError, UnknownNameError
from seeds_theory.kdiffusion import KDiffusionSampler
from seeds_theory.methods import METHODS


def find_target(text: str, options: Mapping[str, Any] | None = None) -> Target:
    """The sampler of a name; options after ``?`` as Python literals, or given beside it.

    Raises
    ------
    UnknownNameError : nothing of that name; says what is known.
    ParameterError : options that cannot be read, or that the sampler does not take.
    """
    base, _, query = text.partition("?")
    chosen = _parse(query, text) | dict(options or {})
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
    return {name: _literal(value) for name, _, value in pairs}


def _literal(value: str) -> Any:
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False, "none": None}.get(value.lower(), value)


def _own(text: str, name: str, options: dict[str, Any]) -> Target:
    if name.partition("@")[0] not in METHODS and name not in BASELINES:
        known = ", ".join([*METHODS, *BASELINES])
        raise UnknownNameError(
            f"unknown sampler {text!r}; write module:function, {':..., '.join(LIBRARIES)}:..., or "
            f"one of this library: {known}"
        )
    sampler = KDiffusionSampler(name, options)
    return Target(text, sampler, declared=sampler.declared)


def _function(module: str, name: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:  # a console script does not look there
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:  # it may be half written, or no name of a module
        reason = str(error) or type(error).__name__
        raise UnknownNameError(
            f"cannot import {module!r}: {reason}; run in the folder of a file of your own, or install "
            "the package"
        ) from None
    for part in name.split("."):
        if not hasattr(found, part):
            known = [n for n in vars(found) if n.startswith("sample")] if part == name else []
            hint = f"; it has {', '.join(known)}" if known else ""
            raise UnknownNameError(f"{module} has no {name!r}{hint}")
        found = getattr(found, part)
    return found

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
import urllib.parse
from collections.abc import Mapping
from typing import Any

from proofs_checks.audit import pipe
from proofs_checks.audit.conventions import OPTIONS, Convention, split_options
from proofs_checks.audit.foreign import ForeignSampler, parameters
from proofs_checks.audit.names import LIBRARIES, require_target_name
from proofs_checks.audit.peers import library
from proofs_checks.audit.protocol import Target, refuse_protocol_names
from proofs_checks.audit.solver_objects import is_solver, load_solver
from seeds_theory.errors import ParameterError, did_you_mean
from seeds_theory.kdiffusion import KDiffusionSampler
from seeds_theory.named_code import load_named
from seeds_theory.solver import Solver


def find_target(text: str, options: Mapping[str, Any] | None = None) -> Target:
    """The sampler of a name; options after ``?`` as Python literals, or given beside it.

    Raises
    ------
    UnknownNameError : nothing of that name; says what is known.
    ParameterError : options that cannot be read, or that the sampler does not take.
    """
    piped = text.startswith("pipe:")
    base, said = split_target(text)
    chosen = said | dict(options or {})
    refuse_protocol_names(text, chosen)
    if piped:
        return Target(text, pipe.load(base.removeprefix("pipe:"), chosen), costly=True)
    module, colon, name = base.partition(":")
    if not colon:
        return _own(text, base, chosen)
    if module == "k_diffusion.sampling":  # its package may lack what it imports
        module = "kdiffusion"
    if module in LIBRARIES:
        return Target(text, library(module).load(name, chosen))
    return target_of(text, load_named(base, "sampler", "sample").found, chosen)


def split_target(text: str) -> tuple[str, dict[str, Any]]:
    """The name of a target and the options after it.

    Raises
    ------
    ParameterError : options that cannot be read.
    """
    at = text.rfind("?") if text.startswith("pipe:") else text.find("?")
    base, query = (text[:at], text[at + 1 :]) if at >= 0 else (text, "")
    return base, _parse(query, text)


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

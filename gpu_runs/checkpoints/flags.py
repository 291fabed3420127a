"""What a person says about a file that does not say it itself: FILE@name=value,name=value.

The names are those of the options of the project that wrote the file, as ``noise_schedule=cosine``.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import Any

from seeds_theory.errors import ParameterError, unknown

Value = str | int | float | bool

_NAME = re.compile(r"(.+)@(\w+=[^,=/@]*(?:,\w+=[^,=/@]*)*)")
_MOST = 10_000
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def split_name(name: str | os.PathLike[str]) -> tuple[str, dict[str, str]]:
    """The path, and the flags behind it. A file of that very name has none.

    Raises
    ------
    ParameterError : a flag is there twice.
    """
    text = os.fspath(name)
    found = None if os.path.exists(text) else _NAME.fullmatch(text)
    if not found:
        return text, {}
    pairs = [pair.split("=") for pair in found[2].split(",")]
    flags = dict(pairs)
    if len(flags) < len(pairs):
        raise ParameterError(f"a flag is given twice: {found[2]!r}")
    return found[1], flags


def joined(flags: Mapping[str, Value]) -> str:
    """Flags as they stand behind a name."""
    return ",".join(f"{name}={value}" for name, value in flags.items())


def checked_flags(
    given: Mapping[str, str], kinds: Mapping[str, type | tuple[str, ...]]
) -> dict[str, Value]:
    """The values of the flags of one file.

    Parameters
    ----------
    given : as `split_name` returns them. kinds : of the values of all flags that there are, or the values.

    Raises
    ------
    UnknownNameError : no such flag, or no such value of it. ParameterError : a value of another kind.
    """
    for name in given:
        if name not in kinds:
            raise unknown("flag of this kind of file", name, kinds)
    return {name: _value(name, text, kinds[name]) for name, text in given.items()}


def _value(name: str, text: str, kind: type | tuple[str, ...]) -> Value:
    if isinstance(kind, tuple):
        if text not in kind:
            raise unknown(name, text, kind)
        return text
    if kind is bool:
        if text.lower() not in _TRUTH:
            raise ParameterError(f"{name} is True or False; got {text!r}")
        return _TRUTH[text.lower()]
    try:
        value: Any = kind(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= _MOST:
        what = f"a {'whole ' if kind is int else ''}number"
        raise ParameterError(f"{name} is {what} above 0, {_MOST} at most; got {text!r}")
    return value

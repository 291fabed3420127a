"""JSON out of a file, with no name twice; and JSON to be written, of finite numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from gpu_runs.errors import CheckpointError, shown


def strict_object(text: str | bytes, *, finite: bool = True) -> dict[str, Any]:
    """The object that a text holds.

    finite : numbers have to be. Else Infinity, -Infinity and NaN are numbers, as diffusers writes them.

    Raises
    ------
    ValueError : no strict JSON, or no object.
    """
    try:
        value = json.loads(
            text,
            parse_constant=_refuse if finite else float,
            parse_float=_finite,
            object_pairs_hook=_once,
        )
    except RecursionError as error:
        raise ValueError(str(error)) from error
    if type(value) is not dict:
        raise ValueError("it is no JSON object")
    return value


def json_object(text: object, where: str, *, finite: bool = True) -> dict[str, Any]:
    """`strict_object` of a part of a checkpoint; `where` is what the text is called in an error.

    Raises
    ------
    CheckpointError : no text, or one that is no object.
    """
    if not isinstance(text, str | bytes):
        raise CheckpointError(f"{where} is missing")
    try:
        return strict_object(text, finite=finite)
    except ValueError as error:
        raise CheckpointError(f"{where} is no strict JSON: {shown(str(error), 80)}") from error


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _refuse(digits)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for name, held in pairs:
        if name in value:
            raise ValueError(f"the name {shown(name, 30)} is there twice: leave one out")
        value[name] = held
    return value


def with_words(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name as strict JSON has them: a number that is not finite is a word, as "-inf"."""
    return {name: _word(value) for name, value in settings.items()}


def _word(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value

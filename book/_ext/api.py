"""Docstrings for the reference pages: their sections become field lists.

An entry is ``name : text`` (Raises: ``A, B : text``), where numpydoc has ``name : type`` with the text on
the lines below; the types are in the signatures. Entries outside of a section become paragraphs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sphinx.application import Sphinx

LISTS = {
    "Parameters": "**{}**",
    "Attributes": "**{}**",
    "Raises": ":py:obj:`.{}`",
    "Warns": ":py:obj:`.{}`",
}
"""The sections that are lists of entries, and how a name is set; the dot finds it in any module."""

TEXTS = ("Returns",)
"""The sections that are running text."""

_ENTRY = re.compile(r"(?P<names>[\w*]+(?:, [\w*]+)*) : (?P<text>.*)")


def fields(lines: Sequence[str]) -> list[str]:
    """The lines of a docstring with each section as a field: its name, and its entries as paragraphs."""
    result: list[str] = []
    section = None
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if _is_heading(line, below):
            section = line
            result += [f":{section}:", ""]
        elif section is None:
            result += _entry(line, "Parameters")
        elif not (set(line) == {"-"} and result[-2:] == [f":{section}:", ""]):
            result += [f"    {part.strip()}".rstrip() for part in _entry(line, section)]
    return result


def _is_heading(line: str, below: str) -> bool:
    return line in (*LISTS, *TEXTS) and set(below) == {"-"}


def _entry(line: str, section: str) -> list[str]:
    entry = _ENTRY.fullmatch(line) if section in LISTS else None
    if entry is None:
        return [line]
    names = ", ".join(LISTS[section].format(name) for name in entry["names"].split(", "))
    return ["", f"{names}: {entry['text']}"]


def _process(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = fields(lines)


def _signature(
    app: Sphinx,
    what: str,
    name: str,
    thing: Any,
    options: Any,
    arguments: str | None,
    returned: Any,
) -> tuple[str | None, Any]:
    """Defaults that Python prints as ``<factory>`` or ``<function f>``, set so that they can be parsed."""
    if arguments is not None:
        arguments = re.sub(r"<function (\w+)[^>]*>", r"\1", arguments.replace("<factory>", "..."))
    return arguments, returned


def _skip(app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """Calling an object is part of its interface: ``__call__`` is not left out."""
    return False if name == "__call__" and what == "class" else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register what is done to docstrings, signatures and members."""
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

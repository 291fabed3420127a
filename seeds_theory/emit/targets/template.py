"""The templates: files of a target's language with ``$field`` where the method goes."""

from __future__ import annotations

from importlib.resources import files as resources
from string import Template


def template(file: str, **fields: str) -> str:
    """A file of the folder ``templates``, filled in."""
    text = (resources(__package__) / "templates" / file).read_text(encoding="utf-8")
    return Template(text).substitute(fields)

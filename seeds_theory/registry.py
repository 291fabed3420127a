"""Things by name: a dictionary whose error, for a name that it does not have, lists those that it has."""

from __future__ import annotations

import importlib
from collections import UserDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from seeds_theory.errors import unknown

Item = TypeVar("Item")


@dataclass(frozen=True)
class Elsewhere:
    """A thing that is imported when it is asked for: the name of its module, and its own name there."""

    module: str
    name: str


class Registry(UserDict[str, Item]):
    """A dictionary of named things.

    >>> Registry("method", {"seeds-1": 1})["seeds_1"]
    Traceback (most recent call last):
    seeds_theory.errors.UnknownNameError: unknown method 'seeds_1' (did you mean 'seeds-1'?); known: seeds-1

    Parameters
    ----------
    what : what the things are, for the message.
    items : the things by name, in the order in which they are listed; or `Elsewhere`, where they are.
    """

    def __init__(self, what: str, items: Mapping[str, Item | Elsewhere]) -> None:
        self.what = what
        self.data: dict[str, Any] = dict(items)

    def __getitem__(self, name: str) -> Item:
        item = super().__getitem__(name)
        if isinstance(item, Elsewhere):
            item = self.data[name] = getattr(importlib.import_module(item.module), item.name)
        return item

    def get(self, name: str, default: Any = None) -> Any:
        """The thing of that name, or the default."""
        if name in self:  # Mapping.get expects a KeyError
            return self[name]
        return default

    def __missing__(self, name: object) -> NoReturn:
        """Raise UnknownNameError."""
        raise unknown(self.what, name, self)

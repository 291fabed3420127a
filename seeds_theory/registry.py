"""Things by name: a dictionary whose error, for a name that it does not have, lists those that it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn, TypeVar

from seeds_theory.errors import unknown

Item = TypeVar("Item")


class Registry(dict[str, Item]):
    """A dictionary of named things.

    >>> Registry("method", {"seeds-1": 1})["seeds_1"]
    Traceback (most recent call last):
    seeds_theory.errors.UnknownNameError: unknown method 'seeds_1' (did you mean 'seeds-1'?); known: seeds-1

    Parameters
    ----------
    what : what the things are, for the message.
    items : the things by name, in the order in which they are listed.
    """

    def __init__(self, what: str, items: Mapping[str, Item]) -> None:
        super().__init__(items)
        self.what = what

    def __missing__(self, name: object) -> NoReturn:
        """Raise UnknownNameError."""
        raise unknown(self.what, name, self)

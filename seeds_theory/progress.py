"""Progress bars: tqdm's, which is imported when one is shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from seeds_theory.extras import optional_imports

Item = TypeVar("Item")


def with_bar(items: Iterable[Item], *, show: bool, **options: Any) -> Iterable[Item]:
    """The items, with a progress bar if it is to be shown.

    options : of tqdm.

    Raises
    ------
    LibraryError : it is to be shown, and tqdm is not installed.
    """
    if not show:
        return items
    with optional_imports():
        from tqdm import tqdm
    return tqdm(items, **options)

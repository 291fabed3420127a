"""Libraries that only parts of the project need, and the extra that each comes with.

The core needs torch and numpy. A module that needs more imports it in ``with optional_imports():``, so that
whoever lacks it reads one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from seeds_theory.errors import LibraryError

EXTRAS = {
    "sympy": "theory",
    "mpmath": "theory",
    "scipy": "toys",
    "matplotlib": "toys",
    "typer": "commands",
    "rich": "commands",
    "tqdm": "commands",
    "psutil": "commands",
    "safetensors": "checkpoints",
    "filelock": "checkpoints",
    "PIL": "checkpoints",
}
"""The module that is imported, and the extra of ``pyproject.toml`` that brings it."""


@contextmanager
def optional_imports() -> Iterator[None]:
    """Within it a library of `EXTRAS` that is not installed is one line that names the extra.

    Raises
    ------
    LibraryError : one of these is missing. Any other import that fails is raised as it is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        raise LibraryError(
            f"{error.name} is not installed: pip install '.[{EXTRAS[error.name]}]' in the project's "
            "folder (the README lists the extras)"
        ) from None

"""Where the vectors lie that come with the package, and which methods a folder of vectors has."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable

from seeds_theory.errors import ParameterError, unknown


def committed() -> Traversable:
    """The folder of the vectors that come with the package, and of their schema."""
    return files("proofs_checks.conformance") / "data"


def schema() -> str:
    """The JSON Schema of a file of vectors."""
    return (committed() / "schema.json").read_text()


def by_method(folder: Traversable) -> dict[str, Traversable]:
    """The files of vectors in a folder, by the names of their methods; the schema lies beside them."""
    found = {f.name.removesuffix(".json"): f for f in folder.iterdir() if f.name.endswith(".json")}
    found.pop("schema", None)
    return dict(sorted(found.items()))


def chosen_files(folder: Traversable, methods: Sequence[str] = ()) -> list[Traversable]:
    """The files of vectors in a folder: of all methods, or of those named.

    Raises
    ------
    UnknownNameError : a method that has no file there; lists those that have.
    ParameterError : no folder, or no files in it.
    """
    if not folder.is_dir():
        raise ParameterError(f"{folder} is no folder: seeds-conformance write makes one")
    named = by_method(folder)
    if not named:
        raise ParameterError(f"{folder} has no vectors: seeds-conformance write makes them")
    for method in methods:
        if method not in named:
            raise unknown("method", method, named)
    return [named[name] for name in methods or named]

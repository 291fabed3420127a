"""Where the vectors lie that come with the package, and which methods a folder of vectors has."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable


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

"""The claims of the book: their names, and the claims themselves, loaded when they are asked for.

A claim registers itself when the module of its chapter is imported, which imports sympy and torch. A
shell that completes a name, or a command that refuses one, needs no more than the names: a file has them,
which `make names` writes. Whoever loads the claims is told if it is out of date.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from proofs_checks import claims
from seeds_theory.errors import UnknownNameError

if TYPE_CHECKING:
    from proofs_checks.ledger import Claim

_NAMES_FILE = Path(__file__).with_name("claims") / "names.txt"


def claim_names() -> tuple[str, ...]:
    """The ids of all claims, in the order of the book. No claim is loaded for it."""
    return tuple(_NAMES_FILE.read_text(encoding="utf-8").splitlines())


def matching_names(ids: Sequence[str]) -> tuple[str, ...]:
    """The names that these ids stand for, all for none; an id may be a prefix, as ``phi``.

    Raises
    ------
    UnknownNameError : no claim has the id, or begins with it.
    """
    names = claim_names()
    if not ids:
        return names
    chosen: dict[str, None] = {}
    for wanted in ids:
        found = [name for name in names if name == wanted or name.startswith(wanted + "-")]
        if not found:
            raise _unknown(wanted, names)
        chosen |= dict.fromkeys(found)
    return tuple(chosen)


def _unknown(wanted: str, names: Sequence[str]) -> UnknownNameError:
    inside = [name for name in names if wanted in name][:3]
    close = ", ".join(inside or difflib.get_close_matches(wanted, names))
    hint = f" did you mean {close}?" if close else ""
    chapters = ", ".join(claims.CHAPTERS)
    return UnknownNameError(f"no claim is named {wanted!r};{hint} the chapters are {chapters}")


def all_claims() -> dict[str, Claim]:
    """Every claim of the book by id, in its order.

    Raises
    ------
    ValueError : the chapters in `proofs_checks.claims` or the names in its file are not those of the code.
    """
    found = _load()
    if tuple(found) != claim_names():
        changed = sorted(set(found).symmetric_difference(claim_names())) or "their order"
        raise ValueError(f"{_NAMES_FILE} is out of date ({changed}): write it with `make names`")
    return found


def _load() -> dict[str, Claim]:
    """Import every chapter; what they registered, in the order of the book."""
    from proofs_checks.ledger import registered

    for chapter in claims.CHAPTERS:
        importlib.import_module(f"{claims.__name__}.{chapter}")
    modules = {module.name for module in pkgutil.iter_modules(claims.__path__)}
    if modules != set(claims.CHAPTERS):
        raise ValueError(f"proofs_checks.claims.CHAPTERS does not list {sorted(modules)}")
    # Chapters may import from each other, so the order of registration is not that of the book.
    order = sorted(registered(), key=lambda claim: claims.CHAPTERS.index(claim.chapter))
    return {claim.id: claim for claim in order}


def write_names() -> None:
    """Write the file of names anew, from the claims as they are."""
    _NAMES_FILE.write_text("".join(f"{name}\n" for name in _load()), encoding="utf-8")

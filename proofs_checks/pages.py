"""What the book says of claims: in the sources of its chapters, and on the pages built from them.

A chapter names a claim with the role of `book/_ext/claims.py`: ``{claim}`exact-frame` ``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from bs4 import BeautifulSoup

PROVEN = frozenset({"theorem", "proposition", "lemma", "corollary"})
"""Kinds of block that name a claim and are followed by a proof."""
STATED = PROVEN | {"property"}
"""Kinds of block that name a claim; a property is a measured statement, without a proof."""

_BLOCK = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{prf:(?P<kind>\w+)\}(?P<text>.*?)^(?P=fence) *$"
    r"(?=\s*(?P<proof>[`:]{3,}\{prf:proof\})?)",
    re.MULTILINE | re.DOTALL,
)
_ROLE = re.compile(r"\{claim\}`([^`]+)`")
_CODE = re.compile(r"(?P<role>\{[\w:]+\})?(?P<ticks>`+)(?P<text>.+?)(?P=ticks)")


@dataclass(frozen=True)
class Block:
    """A theorem-like block: its kind, its label, its text, and whether a proof comes right after."""

    kind: str
    label: str
    text: str
    proof: bool


def blocks(text: str) -> list[Block]:
    """The theorem-like blocks of a chapter, definitions and proofs included, in order."""
    found = []
    for match in _BLOCK.finditer(text):
        label = re.search(r"^:label: *(\S+)", match["text"], re.MULTILINE)
        name = label[1] if label else match["text"].partition("\n")[0].strip()
        found.append(Block(match["kind"], name, match["text"], match["proof"] is not None))
    return found


def chapters(toc: str) -> list[str]:
    """The names of the files that a `_toc.yml` lists, its front page first."""
    return re.findall(r"^\s*(?:- file|root): *(\S+)", toc, re.MULTILINE)


def named_claims(text: str) -> list[str]:
    """The ids that a text names with the role, in order."""
    return _ROLE.findall(text)


def bare_claims(text: str, ids: Collection[str]) -> list[str]:
    """The ids among these that a text has in plain backticks, where no verdict would appear."""
    return [m["text"] for m in _CODE.finditer(text) if not m["role"] and m["text"] in ids]


def without_claim(text: str) -> list[str]:
    """The labels of the stated blocks that name no claim."""
    return [b.label for b in blocks(text) if b.kind in STATED and not named_claims(b.text)]


def without_proof(text: str) -> list[str]:
    """The labels of the blocks that should be followed by a proof and are not."""
    return [b.label for b in blocks(text) if b.kind in PROVEN and not b.proof]


def rendered_verdicts(html: str) -> list[tuple[str, str]]:
    """Claim and verdict of each role on a built page."""
    marks = BeautifulSoup(html, "html.parser").select("span.claim-verdict")
    return [(str(mark.get("data-claim")), mark.get_text()) for mark in marks]


def rendered_links(html: str) -> list[str]:
    """Where the roles on a built page lead to."""
    return [str(link["href"]) for link in BeautifulSoup(html, "html.parser").select("a.claim")]


def ledger_verdicts(html: str) -> list[tuple[str, str]]:
    """Anchor and verdict of each row of the built ledger page."""
    found = []
    for row in BeautifulSoup(html, "html.parser").select("tr"):
        anchor = row.select_one("td span[id]")
        if anchor:
            found.append((str(anchor["id"]), row.select("td")[2].get_text(strip=True)))
    return found


def contradictions(found: Iterable[tuple[str, str]], verdicts: Mapping[str, str]) -> list[str]:
    """One sentence for each claim that is shown with another verdict than the one given for it."""
    return [
        f"{name} is shown as {shown!r}, the record says {verdicts.get(name)!r}"
        for name, shown in found
        if shown != verdicts.get(name)
    ]

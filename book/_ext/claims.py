"""The role ``{claim}``: a claim's id as a link to its row in the ledger, followed by its verdict.

The verdict is read from the record that the ledger's page shows; it is never typed.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

from proofs_checks.verdicts import ledger

LEDGER = "ledger"  # the page with a row, and an anchor, for each claim


@cache
def verdicts(path: Path) -> dict[str, str]:
    """The verdict of each claim in the ledger's record, which is decided anew if it is out of date."""
    return {record["id"]: record["verdict"] for record in ledger(path)}


class ClaimRole(SphinxRole):
    """``{claim}`exact-frame` ``; an id that is not in the ledger is a warning."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """The link and the verdict as a small mark; the bare id if there is no such claim."""
        record = Path(self.env.srcdir) / "_build" / "ledger.json"
        self.env.note_dependency(str(record))
        name = nodes.literal(self.text, self.text)
        verdict = verdicts(record).get(self.text)
        if verdict is None:
            logging.getLogger(__name__).warning(
                "no claim is named %r: correct the id (`seeds-verify` lists them), "
                "or add the claim to proofs_checks/claims",
                self.text,
                location=self.get_location(),
            )
            return [name], []
        page = self.env.app.builder.get_relative_uri(self.env.docname, LEDGER)
        link = nodes.reference(
            "", "", name, internal=True, refuri=f"{page}#{self.text}", classes=["claim"]
        )
        mark = f'<span class="claim-verdict {verdict}" data-claim="{self.text}">{verdict}</span>'
        # The no-break space keeps id and verdict apart where a page is copied or read aloud.
        return [link, nodes.Text("\u00a0"), nodes.raw("", mark, format="html")], []


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the role."""
    app.add_role("claim", ClaimRole())
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The role {claim}, in a book of two pages with a ledger of one claim."""

import io
import json

import pytest
from bs4 import BeautifulSoup

from proofs_checks.pages import contradictions, rendered_links, rendered_verdicts

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def build(book, tmp_path, monkeypatch):
    """A function that builds a page below a folder and returns its HTML and the warnings."""
    application = pytest.importorskip("sphinx.application")
    monkeypatch.syspath_prepend(book / "_ext")
    (tmp_path / "_build").mkdir()
    record = [{"id": "sums-small@0.5,1", "verdict": "measured"}]
    (tmp_path / "_build/ledger.json").write_text(json.dumps(record))
    (tmp_path / "ledger.rst").write_text("Ledger\n======\n\n.. toctree::\n\n   deep/page\n")
    (tmp_path / "deep").mkdir()

    def html(text):
        (tmp_path / "deep/page.rst").write_text(f"Page\n====\n\n{text}\n")
        out, warnings = tmp_path / "out", io.StringIO()
        app = application.Sphinx(
            tmp_path,
            None,
            out,
            tmp_path / "trees",
            "html",
            {"extensions": ["claims"], "master_doc": "ledger", "nitpicky": True},
            status=None,
            warning=warnings,
        )
        app.build()
        return (out / "deep/page.html").read_text(), warnings.getvalue()

    return html


def test_a_claim_is_a_link_followed_by_its_verdict(build):
    html, warnings = build("See :claim:`sums-small@0.5,1`, please.")
    assert warnings == ""
    assert rendered_verdicts(html) == [("sums-small@0.5,1", "measured")]
    assert contradictions(rendered_verdicts(html), {"sums-small@0.5,1": "proved"})
    assert rendered_links(html) == ["../ledger.html#sums-small@0.5,1"]
    text = BeautifulSoup(html, "html.parser").get_text()
    assert "See sums-small@0.5,1\u00a0measured, please." in text


def test_an_unknown_claim_is_a_warning_that_says_what_to_do(build):
    html, warnings = build("See :claim:`sums-large`.")
    assert "page.rst:4: WARNING: no claim is named 'sums-large': correct the id" in warnings
    assert rendered_verdicts(html) == rendered_links(html) == []

"""The book and the ledger say the same: in the chapters' sources, and on the built pages."""

import json
import re

import pytest

from proofs_checks import all_claims
from proofs_checks.pages import (
    bare_claims,
    blocks,
    chapters,
    contradictions,
    ledger_verdicts,
    named_claims,
    rendered_links,
    rendered_verdicts,
    without_claim,
    without_proof,
)

THEOREM = """
````{prf:theorem} Sums
:label: thm-sums

Two and two are four. Claims: {claim}`sums-small`.
```{note}
By hand.
```
````

```{prf:proof}
Count.
```
"""


@pytest.fixture(scope="module")
def sources(book):
    """The text of each chapter but the ledger's page, by name."""
    names = chapters((book / "_toc.yml").read_text())
    return {name: (book / f"{name}.md").read_text() for name in names if name != "ledger"}


# ------------------------------------------------------------------------ the chapters' sources


def test_the_table_of_contents_is_read(sources):
    assert chapters("root: index\nparts:\n  - chapters:\n      - file: a\n") == ["index", "a"]
    assert {"index", "phi", "orders"} <= set(sources)


def test_a_block_is_read_with_its_label_and_proof():
    theorem, proof = blocks(THEOREM)
    assert (theorem.kind, theorem.label, theorem.proof) == ("theorem", "thm-sums", True)
    assert theorem.text.endswith("```\n")
    assert proof.kind == "proof"
    assert blocks(":::{prf:lemma} Small\nIt is.\n:::\n")[0].label == "Small"


def test_a_theorem_without_a_claim_is_found():
    assert without_claim(THEOREM) == []
    assert without_claim(THEOREM.replace("{claim}", "")) == ["thm-sums"]
    assert without_claim(THEOREM.replace("theorem", "definition").replace("{claim}", "")) == []


def test_a_theorem_without_a_proof_is_found():
    assert without_proof(THEOREM) == []
    assert without_proof(THEOREM.replace("prf:proof", "note")) == ["thm-sums"]
    assert without_proof(THEOREM.replace("````\n\n", "````\n\nBut first:\n\n")) == ["thm-sums"]
    assert without_proof(THEOREM + THEOREM.partition("```{prf:proof}")[0]) == ["thm-sums"]
    assert without_proof(THEOREM.replace("theorem", "definition")) == []


def test_claims_are_named_by_the_role_only():
    text = "See {claim}`a-b` and {claim}`a-c@0.5,1`, {eq}`a-b` and `a-d`."
    assert named_claims(text) == ["a-b", "a-c@0.5,1"]
    assert bare_claims(text, {"a-b", "a-d"}) == ["a-d"]


def test_every_theorem_names_a_claim(sources):
    assert [label for text in sources.values() for label in without_claim(text)] == []


def test_every_theorem_is_followed_by_a_proof(sources):
    assert [label for text in sources.values() for label in without_proof(text)] == []


def test_every_claim_is_named_in_a_chapter_and_every_name_is_a_claim(sources):
    named = {name for text in sources.values() for name in named_claims(text)}
    claims = set(all_claims())
    assert claims - named == set(), "name these claims in their chapter, with {claim}`id`"
    assert named - claims == set(), "no claims have these names"


def test_claims_are_never_named_without_their_verdict(sources):
    ids = all_claims()
    assert [name for text in sources.values() for name in bare_claims(text, ids)] == []


# ----------------------------------------------------------------------------- the built pages

ROLE = (
    '<a class="claim reference internal" href="ledger.html#a-b"><code>a-b</code></a>&nbsp;'
    '<span class="claim-verdict proved" data-claim="a-b">proved</span>'
)
ROW = '<table><tr><td><p><span id="a-b"></span>a-b</p></td><td>It is.</td><td><p>{}</p></td></tr>'


def test_verdicts_are_read_from_pages():
    assert rendered_verdicts(ROLE) == [("a-b", "proved")]
    assert rendered_links(ROLE) == ["ledger.html#a-b"]
    assert ledger_verdicts(ROW.format("proved")) == [("a-b", "proved")]
    assert ledger_verdicts("<table><tr><th>claim</th></tr><tr><td>all</td></tr></table>") == []


@pytest.mark.parametrize("record", [{"a-b": "measured"}, {}])
def test_a_verdict_that_differs_from_the_record_is_found(record):
    assert contradictions(rendered_verdicts(ROLE), {"a-b": "proved"}) == []
    assert len(contradictions(rendered_verdicts(ROLE), record)) == 1
    assert len(contradictions(ledger_verdicts(ROW.format("proved")), record)) == 1
    surprise = ROW.format("<strong>refuted</strong>, expected proved")
    assert len(contradictions(ledger_verdicts(surprise), {"a-b": "refuted"})) == 1


@pytest.fixture(scope="module")
def pages(book):
    """The built pages by file name, in folders as the chapters are."""
    root = book / "_build/html"
    found = {
        path.relative_to(root).as_posix(): path.read_text()
        for path in root.rglob("*.html")
        if "_static" not in path.parts
    }
    assert found, "the book is not built: run `make book`"
    return found


@pytest.fixture(scope="module")
def record(book):
    """The verdict of each claim in the ledger's JSON record."""
    return {r["id"]: r["verdict"] for r in json.loads((book / "_build/ledger.json").read_text())}


@pytest.mark.rendered
def test_the_record_has_every_claim_with_the_expected_verdict(record):
    assert record == {id: claim.expected.value for id, claim in all_claims().items()}


@pytest.mark.rendered
def test_the_ledger_page_has_every_claim_with_the_verdict_of_the_record(pages, record):
    rows = ledger_verdicts(pages["ledger.html"])
    assert contradictions(rows, record) == []
    assert [name for name, _ in rows] == list(record)


@pytest.mark.rendered
def test_every_page_shows_the_verdicts_of_the_record(pages, record, sources):
    for name, text in sources.items():
        found = rendered_verdicts(pages[f"{name}.html"])
        assert contradictions(found, record) == [], name
        assert [claim for claim, _ in found] == named_claims(text), name


@pytest.mark.rendered
def test_every_role_leads_to_its_row(pages, record):
    links = [link for html in pages.values() for link in rendered_links(html)]
    assert set(links) == {f"ledger.html#{id}" for id in record}


@pytest.mark.rendered
def test_every_figure_that_a_page_names_is_on_it(pages, sources):
    missing = [
        f"{name}: {figure}"
        for name, text in sources.items()
        for figure in re.findall(r"^\s+name: (fig-\S+)", text, re.MULTILINE)
        if f'id="{figure}"' not in pages[f"{name}.html"]
    ]
    assert missing == [], "a cell that displays no picture: is it the last expression?"

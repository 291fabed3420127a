"""The atlas of prior work: nothing of the book is missing in it, and no row or reference stands alone."""

import re

import pytest

from proofs_checks.pages import PROVEN, blocks, chapters
from seeds_theory.baselines import BASELINES
from seeds_theory.methods import METHODS

CITED = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")
HOW_READ = "## How each work was read"
VERDICTS = {"known", "sharpened", "new"}


def cited(text):
    """The keys that a text cites, in order."""
    return [key.strip() for group in CITED.findall(text) for key in group.split(",")]


def rows(text):
    """The rows of the tables with a verdict in the second column: lists of cells, headers left out."""
    tables = re.findall(r"^```\{list-table\}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    found = []
    for table in tables:
        cells = [re.split(r"^  - ", row, flags=re.MULTILINE) for row in table.split("\n* - ")[1:]]
        found += cells[1:]
    return [[" ".join(cell.split()) for cell in row] for row in found]


@pytest.fixture(scope="module")
def atlas(book):
    return (book / "atlas.md").read_text()


@pytest.fixture(scope="module")
def verdicts(atlas):
    """The rows on theorems and methods; those on the claims of SEEDS' authors are another table."""
    return rows(atlas.partition("## What the authors of SEEDS claim")[0])


@pytest.fixture(scope="module")
def keys(book):
    return re.findall(r"^@\w+\{([^,\s]+),", (book / "references.bib").read_text(), re.MULTILINE)


def test_rows_are_read():
    table = "```{list-table}\n:header-rows: 1\n\n* - a\n  - b\n* - {prf:ref}`x`: so\n    long\n  - new\n```\n"
    assert rows(table) == [["{prf:ref}`x`: so long", "new"]]
    assert cited("{cite}`a,b` and {cite:t}`c`") == ["a", "b", "c"]


def test_every_theorem_has_a_row(book, verdicts):
    names = chapters((book / "_toc.yml").read_text())
    labels = {
        block.label
        for name in names
        for block in blocks((book / f"{name}.md").read_text())
        if block.kind in PROVEN
    }
    listed = re.findall(r"\{prf:ref\}`([^`]+)`", " ".join(row[0] for row in verdicts))
    assert labels - set(listed) == set(), "say in book/atlas.md what was known of these"
    assert set(listed) - labels == set(), "no theorems have these labels"
    assert len(listed) == len(set(listed)), "one row for each"


def test_every_method_has_a_row(verdicts):
    listed = re.findall(r"(?:^| )`([^`]+)`", " ".join(row[0] for row in verdicts))
    assert {*METHODS, *BASELINES} == set(listed)


def test_every_row_has_a_verdict_and_a_source_or_says_that_none_was_found(verdicts):
    assert {len(row) for row in verdicts} == {3}
    assert {row[1] for row in verdicts} == VERDICTS
    alone = [row for row in verdicts if not cited(row[2]) and "othing found" not in row[2]]
    assert alone == []


def test_what_is_known_has_a_source(verdicts):
    assert [row[0] for row in verdicts if row[1] == "known" and not cited(row[2])] == []


def test_every_reference_is_said_to_be_read_or_recalled_once(atlas, keys):
    marked = cited(atlas.partition(HOW_READ)[2])
    assert sorted(marked) == sorted(keys)


def test_every_reference_is_used(book, atlas, keys):
    names = chapters((book / "_toc.yml").read_text())
    texts = [(book / f"{name}.md").read_text() for name in names if name != "atlas"]
    used = set(cited(" ".join([*texts, atlas.partition(HOW_READ)[0]])))
    assert set(keys) - used == set(), "cite these where they matter"
    assert used - set(keys) == set(), "add these to book/references.bib"


def test_there_are_a_hundred_references(keys):
    assert len(keys) == len(set(keys)) >= 100

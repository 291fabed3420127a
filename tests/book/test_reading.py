"""The ways through the book lead along its pages, and every method has a section among the formulas."""

import re
import tomllib

from proofs_checks.pages import chapters
from seeds_theory.methods import METHODS


def test_ways_lead_along_pages_of_the_book(book):
    contents = chapters((book / "_toc.yml").read_text())
    for path in tomllib.loads((book / "paths.toml").read_text())["path"]:
        named = [*path["pages"], *re.findall("`([a-z_]+)`", path["then"])]
        assert set(named) <= set(contents), path["reader"]
        assert len(set(named)) == len(named), path["reader"]


def test_every_method_has_a_section_with_its_formula(book):
    text = (book / "formulas.md").read_text()
    assert re.findall(r'^card\("([^"]+)"\)$', text, re.MULTILINE) == list(METHODS)


def test_no_page_names_a_chapter_by_its_number(book):
    for page in book.glob("*.md"):
        assert not re.search(r"\b[Cc]hapters? \d", page.read_text()), page.name

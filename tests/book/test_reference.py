"""The reference pages have every public name, and read docstrings as they are written."""

import importlib
import re

import pytest

PACKAGES = (
    "seeds_theory",
    "seeds_theory.baselines",
    "seeds_theory.comfyui",
    "toy_models",
    "proofs_checks",
    "proofs_checks.audit",
    "proofs_checks.exercises",
    "gpu_runs",
)

DIRECTIVE = re.compile(r"^\.\. (auto\w+|currentmodule):: (\S+)(?:\n   (:no-members:))?", re.M)

DOCSTRING = """Do it.

count : how often.

Parameters
----------
a, b : two numbers,
    in this order.

Returns
-------
A number.

Raises
------
GridError, ParameterError : each names the rule.
"""


def find(module, name):
    """What a directive documents: a module, or a name in one."""
    for path in (f"{module}.{name}", name):
        head, _, tail = path.rpartition(".")
        try:
            return getattr(importlib.import_module(head), tail)
        except (ImportError, AttributeError, ValueError):
            continue
    raise AssertionError(f"the reference has {name!r}, which is not in {module} and no module's")


def documented(text):
    """The objects that a page's directives document, all public ones of a module that is listed whole."""
    module, found = "", []
    for kind, name, no_members in DIRECTIVE.findall(text):
        if kind == "currentmodule":
            module = name
        elif kind != "automodule":
            found.append(find(module, name))
        elif not no_members:
            whole = importlib.import_module(name)
            found += [value for key, value in vars(whole).items() if not key.startswith("_")]
    return found


@pytest.fixture(scope="module")
def objects(book):
    return [thing for page in (book / "api").glob("*.md") for thing in documented(page.read_text())]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_an_entry(package, objects):
    module = importlib.import_module(package)
    missing = [
        name
        for name in module.__all__
        if not any(getattr(module, name) is thing for thing in objects)
    ]
    assert missing == [], f"add these names of {package} to its page in book/api"


def test_a_name_that_is_not_there_is_found():
    with pytest.raises(AssertionError, match="'sampel'"):
        documented(".. currentmodule:: seeds_theory\n.. autofunction:: sampel\n")


def test_every_page_is_in_the_book(book):
    contents = (book / "_toc.yml").read_text()
    for page in (book / "api").glob("*.md"):
        assert f"file: api/{page.stem}\n" in contents


def test_the_sections_of_a_docstring_become_fields(book, monkeypatch):
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(book / "_ext")
    fields = importlib.import_module("api").fields
    lines = fields(DOCSTRING.splitlines())
    assert "**count**: how often." in lines
    start = lines.index(":Parameters:")
    assert [line for line in lines[start:] if line] == [
        ":Parameters:",
        "    **a**, **b**: two numbers,",
        "    in this order.",
        ":Returns:",
        "    A number.",
        ":Raises:",
        "    :py:obj:`.GridError`, :py:obj:`.ParameterError`: each names the rule.",
    ]

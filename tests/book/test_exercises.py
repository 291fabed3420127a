"""The exercises of the book: each has hints, and its solution on the page is right."""

import ast
import re
import textwrap

import pytest

from proofs_checks.exercises import check, exercise_names
from proofs_checks.exercises.answers import Key, judge_of
from proofs_checks.pages import STATED, blocks
from seeds_theory.errors import UnknownNameError

# Chapters with statements that have none: the audit is a tool, the atlas a list of all statements.
WITHOUT = {"audit", "atlas"}

QUESTION = re.compile(r"^:::\{admonition\} (\w+-\d+), .+\n:class: exercise\n", re.MULTILINE)
SOLUTION = re.compile(r"^:::\{dropdown\} Solution of (\S+)\n(.*?)^:::$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def pages(book):
    return {path.stem: path.read_text() for path in book.glob("*.md")}


@pytest.fixture(scope="module")
def solutions(pages):
    return dict(pair for text in pages.values() for pair in SOLUTION.findall(text))


@pytest.fixture(scope="module")
def judged():
    return {name: judge_of(name) for name in exercise_names()}


def test_every_exercise_is_on_its_page_with_its_solution_and_no_other_is(pages, solutions):
    for chapter, text in pages.items():
        found = QUESTION.findall(text)
        assert found == [name for name in exercise_names() if name.rpartition("-")[0] == chapter]
        assert [name for name, _ in SOLUTION.findall(text)] == found
    assert len(solutions) == len(exercise_names()) >= 60


def test_every_chapter_with_statements_has_two_at_least(pages):
    stated = {name for name, text in pages.items() if any(b.kind in STATED for b in blocks(text))}
    assert len(stated) > 20
    assert {name for name in stated if len(QUESTION.findall(pages[name])) < 2} == WITHOUT


def test_every_known_mistake_is_told_what_it_is(judged):
    for name, judge in judged.items():
        assert judge.mistakes, name
        for wrong, said in judge.mistakes:
            fault = judge.fault(wrong)
            assert fault and said in fault, (name, wrong)


def test_anything_else_gets_a_hint(judged):
    for name, judge in judged.items():
        for answer in (object(), "no idea", 1234.5, (1, 2, 3, 4, 5), None):
            assert judge.fault(answer), (name, answer)


def test_what_the_package_computes_is_right_and_what_differs_is_not(judged):
    for name, judge in judged.items():
        if isinstance(judge, Key):
            assert not judge.fault(judge.right), name
            if not isinstance(judge.right, str | tuple):
                assert judge.fault(judge.right + 1), name


def test_every_solution_is_right(solutions):
    for name, text in solutions.items():
        (code,) = CODE.findall(text)
        tree = ast.parse(textwrap.dedent(code))
        last = tree.body.pop()
        assert isinstance(last, ast.Expr), f"{name} ends with its check"
        scope = {"check": check}
        exec(compile(tree, name, "exec"), scope)
        reply = eval(compile(ast.Expression(last.value), name, "eval"), scope)
        assert reply and reply.exercise == name, reply


def test_a_formula_is_told_by_the_names_of_its_symbols():
    sympy = pytest.importorskip("sympy")
    h, positive = sympy.Symbol("h"), sympy.Symbol("h", positive=True)
    assert check("noise-1", h**2 / 2) and check("noise-1", positive**2 / 2)
    assert not check("noise-1", sympy.Symbol("k") ** 2 / 2)


def test_a_reply_says_what_it_is():
    assert repr(check("phi-1", 1 / 6)) == "phi-1: right"
    assert repr(check("orders-1", -3)).startswith("orders-1: not yet: the slope of the curve")
    assert "the sign is not" in check("phi-1", -1 / 6).hint


@pytest.mark.parametrize("name", ["ends-4", "fi-1", "answers-1", "phi", "phi-x"])
def test_an_exercise_that_does_not_exist_is_an_error(name):
    with pytest.raises(UnknownNameError, match="unknown exercise"):
        check(name, 0)

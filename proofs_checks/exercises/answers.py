"""An answer, beside what is right and what those answer who err."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import sympy as sp

from seeds_theory.errors import unknown

_TOOLS = {"answers"}
"""Modules of this package that are no chapter's."""

_SPELLINGS = (
    (lambda right: -right, "the size is right, the sign is not"),
    (lambda right: 2 * right, "a factor of 2 too large"),
    (lambda right: right / 2, "a factor of 2 too small"),
    (lambda right: right**2, "this is the square of it"),
    (lambda right: sp.sqrt(right), "this is the root of it"),
    (lambda right: 1 / right, "this is its reciprocal"),
)
"""What goes wrong in any calculation."""


class Judge(Protocol):
    """What an exercise knows of its answers."""

    @property
    def mistakes(self) -> Sequence[tuple[Any, str]]:
        """Wrong answers, each with a part of what is said to it; one at least."""

    def fault(self, answer: Any) -> str:
        """What is wrong with an answer; nothing if it is right."""


@dataclass(frozen=True)
class Key:
    """One right answer: a number, a formula, a word, or a tuple of these.

    Parameters
    ----------
    right : computed from the package. Symbols of a formula are told by their names.
    mistakes : known wrong answers, and what went wrong.
    hint : for any other answer.
    within : how far a number may be from the right one, relative to it.
    """

    right: Any
    mistakes: tuple[tuple[Any, str], ...]
    hint: str
    within: float = 1e-6

    def fault(self, answer: Any) -> str:
        """What is wrong with an answer; nothing if it is right."""
        if _same(answer, self.right, self.within):
            return ""
        for wrong, said in self.mistakes:
            if _same(answer, wrong, self.within):
                return said
        if _is_expression(self.right):
            for change, said in _SPELLINGS:
                if self.right != 0 and _same(answer, change(sp.sympify(self.right)), self.within):
                    return f"{said}. {self.hint}"
        return self.hint


@dataclass(frozen=True)
class Task:
    """An answer that is tried out: anything that does what is asked is right.

    Parameters
    ----------
    judge : says what is wrong with an answer; nothing if it does what is asked.
    mistakes : answers that do not, each with a part of what is said to it.
    """

    judge: Callable[[Any], str]
    mistakes: tuple[tuple[Any, str], ...]

    def fault(self, answer: Any) -> str:
        """What is wrong with an answer; nothing if it is right."""
        return self.judge(answer)


@dataclass(frozen=True, repr=False)
class Reply:
    """What is said to an answer; true if it is right."""

    exercise: str
    right: bool
    hint: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return f"{self.exercise}: {'right' if self.right else f'not yet: {self.hint}'}"


def check(exercise: str, answer: Any) -> Reply:
    """Whether an answer is right; if not, a hint.

    >>> check("phi-1", 1 / 6)
    phi-1: right

    Parameters
    ----------
    exercise : its number in the book, the chapter's name and a count.
    answer : what the exercise asks for: a number, a sympy expression, a word, a tuple of these, or an object.

    Raises
    ------
    UnknownNameError : there is no such exercise; says which there are.
    """
    chapter = exercise.rpartition("-")[0]
    if chapter not in _chapters():
        raise unknown("exercise", exercise, [f"{name}-1" for name in _chapters()])
    found = _of_chapter(chapter)
    if exercise not in found:
        raise unknown("exercise", exercise, found)
    fault = found[exercise]().fault(answer)
    return Reply(exercise, not fault, fault)


def exercise_names() -> tuple[str, ...]:
    """The numbers of all exercises."""
    return tuple(name for chapter in _chapters() for name in _of_chapter(chapter))


def judge_of(exercise: str) -> Judge:
    """What an exercise knows of its answers."""
    return _of_chapter(exercise.rpartition("-")[0])[exercise]()


def _chapters() -> list[str]:
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return [module.name for module in found if module.name not in _TOOLS]


def _of_chapter(chapter: str) -> dict[str, Callable[[], Judge]]:
    """A chapter's exercises: the functions ``exercise_1, ...`` of its module."""
    module = importlib.import_module(f"{__package__}.{chapter}")
    numbered = {int(n.rpartition("_")[2]): f for n, f in vars(module).items() if _is_exercise(n)}
    return {f"{chapter}-{number}": numbered[number] for number in sorted(numbered)}


def _is_exercise(name: str) -> bool:
    return name.startswith("exercise_")


def _is_expression(value: Any) -> bool:
    return not isinstance(value, str | tuple)


def _same(answer: Any, right: Any, within: float) -> bool:
    """Whether two answers are one: numbers and formulas by value, words by letters, tuples by entry."""
    if isinstance(right, str):
        return isinstance(answer, str) and answer.strip().casefold() == right.casefold()
    if isinstance(right, tuple):
        try:
            entries = tuple(answer)
        except TypeError:
            return False
        return len(entries) == len(right) and all(
            _same(a, r, within) for a, r in zip(entries, right, strict=True)
        )
    try:
        pairs = list(_values(sp.sympify(answer), sp.sympify(right)))
    except (TypeError, ValueError, AttributeError, sp.SympifyError):
        return False
    return all(math.isclose(a, b, rel_tol=within, abs_tol=within * 1e-3) for a, b in pairs)


_POINTS = (sp.Rational(3, 7), sp.Rational(5, 4), sp.Rational(11, 6))


def _values(answer: sp.Expr, right: sp.Expr) -> Iterator[tuple[float, float]]:
    """Both as numbers; formulas at three points, their symbols told by name."""
    names = sorted({symbol.name for e in (answer, right) for symbol in e.free_symbols})
    for shift in range(3 if names else 1):
        points = {name: _POINTS[(i + shift) % 3] + i for i, name in enumerate(names)}
        yield tuple(  # type: ignore[misc]  # of two
            float(e.subs({s: points[s.name] for s in e.free_symbols}).doit().evalf())
            for e in (answer, right)
        )

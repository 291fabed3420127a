"""What the targets in Python share: the helpers, the order of a step's lines, and their width."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

from seeds_theory.emit import description
from seeds_theory.emit.method import MethodProgram
from seeds_theory.emit.program import Expression, Number, Program, Statement
from seeds_theory.emit.python import Python
from seeds_theory.emit.stages import staged
from seeds_theory.row import Row

WIDTH = 100
"""The longest line."""

_PHI = '''
def phi(k, z):
    """(e^z - sum_{j<k} z^j / j!) / z^k, without cancellation."""
    if abs(z) > 3:
        return expm1(z) / z if k == 1 else (phi(k - 1, z) - 1 / factorial(k - 1)) / z
    if z < 0:  # after Kummer's transformation all terms have one sign
        terms = (k * (-z) ** n / ((k + n) * factorial(n)) for n in range(30))
        return exp(z) / factorial(k) * sum(terms)
    return sum(z**n / factorial(n + k) for n in range(30))
'''

_DAMPED_PHI = '''
def damped_phi(k, z):
    """e^-z phi_k(z) for z >= 0, which stays finite."""
    if z <= 3:
        return exp(-z) * phi(k, z)
    return phi(1, -z) if k == 1 else (damped_phi(k - 1, z) - exp(-z) / factorial(k - 1)) / z
'''


def header() -> str:
    """The licence and where the file is from, as comments."""
    return description.header("# ")


def module(method: description.Named, purpose: str) -> str:
    """The docstring of the file."""
    return paragraph(f'"""{description.title(method)} for {purpose}."""', 0)


def helpers(*programs: Program, phi: str = _PHI, damped_phi: str = _DAMPED_PHI) -> str:
    """The functions that the steps call and no library has, each after two blank lines."""
    called = {name for program in programs for name in program.functions()}
    texts = {"phi": phi, "damped_phi": damped_phi}
    return "".join(f"\n{text}" for name, text in texts.items() if name in called)


def math_names(program: Program, helper_text: str, *others: str) -> str:
    """What to import from math: the functions of the step and of the helpers, and others."""
    called = program.functions() - {"phi", "damped_phi"}
    inside = {name for name in ("exp", "expm1", "factorial") if f"{name}(" in helper_text}
    return ", ".join(sorted({*called, *inside, *others}))


def paragraph(text: str, indent: int, hanging: int = 0) -> str:
    """Text in lines of the width, all indented, those after the first a little more."""
    first = " " * indent
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=first + " " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def docstring(method: MethodProgram, indent: int) -> dict[str, str]:
    """The parts of the docstring that say what the method is: summary, meaning, formula, noise, source."""
    meaning = f"A step from level s to t with {description.definitions(method)}:"
    lines = (paragraph(line, indent + 4, hanging=6) for line in description.formula(method))
    return {
        "summary": paragraph(f'"""{description.summary(method)}', indent),
        "meaning": paragraph(meaning, indent),
        "formula": "\n".join(lines),
        "noise": paragraph(f"{description.noise(method)}.", indent),
        "source": paragraph(description.source(method), indent),
    }


def level_lines(method: MethodProgram) -> Iterator[str]:
    """The step's length and its levels."""
    return map(line, staged(method).levels)


def row_lines(method: MethodProgram, call: str, cast: str = "") -> Iterator[str]:
    """The stages of a step and its end, each with a comment; after the first model call.

    call : of the model, with the state at ``{u}`` and its level at ``{s}``.
    cast : a function that states and estimates are put through, if any.
    """
    letter = description.integrand(method)
    program, groups = method.step, staged(method).rows
    for j, (row, statements) in enumerate(zip(program.rows, groups, strict=True), start=2):
        last = j == len(groups) + 1
        level = Python().expression(row.sigma)
        yield ""
        yield "# The end of the step." if last else f"# Stage {j}, at the level {level}."
        yield from map(line, statements)
        yield f"{'x' if last else f'u_{j}'} = {_through(cast, _combination(row, letter))}"
        if not last:
            yield estimate(method, j, level, call, cast)


def estimate(method: MethodProgram, j: int, level: str, call: str, cast: str = "") -> str:
    """The model call of a stage and what is integrated of it."""
    called = call.format(u=f"u_{j}", s=level)
    if method.prediction == "data":
        return f"D_{j} = {_through(cast, called)}"
    return f"eps_{j} = {_through(cast, f'(u_{j} - {called}) / {level}')}"


def normals(method: MethodProgram) -> str:
    """The names of the step's normals, for an assignment of as many values."""
    names = ", ".join(f"w_{m}" for m in range(1, method.normals + 1))
    return names if method.normals > 1 else f"({names},)"


def indented(lines: Iterable[str], indent: int) -> str:
    """Lines of code at an indent; those too long are set in brackets, as ruff does."""
    texts = []
    for line in lines:
        if indent + len(line) <= WIDTH:
            texts.append(line)
            continue
        name, _, value = line.partition(" = ")
        call = re.fullmatch(r"(\w+)\((.*)\)", value)
        opening, inside = call.groups() if call and _is_one(call[2]) else ("", value)
        texts += [f"{name} = {opening}(", f"    {inside}", ")"]
    return "\n".join(" " * indent + line if line else "" for line in texts)


def _is_one(inside: str) -> bool:
    """Whether the brackets around a text are a pair."""
    depth = 0
    for character in inside:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            return False
    return True


def _through(function: str, value: str) -> str:
    return f"{function}({value})" if function else value


def line(statement: Statement) -> str:
    """A statement."""
    return Python().statement(statement.name, Python().expression(statement.value))


def _combination(row: Row[Expression], letter: str) -> str:
    terms = [_term(row.state, "x")]
    terms += [_term(weight, f"{letter}_{i}") for i, weight in enumerate(row.drift, start=1)]
    terms += [_term(weight, f"w_{m}") for m, weight in enumerate(row.noise, start=1)]
    return " + ".join(term for term in terms if term)


def _term(weight: Expression, value: str) -> str:
    match weight:
        case Number(number) if number == 0:
            return ""
        case Number(number) if number == 1:
            return value
    return f"{Python().expression(weight)} * {value}"

"""Formulas of sympy as a program that returns several numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from seeds_theory.emit.lower import Lowering, with_names
from seeds_theory.emit.program import Name, Program, Statement, walk

Nested = Any
"""A formula, or a nested sequence of formulas."""


@dataclass(frozen=True)
class FunctionProgram:
    """A program and what it returns: an expression, or nested tuples of them."""

    program: Program
    result: object


def function_program(name: str, inputs: Sequence[sp.Symbol], formulas: Nested) -> FunctionProgram:
    """Emit a function of these symbols.

    Parameters
    ----------
    name : of the function.
    inputs : its arguments, by the names of the symbols.
    formulas : what it returns.

    Raises
    ------
    TableauError : a formula has a function that no program has.
    """
    lower = Lowering(name)
    results: list[Statement] = []

    def lowered(part: Nested) -> object:
        if not isinstance(part, sp.Basic):
            return tuple(map(lowered, part))
        results.append(Statement(f"value_{len(results) + 1}", lower(part)))
        return Name(results[-1].name)

    nested = lowered(formulas)
    program, same = with_names(name, [symbol.name for symbol in inputs], results)
    values = {s.name: s.value for s in program.statements}
    used = {
        part.name for s in program.statements for part in walk(s.value) if isinstance(part, Name)
    }

    # What is a result and nothing else needs no name.
    alone = {s.name for s in results if s.name in values} - used - set(same.values())

    def final(part: object) -> object:
        if isinstance(part, tuple):
            return tuple(map(final, part))
        assert isinstance(part, Name)
        return values[part.name] if part.name in alone else Name(same.get(part.name, part.name))

    kept = tuple(s for s in program.statements if s.name not in alone)
    return FunctionProgram(Program(program.name, program.inputs, kept), final(nested))

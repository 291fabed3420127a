"""The statements of a step in the order in which a reader wants them: the levels, then stage by stage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from seeds_theory.emit.method import MethodProgram
from seeds_theory.emit.program import Expression, Name, Program, Statement, walk
from seeds_theory.row import Row


@dataclass(frozen=True)
class Staged:
    """A step's statements by their purpose; each group uses its own names and earlier ones only.

    levels : h, and z if the step has it, and the noise levels of the stages.
    rows : for each row of the step, the statements that it is the first to need.
    """

    levels: tuple[Statement, ...]
    rows: tuple[tuple[Statement, ...], ...]


def staged(method: MethodProgram) -> Staged:
    """Sort the statements of a method's step."""
    program, rows = method.step.program, method.step.rows
    ends = [end for interval in method.intervals for end in interval]
    lengths = [Name(s.name) for s in program.statements if s.name in ("h", "z")]
    wanted = [[*lengths, *(row.sigma for row in rows), *ends], *map(_entries, rows)]
    levels, *groups = grouped(program, wanted)
    return Staged(levels, tuple(groups))


def grouped(
    program: Program, wanted: Iterable[Iterable[Expression]]
) -> Iterator[tuple[Statement, ...]]:
    """For each group of values, the statements of a program that it is the first to need."""
    values = {statement.name: statement.value for statement in program.statements}
    done: set[str] = set()
    for entries in wanted:
        needed = _needed(entries, values) - done
        yield tuple(s for s in program.statements if s.name in needed)
        done |= needed


def _entries(row: Row[Expression]) -> list[Expression]:
    return [row.state, *row.drift, *row.noise]


def _needed(entries: Iterable[Expression], values: dict[str, Expression]) -> set[str]:
    """The names of statements that expressions are made of, directly or not."""
    found: set[str] = set()
    open_ = list(entries)
    while open_:
        for part in walk(open_.pop()):
            if isinstance(part, Name) and part.name in values and part.name not in found:
                found.add(part.name)
                open_.append(values[part.name])
    return found

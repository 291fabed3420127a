"""Python, for floats and numpy arrays alike: what the library's own plans run."""

from __future__ import annotations

from typing import Any

from seeds_theory.emit.step import StepProgram
from seeds_theory.emit.writer import Writer
from seeds_theory.row import Row


class Python(Writer):
    """Expressions for floats and numpy arrays."""

    def number(self, value: int) -> str:  # noqa: D102
        return str(value)

    def power(self, base: str, exponent: int) -> str:  # noqa: D102
        return f"{base}**{exponent}"

    def call(self, function: str, order: int | None, argument: str) -> str:  # noqa: D102
        return f"{function}({argument})" if order is None else f"{function}({order}, {argument})"

    def statement(self, name: str, value: str) -> str:  # noqa: D102
        return f"{name} = {value}"

    def step(self, step: StepProgram, doc: str) -> str:
        """The function of a step: it returns (level, state, drift, noise) for each row."""
        lines = [f"def {step.program.name}({', '.join(step.program.inputs)}):", f'    """{doc}"""']
        lines += [f"    {line}" for line in self.statements(step.program)]
        lines += ["    return (", *(f"        {self._row(row)}," for row in step.rows), "    )"]
        return "\n".join(lines) + "\n"

    def _row(self, row: Row[Any]) -> str:
        level, state = self.expression(row.sigma), self.expression(row.state)
        return f"({level}, {state}, {self._tuple(row.drift)}, {self._tuple(row.noise)})"

    def _tuple(self, values: tuple[Any, ...]) -> str:
        inside = ", ".join(map(self.expression, values))
        return f"({inside},)" if len(values) == 1 else f"({inside})"

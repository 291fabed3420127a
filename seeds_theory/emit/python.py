"""Python, for floats and numpy arrays alike: what the library's own plans run."""

from __future__ import annotations

import textwrap
from typing import Any

from seeds_theory.emit.function import FunctionProgram
from seeds_theory.emit.step import StepProgram
from seeds_theory.emit.writer import Writer


class Python(Writer):
    """Expressions for floats and numpy arrays."""

    def number(self, value: int) -> str:  # noqa: D102
        return str(value)

    def power(self, base: str, exponent: int) -> str:  # noqa: D102
        return f"{base}**{exponent}"

    def real_power(self, base: str, exponent: str) -> str:  # noqa: D102
        return f"({base} ** ({exponent}))"

    def call(self, function: str, order: int | None, argument: str) -> str:  # noqa: D102
        return f"{function}({argument})" if order is None else f"{function}({order}, {argument})"

    def statement(self, name: str, value: str) -> str:  # noqa: D102
        return f"{name} = {value}"

    def step(self, step: StepProgram, doc: str = "") -> str:
        """The function of a step: for each row its level, state, drift and noise, in nested tuples."""
        rows = tuple((row.sigma, row.state, row.drift, row.noise) for row in step.rows)
        return self.function(FunctionProgram(step.program, rows), doc)

    def function(self, function: FunctionProgram, doc: str = "") -> str:
        """The text of a function."""
        program, result = function.program, function.result
        lines = [f'"""{doc}"""'] if doc else []
        lines += self.statements(program)
        if isinstance(result, tuple):
            lines += ["return (", *(f"    {self._nested(part)}," for part in result), ")"]
        else:
            lines.append(f"return {self._nested(result)}")
        body = textwrap.indent("\n".join(lines), "    ")
        return f"def {program.name}({', '.join(program.inputs)}):\n{body}\n"

    def _nested(self, part: Any) -> str:
        if not isinstance(part, tuple):
            return self.expression(part)
        inside = ", ".join(map(self._nested, part))
        return f"({inside},)" if len(part) == 1 else f"({inside})"

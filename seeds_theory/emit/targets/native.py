"""What C, Rust and JavaScript share: the sums of a step, and the fields of their templates.

States are arrays of ``size``
numbers; the normals of a step are one array, one normal of the states after the other.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import sympy as sp

from seeds_theory.emit.description import base, identifier, summary
from seeds_theory.emit.lower import add, multiply
from seeds_theory.emit.method import MethodProgram
from seeds_theory.emit.program import Expression, Name, Program
from seeds_theory.emit.stages import grouped
from seeds_theory.emit.targets.template import template
from seeds_theory.emit.writer import Writer
from seeds_theory.methods import METHODS
from seeds_theory.row import Row


@dataclass(frozen=True)
class Stage:
    """One row of a step, in text.

    Parameters
    ----------
    number : j, from 2; the last row is the end of the step.
    level : the noise level that its state belongs to.
    drift, noise : its sums at the index k of the arrays; the noise is added for eta > 0.
    """

    number: int
    level: str
    drift: str
    noise: str


class NativeWriter(Writer):
    """A language with arrays; phi and damped_phi are functions of the templates."""

    suffix: str
    """Of its files."""

    @abstractmethod
    def declared(self, name: str) -> str:
        """The left-hand side of a new constant."""

    def statement(self, name: str, value: str) -> str:  # noqa: D102
        return f"{self.declared(name)} = {value};"

    def coefficients(self, method: MethodProgram) -> str:
        """The statements that compute a step's levels and weights."""
        return "\n".join(self.statements(method.step.program))

    def stages(self, method: MethodProgram) -> list[Stage]:
        """The rows of a step."""
        return [self._stage(j, row) for j, row in enumerate(method.step.rows, start=2)]

    def _stage(self, j: int, row: Row[Expression]) -> Stage:
        drift = combined(row.drift, [f"f_{i}[k]" for i in range(1, j)])
        noise = combined(row.noise, [f"normals[{index(m)}]" for m in range(len(row.noise))])
        return Stage(
            j,
            self.expression(row.sigma),
            self.expression(add(multiply(row.state, Name("x[k]")), drift)),
            self.expression(noise),
        )

    def levels(self, method: MethodProgram) -> tuple[str, list[str]]:
        """Statements and names: the levels between which the stretches of a step lie, s and t included."""
        names = [method.intervals[0][0], *(stop for _, stop in method.intervals)]
        program = method.step.program
        [needed] = grouped(program, [names])
        lines = self.statements(Program(program.name, program.inputs, needed))
        return "\n".join(lines), [self.expression(name) for name in names]

    def helpers(self, method: MethodProgram) -> str:
        """The functions of the templates that the program needs."""
        needed = method.step.program.functions()
        return "".join(
            template(f"{name}{self.suffix}") for name in ("phi", "damped_phi") if name in needed
        )


def combined(weights: Iterable[Expression], of: Iterable[str]) -> Expression:
    """The sum of weights times names."""
    return add(*(multiply(w, Name(name)) for w, name in zip(weights, of, strict=True)))


def index(m: int) -> str:
    """Where the number k of the m-th array of several is."""
    return ("k", "size + k")[m] if m < 2 else f"{m} * size + k"


def workspace(method: MethodProgram) -> int:
    """State-sized arrays that a step needs: an integrand for each call, and the state of a stage."""
    return method.calls + (method.calls > 1)


def indented(text: str, by: str) -> str:
    """Each line of a text after a prefix, without blanks at its end."""
    return "\n".join((by + line).rstrip() for line in text.splitlines())


def fields(method: MethodProgram) -> dict[str, str]:
    """The fields of the templates that all three languages have."""
    name = identifier(method)
    usual = _chosen_nodes(method) == tuple(METHODS[base(method)].nodes)
    return {
        "name": name,
        "NAME": name.upper(),
        "method": method.name,
        "summary": summary(method),
        "base": base(method),
        "prediction": method.prediction,
        "usual_nodes": "true" if usual else "false",
        "usual_prediction": "true" if method.prediction == "data" else "false",
        "calls": str(method.calls),
        "stretches": str(len(method.intervals)),
        "degree": str(method.degree),
        "workspace": str(workspace(method)),
    }


def node_list(method: MethodProgram) -> list[str]:
    """The nodes that a name may state, as literals of doubles, which the three languages share."""
    return [repr(float(node)) for node in _chosen_nodes(method)]


def _chosen_nodes(method: MethodProgram) -> tuple[sp.Expr, ...]:
    """The nodes but those that every member of the family has, as the last one of seeds-3s."""
    return tuple(method.tableau.nodes[: len(METHODS[base(method)].nodes)])

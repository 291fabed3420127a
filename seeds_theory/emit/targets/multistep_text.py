"""What the targets in Python share for SEEDS-2M, the method with memory: its docstring and its lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import sympy as sp

from seeds_theory.emit import description
from seeds_theory.emit.lower import Lowering
from seeds_theory.emit.multistep import END, NOISES, STAGE, MultistepProgram
from seeds_theory.emit.program import Expression, Name
from seeds_theory.emit.stages import grouped
from seeds_theory.emit.targets.python_text import line, paragraph
from seeds_theory.emit.writer import Writer
from seeds_theory.multistep import best_node, d, multistep_formula, total

_WHERE = ("h", "z", "d", "gap", "c_m", "s_m")


def docstring(method: MultistepProgram, indent: int) -> dict[str, str]:
    """The parts of the docstring: summary, meaning, formula, noise, source."""
    by = " " * (indent + 4)
    meaning = (
        "A step from level s to t with h = log(s/t), z = -(1 + eta) h; u is its stage, at the level s_m, and "
        "D the denoised u, D_1 and D_2 those of the last two stages, d h and (d + gap) h before s:"
    )
    noise = (
        "N is the exact noise of the step, M its average, both of unit noises w_1 and w_2, and beta the last "
        "step's zeta - N. A first step has one estimate, D_1 of x, with d = 0 and gap = inf."
    )
    orders = description.orders(1, method.declared)
    summary = f"{description.title(method)} in data prediction: {orders}."
    source = f"Source: {method.reference}; claims {', '.join(method.claims)} of seeds-theory."
    return {
        "summary": paragraph(f'"""{summary}', indent),
        "meaning": paragraph(meaning, indent),
        "formula": "\n".join(by + formula for formula in _formula()),
        "noise": paragraph(noise, indent),
        "source": paragraph(source, indent),
    }


def _formula() -> Iterator[str]:
    formula, lower, text = multistep_formula(), Lowering("seeds-2m"), _Text()

    def written(expression: sp.Expr) -> str:
        return text.expression(lower(expression))

    yield "u = e^(c_m z) x + a_1 D_1 + a_2 D_2 + zeta"
    yield "x_t = e^z x + b_0 D + b_1 D_1 + N"
    yield f"c_m = {written(best_node(d))}, b_0 zeta + b_1 beta = M"
    yield f"a_2 = {written(formula.stage[1])}, a_1 = {written(total(formula.stage))} - a_2"
    yield f"b_0 = {written(formula.end[0])}, b_1 = {written(total(formula.end))} - b_0"


def step_lines(
    method: MultistepProgram, normals: Iterable[str], call: str, report: str = ""
) -> Iterator[str]:
    """A step, if the last two estimates and their levels are known.

    normals : the lines that draw w_1 and w_2.
    call : of the model, with the state at ``{u}`` and its level at ``{s}``.
    report : what is done with the estimate D, but for that of a first step.
    """
    wanted = (map(Name, names) for names in (_WHERE, NOISES, (*STAGE, *END)))
    where, noises, weights = grouped(method.program, wanted)
    yield ""
    yield from map(line, where)
    yield from normals
    yield ""
    yield "# The noise of the step and its average."
    yield from map(line, noises)
    yield "N = N_1 * w_1"
    yield "M = M_1 * w_1 + M_2 * w_2"
    yield ""
    yield "# The stage, at the level s_m, and the end of the step."
    yield from map(line, weights)
    yield "zeta = (M - b_1 * beta) / b_0"
    yield "u = p_m * x + a_1 * D_1 + a_2 * D_2 + zeta"
    yield f"D = {call.format(u='u', s='s_m')}"
    if report:
        yield "if before < inf:  # the first step has two estimates, and reports the first"
        yield f"    {report}"
    yield "x = p_t * x + b_0 * D + b_1 * D_1 + N"
    yield "beta = zeta - N"
    yield "last, before, D_1, D_2 = s_m, last, D, D_1"


class _Text(Writer):
    """Formulas as in a text: a product needs no sign."""

    def number(self, value: int) -> str:
        return str(value)

    def power(self, base: str, exponent: int) -> str:
        return f"{base}^{exponent}"

    def call(self, function: str, order: int | None, argument: str) -> str:
        return f"{function}{'' if order is None else f'_{order}'}({argument})"

    def statement(self, name: str, value: str) -> str:
        return f"{name} = {value}"

    def expression(self, expression: Expression) -> str:
        return super().expression(expression).replace(" * ", " ")

"""JavaScript: one ES module on Float64Array, and a program that speaks the pipe."""

from __future__ import annotations

from seeds_theory.emit.description import header
from seeds_theory.emit.method import MethodProgram
from seeds_theory.emit.program import Power, walk
from seeds_theory.emit.targets.heading import heading
from seeds_theory.emit.targets.native import (
    NativeWriter,
    fields,
    indented,
    node_list,
)
from seeds_theory.emit.targets.template import template


def files(method: MethodProgram) -> dict[str, str]:
    """``seeds_3.mjs`` and ``main.mjs``."""
    writer, shared = JavaScript(), fields(method) | {"header": header(" * ")}
    statements, levels = writer.levels(method)
    listed = f"return [{', '.join(levels)}];"
    return {
        f"{shared['name']}.mjs": template(
            "solver.mjs",
            **shared,
            heading=indented(heading(method), " * "),
            example=indented(template("example.mjs", **shared), " *     "),
            first=_called(method, 1),
            functions=", ".join(_functions(method)),
            helpers=writer.helpers(method),
            levels=indented("\n".join([*statements.splitlines(), listed]), "  "),
            coefficients=indented(writer.coefficients(method), "  "),
            stages=indented("\n".join(_stages(writer, method)), "  "),
        ),
        "main.mjs": template(
            "main.mjs",
            **shared,
            nodes=", ".join(node_list(method)),
            form="" if method.prediction == "data" else ', form: "noise"',
        ),
    }


class JavaScript(NativeWriter):
    """ECMAScript 2022."""

    suffix = ".mjs"

    def number(self, value: int) -> str:  # noqa: D102
        return str(value)

    def power(self, base: str, exponent: int) -> str:  # noqa: D102
        return f"pow({base}, {exponent})"  # an operator ** has no place after a minus sign

    def call(self, function: str, order: int | None, argument: str) -> str:  # noqa: D102
        return f"{function}({argument})" if order is None else f"{function}({order}, {argument})"

    def declared(self, name: str) -> str:  # noqa: D102
        return f"const {name}"


def _functions(method: MethodProgram) -> list[str]:
    """The functions of Math that a file uses."""
    called = method.step.program.functions()
    if "phi" in called:
        called |= {"abs", "exp", "expm1"}
    parts = (part for s in method.step.program.statements for part in walk(s.value))
    if any(isinstance(part, Power) and part.exponent not in (1, -1) for part in parts):
        called.add("pow")
    return sorted(called - {"phi", "damped_phi"})


def _called(method: MethodProgram, i: int) -> str:
    """What a call's estimates are called: the integrand itself, or what it is made of."""
    return f"{'f' if method.prediction == 'data' else 'd'}_{i}"


def _stages(writer: JavaScript, method: MethodProgram) -> list[str]:
    """The calls and sums of a step, after the first call."""
    lines = _integrand(method, 1, "x", "s")
    for stage in writer.stages(method):
        j, is_last = stage.number, stage.number > method.calls
        lines += [
            f"{'return' if is_last else f'const u_{j} ='} sum(",
            f"  (k) => {stage.drift},",
            f"  (k) => {stage.noise},",
            ");",
        ]
        if not is_last:
            lines.append(f"const {_called(method, j)} = await call(u_{j}, {stage.level});")
            lines += _integrand(method, j, f"u_{j}", stage.level)
    return lines


def _integrand(method: MethodProgram, i: int, state: str, level: str) -> list[str]:
    """The noise that an estimate means, in noise prediction."""
    if method.prediction == "data":
        return []
    return [f"const f_{i} = d_{i}.map((value, k) => ({state}[k] - value) / {level});"]

"""C: a header and a source in C99, and a program that speaks the pipe."""

from __future__ import annotations

from seeds_theory.emit.description import header
from seeds_theory.emit.method import MethodProgram
from seeds_theory.emit.targets.heading import heading
from seeds_theory.emit.targets.native import (
    NativeWriter,
    Stage,
    fields,
    indented,
    node_list,
)
from seeds_theory.emit.targets.template import template


def files(method: MethodProgram) -> dict[str, str]:
    """``seeds_3.h``, ``seeds_3.c`` and ``main.c``."""
    writer, shared = C(), fields(method) | {"header": header(" * ")}
    name = shared["name"]
    example = template("example.c", **shared)
    statements, levels = writer.levels(method)
    filled = [f"levels[{i}] = {level};" for i, level in enumerate(levels)]
    return {
        f"{name}.h": template(
            "solver.h",
            **shared,
            heading=indented(heading(method), " * "),
            example=indented(example, " *     "),
        ),
        f"{name}.c": template(
            "solver.c",
            **shared,
            helpers=writer.helpers(method),
            levels=indented("\n".join([*statements.splitlines(), *filled]), "    "),
            coefficients=indented(writer.coefficients(method), "    "),
            stages=indented("\n".join(_stages(writer, method)), "    "),
        ),
        "main.c": template(
            "main.c",
            **shared,
            nodes="".join(f"{node}, " for node in node_list(method)),
            form="" if method.prediction == "data" else r", \"form\": \"noise\"",
        ),
    }


class C(NativeWriter):
    """C99."""

    suffix = ".c"

    def number(self, value: int) -> str:  # noqa: D102
        return f"{value}.0"

    def power(self, base: str, exponent: int) -> str:  # noqa: D102
        return f"pow({base}, {exponent}.0)"

    def call(self, function: str, order: int | None, argument: str) -> str:  # noqa: D102
        return f"{function}({argument})" if order is None else f"{function}({order}, {argument})"

    def declared(self, name: str) -> str:  # noqa: D102
        return f"const double {name}"


def _stages(writer: C, method: MethodProgram) -> list[str]:
    """The calls and sums of a step, after the first call."""
    lines = []
    if method.prediction == "noise":
        lines += _loop("f_1[k] = (x[k] - f_1[k]) / s;")
    if method.calls > 1:
        arrays = [_array(i) for i in range(2, method.calls + 1)]
        arrays.append(f"*const u = work + {method.calls} * size")
        lines += [f"double {', '.join(arrays)};"]
    for stage in writer.stages(method):
        is_last = stage.number > method.calls
        lines += _sum(stage, "x" if is_last else "u")
        if not is_last:
            j, level = stage.number, stage.level
            lines += [
                f"if (denoiser(context, u, size, {level}, f_{j}) != 0)",
                f"    return {fields(method)['NAME']}_STOPPED;",
            ]
            if method.prediction == "noise":
                lines += _loop(f"f_{j}[k] = (u[k] - f_{j}[k]) / {level};")
    return lines


def _array(i: int) -> str:
    return f"*const f_{i} = work + {f'{i - 1} * ' if i > 2 else ''}size"


def _sum(stage: Stage, state: str) -> list[str]:
    noise = _loop(f"{state}[k] += {stage.noise};")
    return [
        "",
        *_loop(f"{state}[k] = {stage.drift};"),
        "if (eta > 0)",
        *(f"    {s}" for s in noise),
    ]


def _loop(body: str) -> list[str]:
    return ["for (size_t k = 0; k < size; k++)", f"    {body}"]

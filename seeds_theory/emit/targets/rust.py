"""Rust: one file without crates, and a program that speaks the pipe."""

from __future__ import annotations

from seeds_theory.emit.description import header
from seeds_theory.emit.method import MethodProgram
from seeds_theory.emit.targets.heading import heading
from seeds_theory.emit.targets.native import (
    NativeWriter,
    fields,
    indented,
    node_list,
)
from seeds_theory.emit.targets.template import template


def files(method: MethodProgram) -> dict[str, str]:
    """``seeds_3.rs`` and ``main.rs``."""
    writer, shared = Rust(), fields(method) | {"header": header("// ")}
    example = f"```ignore\n{template('example.rs', **shared)}```"
    statements, levels = writer.levels(method)
    listed = f"[{', '.join(levels)}]"
    return {
        f"{shared['name']}.rs": template(
            "solver.rs",
            **shared,
            heading=indented(heading(method), "//! "),
            example=indented(example, "//! "),
            helpers=writer.helpers(method),
            levels=indented("\n".join([*statements.splitlines(), listed]), "    "),
            arrays=indented("\n".join(_arrays(method)), "    "),
            coefficients=indented(writer.coefficients(method), "    "),
            stages=indented("\n".join(_stages(writer, method)), "    "),
        ),
        "main.rs": template(
            "main.rs",
            **shared,
            nodes=", ".join(node_list(method)),
            form="" if method.prediction == "data" else ', "form": "noise"',
        ),
    }


_METHODS = {"exp": "exp", "expm1": "exp_m1", "log": "ln", "log1p": "ln_1p", "sqrt": "sqrt"}


class Rust(NativeWriter):
    """Rust, edition 2021."""

    suffix = ".rs"

    def number(self, value: int) -> str:  # noqa: D102
        return f"{value}.0"

    def power(self, base: str, exponent: int) -> str:  # noqa: D102
        return f"{base}.powi({exponent})"

    def call(self, function: str, order: int | None, argument: str) -> str:  # noqa: D102
        if order is not None:
            return f"{function}({order}, {argument})"
        of = argument if argument.isidentifier() else f"({argument})"
        return f"{of}.{_METHODS[function]}()"

    def declared(self, name: str) -> str:  # noqa: D102
        return f"let {name}"


def _arrays(method: MethodProgram) -> list[str]:
    """The workspace, cut into an array for each integrand, and one for the state of a stage."""
    names = [f"f_{i}" for i in range(1, method.calls + 1)]
    if method.calls == 1:
        return ["let f_1 = work;"]
    cuts = [f"let ({name}, rest) = work.split_at_mut(size);" for name in names[:1]]
    cuts += [f"let ({name}, rest) = rest.split_at_mut(size);" for name in names[1:-1]]
    return [*cuts, f"let ({names[-1]}, u) = rest.split_at_mut(size);"]


def _stages(writer: Rust, method: MethodProgram) -> list[str]:
    """The calls and sums of a step, after the first call."""
    lines = []
    if method.prediction == "noise":
        lines += _loop("f_1[k] = (x[k] - f_1[k]) / s;")
    for stage in writer.stages(method):
        j, is_last = stage.number, stage.number > method.calls
        state = "x" if is_last else "u"
        noise = _loop(f"{state}[k] += {stage.noise};")
        lines += ["", *_loop(f"{state}[k] = {stage.drift};")]
        lines += ["if eta > 0.0 {", *(f"    {line}" for line in noise), "}"]
        if not is_last:
            lines.append(f"denoiser(u, {stage.level}, f_{j});")
            if method.prediction == "noise":
                lines += _loop(f"f_{j}[k] = (u[k] - f_{j}[k]) / {stage.level};")
    return lines


def _loop(body: str) -> list[str]:
    return ["for k in 0..size {", f"    {body}", "}"]

"""The text at the top of a file in C, Rust or JavaScript."""

from __future__ import annotations

import textwrap
from importlib.metadata import version

from seeds_theory.emit.lower import add, multiply
from seeds_theory.emit.method import MethodProgram
from seeds_theory.emit.program import Expression, Name
from seeds_theory.emit.targets.native import base, combined, indented, rows
from seeds_theory.emit.writer import Writer
from seeds_theory.methods import SEEDS

_WIDTH = 96


def title(method: MethodProgram) -> str:
    """One line: what the method is."""
    return f"{method.name} in {method.prediction} prediction: an exponential SDE solver for diffusion models."


def heading(method: MethodProgram) -> str:
    """The text at the top of a file: what is computed, in the names of the code, and what is proved of it."""
    orders = method.tableau.orders
    cuts = (Name("s"), *(stop for _, stop in method.intervals))
    stretches = " > ".join(map(_Text().expression, cuts))
    each = f", {method.degree} of each" if method.degree > 1 else ""
    path = (
        f"the stretch {stretches}" if len(method.intervals) == 1 else f"the stretches {stretches}"
    )
    paragraphs = [
        title(method),
        f"{_origin(method)} States are x / alpha, so that sigma, the noise level, is the "
        "standard deviation of their noise. The denoiser D(x, sigma) estimates the clean data. A step from "
        "level s down to t:",
        None,
        f"with standard normals xi of {path} of the path{each}. eta = 1 is the reverse SDE, eta = 0 the "
        "probability-flow ODE, which takes no normals. A step to level 0 is D(x, s); one from an infinite "
        "level, where x is unit noise, is D(x, s) + t xi, or D(x, s) + t x at eta = 0.",
        f"Strong order {orders.strong}, weak order {orders.weak}, order {orders.ode} at eta = 0; the book of "
        f"seeds-theory has the proofs, its claims {' and '.join(method.claims)}.",
        "SPDX-License-Identifier: MIT\nCopyright (c) 2026 The seeds-theory authors\n"
        f"Written by seeds-export (seeds-theory {version('seeds-theory')}).",
    ]
    return "\n\n".join(
        _formula(method)
        if text is None
        else "\n".join(textwrap.fill(p, _WIDTH, break_on_hyphens=False) for p in text.split("\n"))
        for text in paragraphs
    )


def _origin(method: MethodProgram) -> str:
    """Where a method is from."""
    if base(method) in SEEDS:
        return f"It is {method.tableau.reference} (arXiv 2305.14267)."
    return "It is one of the seeds-theory project's own."


def _formula(method: MethodProgram) -> str:
    """The step in the names of its program."""
    text = _Text()
    lines = ["h = log(s / t)" + (",  z = -(1 + eta) h" if method.prediction == "data" else "")]
    state, level = "x", "s"
    for j, row in enumerate(rows(method), start=2):
        call = f"D({state}, {level})"
        integrand = call if method.prediction == "data" else f"({state} - {call}) / {level}"
        lines.append(f"F_{j - 1} = {integrand}")
        state = f"u_{j}" if j <= method.calls else "x_t"
        level = text.expression(row.sigma)
        total = add(
            multiply(row.state, Name("x")),
            combined(row.drift, [f"F_{i}" for i in range(1, j)]),
            combined(row.noise, [f"xi_{m}" for m in range(1, len(row.noise) + 1)]),
        )
        lines.append(f"{state} = {text.expression(total)}")
    return indented("\n".join(lines), "    ")


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

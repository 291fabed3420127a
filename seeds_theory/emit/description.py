"""What an emitted file says of its method, for every target: licence, title, formula, source, claims."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import sympy as sp

from seeds_theory.emit.method import MethodProgram
from seeds_theory.emit.multistep import MultistepProgram
from seeds_theory.methods import SEEDS
from seeds_theory.orders import Orders
from seeds_theory.phi import Phi
from seeds_theory.tableau import z
from seeds_theory.version import __version__

if TYPE_CHECKING:
    from seeds_theory.baselines.run import Declared

Named = MethodProgram | MultistepProgram

_COUNTS = ("no", "one", "two", "three", "four", "five")


def origin() -> tuple[str, str, str]:
    """The first lines of every file: its licence, and the one line that says what wrote it."""
    return (
        "SPDX-License-Identifier: MIT",
        "Copyright (c) 2026 The seeds-theory authors",
        f"Written by seeds-export (seeds-theory {__version__}).",
    )


def header(prefix: str) -> str:
    """`origin` as comments of a language, each line after a prefix."""
    return "\n".join(prefix + line for line in origin())


def base(method: Named) -> str:
    """The method's name without nodes."""
    return method.name.partition("@")[0]


def identifier(method: Named, with_nodes: bool = False) -> str:
    """The method's name as that of a function: seeds_2, or with the nodes of seeds-2@0.7 seeds_2_0_7."""
    return re.sub(r"\W", "_", method.name if with_nodes else base(method))


def title(method: Named) -> str:
    """The method's name as it begins a sentence, with its nodes if they are not its own ones."""
    return method.name.replace("seeds", "SEEDS")


def orders(calls: int, declared: Orders | Declared) -> str:
    """Model calls and declared orders, in words."""
    assert declared.strong is not None
    return (
        f"{_COUNTS[calls]} model call{'s' * (calls > 1)} a step, weak order {declared.weak}, "
        f"strong {float(declared.strong):g}, ODE {declared.ode}"
    )


def summary(method: MethodProgram) -> str:
    """What the method is, in a line."""
    declared = orders(method.calls, method.tableau.orders)
    return f"{title(method)} in {method.prediction} prediction: {declared}."


def reference(method: MethodProgram) -> str:
    """Where its formula is from."""
    paper = " (arXiv 2305.14267)" if base(method) in SEEDS else ""
    return f"{method.tableau.reference}{paper}"


def source(method: MethodProgram) -> str:
    """Where its formula is from, and where it is proved."""
    return f"Source: {reference(method)}; claims {', '.join(method.claims)} of seeds-theory."


def integrand(method: MethodProgram) -> str:
    """What the integrands are called: D, or eps."""
    return "D" if method.prediction == "data" else "eps"


def definitions(method: MethodProgram) -> str:
    """What the letters of `formula` mean, in one sentence."""
    if method.prediction == "data":
        return "h = log(s/t), z = -(1 + eta) h and D_i the denoised u_i (u_1 = x)"
    return "h = log(s/t) and eps_i = (u_i - D_i)/s_i, D_i the denoised u_i (u_1 = x, s_1 = s)"


def formula(method: MethodProgram) -> Iterator[str]:
    """The step in the tableau's own form, a line for each stage and one for the result."""
    letter = integrand(method)
    ends = [f"u_{j}" for j in range(2, method.calls + 1)] + ["x_t"]
    for end, (node, (total, *weights)) in zip(ends, weights_of_differences(method), strict=True):
        terms = [f"{_factor(total, method)} {letter}_1"]
        terms += [
            f"{_factor(weight, method)} ({letter}_{i} - {letter}_1)"
            for i, weight in enumerate(weights, start=2)
            if weight != 0
        ]
        inside = " + ".join(terms)
        j = end[2:]
        if method.prediction == "data":
            state, scale = f"e^({_text(node * z, 'z')}) x" if node != 1 else "e^z x", "z"
        else:
            level = "t" if node == 1 else f"s_{j}"
            state, scale = "x", f"(1 + eta) {level} h"
        yield f"{end} = {state} - {scale} [{inside}] + N_{j}"


def weights_of_differences(method: MethodProgram) -> Iterator[tuple[sp.Expr, list[sp.Expr]]]:
    """The node of each row of the tableau, and its weights of F_1, F_2 - F_1, F_3 - F_1, ..."""
    for node, integrals in method.tableau.rows:
        yield node, [sp.expand(sp.Add(*integrals)), *integrals[1:]]


def by_sign(terms: Iterable[sp.Expr]) -> list[sp.Expr]:
    """The terms of a sum in the order in which they are read: what is subtracted last."""
    return sorted(terms, key=lambda term: bool(term.as_coeff_Mul()[0] < 0))


def noise(method: MethodProgram) -> str:
    """What the noises of `formula` are, in a sentence."""
    if method.calls == 1:
        return "N_t = n_t1 w_1 is the exact noise of the step, w_1 unit noise"
    joint = "N_j = n_j1 w_1 + ... (unit noises w_m) is"
    if method.degree == 1:
        return f"{joint} one path of the exact noise, at s_j or the end"
    return f"{joint} a functional of the path of the exact noise"


def _factor(weight: sp.Expr, method: MethodProgram) -> str:
    text = _text(weight, "z" if method.prediction == "data" else "h")
    return f"({text})" if sp.sympify(weight).is_Add else text


def _text(expression: sp.Expr, letter: str) -> str:
    """Plain text: products by juxtaposition, phi_k(z/3), and the letter for z."""
    e = sp.sympify(expression)
    if e.is_Add:
        first, *others = (_text(term, letter) for term in by_sign(e.args))
        return first + "".join(
            f" - {term[1:]}" if term.startswith("-") else f" + {term}" for term in others
        )
    if isinstance(e, Phi):
        order, argument = e.args
        return f"phi_{order}({_text(argument, letter)})"
    if e == z:
        return letter
    above, below = e.as_numer_denom()
    if below.is_Number:
        return _product(e, letter)
    return f"{_atom(above, letter)}/{_atom(below, letter)}"


def _product(e: sp.Expr, letter: str) -> str:
    number, rest = e.as_coeff_Mul()
    if rest == 1:
        return str(number)
    if rest == z:  # the argument of a function
        above = "" if number.p == 1 else str(number.p)
        return f"{above}{letter}" + (f"/{number.q}" if number.q != 1 else "")
    factors = " ".join(_atom(factor, letter) for factor in sp.Mul.make_args(rest))
    return factors if number == 1 else f"-{factors}" if number == -1 else f"{number} {factors}"


def _atom(e: sp.Expr, letter: str) -> str:
    text = _text(e, letter)
    return f"({text})" if e.is_Add or (e.is_Mul and " " in text) else text

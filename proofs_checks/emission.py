"""Emitted code against the formulas that it was made from: in symbols, in digits, and with a mistake in it.

The code of a step is a function of numbers. With sympy's functions in place of numpy's, the very same code
returns its rows as expressions, which can be proved equal to `seeds_theory.formula.step_formula`. With
mpmath's numbers in the formula, the digits of what it returns can be counted.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any
from unittest.mock import patch

import mpmath
import numpy as np
import sympy as sp

from proofs_checks.changes import changes
from seeds_theory.emit.compiled import compiled
from seeds_theory.emit.library import EMITTED_FORMS, variants
from seeds_theory.emitted import forms, moments, predictions
from seeds_theory.errors import SeedsError
from seeds_theory.exact import FORMS, eta, lam_s, lam_t
from seeds_theory.forms import FACTORS, identifier
from seeds_theory.formula import average_formula, step_formula
from seeds_theory.methods import METHODS, method
from seeds_theory.noise import h, moment_factor
from seeds_theory.phi import DampedPhi, Phi
from seeds_theory.prediction import PREDICTIONS, alpha, sigma, sigma_data
from seeds_theory.row import Row
from seeds_theory.scheme import StepCode, emitted_module, named_scheme, registered
from seeds_theory.tableau import Tableau

LENGTHS = (1e-8, 1e-5, 1e-2, 0.3, 1.0, 3.0, 10.0)
"""Steps in log-SNR at which digits are counted."""

ETAS = (0.0, 1e-3, 0.5, 1.0, 2.0, 4.0)
"""And the etas."""

NODES = {0: (), 1: ("2/5",), 2: ("3/10,4/5", "4/5,3/10")}
"""And the nodes beside the default ones, by their number."""

_SYMBOLIC: dict[str, Any] = {
    "exp": sp.exp,
    "expm1": lambda u: u * Phi(1, u),
    "log1p": lambda u: sp.expand_log(sp.log(sp.simplify(1 + u)), force=True),
    "sqrt": sp.sqrt,
    "phi": Phi,
    "damped_phi": DampedPhi,
}


def in_symbols(
    code: Callable[..., Any], names: Mapping[str, Any] = _SYMBOLIC
) -> Callable[..., Any]:
    """Emitted code, the same bytes, for sympy expressions, or for what other functions take."""
    assert isinstance(code, FunctionType)
    return FunctionType(code.__code__, dict(names))


def symbolic_rows(code: StepCode, nodes: Sequence[sp.Expr]) -> tuple[Row[sp.Expr], ...]:
    r"""The rows that a step's code returns for a step from :math:`\lambda_s`, of length h, in symbols."""
    rows = in_symbols(code)(sp.exp(-lam_s), sp.exp(-lam_s - h), eta, *nodes)
    return tuple(Row(*row).mapped(sp.sympify) for row in rows)


def identities(
    code: StepCode, tableau: Tableau, prediction: str
) -> Iterator[tuple[sp.Expr, sp.Expr]]:
    """Every entry of the code's rows, and of the formula's; weights of normals, which have roots, squared.

    A phi-function at one argument is one positive number, whatever it is: what is left is algebra.
    """
    free = sorted({node for node in tableau.nodes if node.is_Symbol}, key=str)
    for ours, formula in zip(
        symbolic_rows(code, free), step_formula(tableau, FORMS[prediction]), strict=True
    ):
        entries = [(ours.sigma, formula.sigma), (ours.state, formula.state)]
        entries += zip(ours.drift, formula.drift, strict=True)
        entries += ((a**2, b**2) for a, b in zip(ours.noise, formula.noise, strict=True))
        for a, b in entries:
            yield algebraic(a), algebraic(b)


def function_identities() -> Iterator[tuple[sp.Expr, sp.Expr]]:
    """The same for the other emitted functions: of forms, of moments of noise and of predictions."""
    t, s, parameter, rate = sp.symbols("t s parameter rate", real=True)
    for form in EMITTED_FORMS:
        numbers = form.numbers
        names = {lam_t: t, lam_s: s, **dict.fromkeys(form.parameters, parameter)}
        for code, formula in (
            (numbers.propagator, form.propagator(lam_t, lam_s)),
            (numbers.noise_kernel, form.noise_kernel(lam_t, lam_s)),
        ):
            emitted = in_symbols(code)(t, s, eta, parameter)
            yield sp.sympify(emitted) / formula.subs(names, simultaneous=True), sp.Integer(1)
        if not form.parameters:
            yield in_symbols(getattr(forms, f"{identifier(form.name)}_rate"))(eta), form.noise_rate
    for count in range(1, FACTORS + 1):
        matrix = in_symbols(getattr(moments, f"factor_{count}"))(rate, h)
        for ours, formula in zip(matrix, moment_factor(rate, count, h).tolist(), strict=True):
            yield from _squares(ours, formula)
    for row, formula in zip(in_symbols(moments.average)(h, eta), average_formula(), strict=True):
        yield from _squares(row, formula)
    for name, prediction in PREDICTIONS.items():
        skip, out = in_symbols(getattr(predictions, name))(alpha, sigma, sigma_data)
        yield skip, prediction.skip
        yield out, prediction.out


def _squares(
    ours: Sequence[sp.Expr], formula: Sequence[sp.Expr]
) -> Iterator[tuple[sp.Expr, sp.Expr]]:
    for a, b in zip(ours, formula, strict=True):
        yield algebraic(sp.sympify(a) ** 2), algebraic(sp.sympify(b) ** 2)


def algebraic(expression: sp.Expr) -> sp.Expr:
    """The expression with a positive symbol for each phi-function at each argument."""
    return expression.replace(
        lambda e: isinstance(e, Phi | DampedPhi),
        lambda e: sp.Symbol(
            f"{e.func.__name__}_{e.args[0]}({sp.factor(e.args[1])})", positive=True
        ),
    )


# ------------------------------------------------------------------------------------------ in digits


@dataclass(frozen=True)
class Reference:
    """A step's rows with 50 digits: s and t as doubles, eta, and each row's level, state, drift and noise."""

    s: float
    t: float
    eta: float
    rows: tuple[tuple[tuple[mpmath.mpf, ...], ...], ...]


def _phi(k: int, z: mpmath.mpf) -> mpmath.mpf:
    return mpmath.hyp1f1(1, k + 1, z) / mpmath.factorial(k)


def _damped_phi(k: int, z: mpmath.mpf) -> mpmath.mpf:
    return mpmath.hyp1f1(k, k + 1, -z) / mpmath.factorial(k)


MPMATH: list[Any] = [{"Phi": _phi, "DampedPhi": _damped_phi}, "mpmath"]
"""What `sympy.lambdify` makes numbers of any precision with."""


@cache
def references(name: str, prediction: str) -> tuple[Reference, ...]:
    """The formulas of a method by name, nodes allowed, over `LENGTHS` and `ETAS`, with 50 digits."""
    rows = step_formula(method(name), FORMS[prediction])
    functions = [
        tuple(
            tuple(
                sp.lambdify(
                    (lam_s, h, eta),
                    entry,
                    modules=MPMATH,
                )
                for entry in entries
            )
            for entries in ((row.sigma,), (row.state,), row.drift, row.noise)
        )
        for row in rows
    ]
    found = []
    for length, at in itertools.product(LENGTHS, ETAS):
        s = 1.0
        t = s * math.exp(-length)
        with mpmath.workdps(60):
            # The step between these two doubles: their rounding is not the code's error.
            place, step = -mpmath.log(mpmath.mpf(s)), mpmath.log(mpmath.mpf(s) / mpmath.mpf(t))
            values = tuple(
                tuple(tuple(f(place, step, mpmath.mpf(at)) for f in entries) for entries in row)
                for row in functions
            )
        found.append(Reference(s, t, at, values))
    return tuple(found)


def worst_error(name: str, prediction: str, enough: float = math.inf) -> float:
    """The largest error of a step's numbers, each relative to the largest of its kind in its row.

    Parameters
    ----------
    name, prediction : the method.
    enough : stop at an error as large as this.
    """
    scheme = named_scheme(name, prediction)
    worst = 0.0
    for reference in references(name, prediction):
        with np.errstate(all="ignore"):
            try:
                rows = scheme.rows(reference.s, reference.t, reference.eta)
            except (ArithmeticError, SeedsError):  # a quotient by 0, or a phi-function that is none
                return math.inf
        for ours, exact in zip(rows, reference.rows, strict=True):
            mine = ((ours[0],), (ours[1],), ours[2], ours[3])
            for values, wanted in zip(mine, exact, strict=True):
                worst = max(worst, distance(values, wanted))
        if worst >= enough:
            break
    return worst


def cases(name: str) -> list[str]:
    """A method at its default nodes, and at others."""
    return [name, *(f"{name}@{nodes}" for nodes in NODES[len(METHODS[name].nodes)])]


def distance(values: Sequence[float], wanted: Sequence[mpmath.mpf]) -> float:
    """The largest difference, over the largest number; infinite where one is not finite or missing.

    The code may return more than the formula has: at a node of 1 the stretch after it is empty. What it
    returns there is compared with 0.
    """
    size = max((abs(number) for number in wanted), default=0)
    if len(values) < len(wanted):
        return math.inf
    exact = [*wanted, *[mpmath.mpf(0)] * (len(values) - len(wanted))]
    differences = [
        abs(mpmath.mpf(float(a)) - b) if math.isfinite(a) else mpmath.inf
        for a, b in zip(values, exact, strict=True)
    ]
    largest = max(differences, default=mpmath.mpf(0))
    if largest == 0:
        return 0.0
    return float(largest / size) if size else math.inf


# --------------------------------------------------------------------------------- with a mistake in it


@dataclass(frozen=True)
class TextMutant:
    """The code of a method's step, for one order of its nodes in time, with one change in its text.

    function : its name in the method's module.
    """

    method: str
    function: str
    change: str
    code: StepCode

    @property
    def claims(self) -> tuple[str, ...]:
        """The claim that is asked."""
        return (f"emitted-digits-{self.method}",)

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """The library runs the changed code."""
        named_scheme.cache_clear()
        try:
            with patch.object(emitted_module(self.method), self.function, self.code):
                yield
        finally:
            named_scheme.cache_clear()


def text_mutants(name: str, prediction: str) -> Iterator[TextMutant]:
    """The emitted code of a method's step, for every order of its nodes in time, with changes in its text.

    Each number, sign, operator and function is changed in turn. The code of forms, of moments of noise and
    of predictions is not changed: ``emitted-functions`` proves it.
    """
    module = emitted_module(name)
    for suffix, _, _ in variants(METHODS[name]):
        function = prediction + suffix
        tree = ast.parse(inspect.getsource(getattr(module, function)))
        for place in range(sum(1 for _ in ast.walk(tree))):
            for changed, change in changes(tree, place):
                code = compiled(ast.unparse(changed), function)
                yield TextMutant(name, function, f"{function}: {change}", code)


def names_and_predictions() -> list[tuple[str, str]]:
    """Every registered method with each of its predictions."""
    return [(name, p) for name, entry in registered().items() for p in entry.predictions]


def emitted_variants(name: str, prediction: str) -> Iterator[tuple[StepCode, Tableau]]:
    """The emitted code of a method for every order of its nodes in time, and the tableau it is of."""
    module = emitted_module(name)
    for suffix, _, tableau in variants(METHODS[name]):
        code: Callable[..., Any] = getattr(module, prediction + suffix)
        yield code, tableau

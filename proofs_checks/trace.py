r"""The code of a baseline, run on symbols instead of floats and tensors.

With sympy's functions in place of those of `math`, and exact numbers in place of float constants, the very
code that samples returns its step as an expression. So an identity proved of it is one of the code, not of
a formula copied from a paper.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from types import CodeType, FunctionType, SimpleNamespace
from typing import Any

import sympy as sp

from proofs_checks import emission
from seeds_theory import emitted
from seeds_theory.baselines import BASELINES, Run
from seeds_theory.exact import eta, lam_s
from seeds_theory.forms import DATA
from seeds_theory.formula import average_formula
from seeds_theory.noise import h
from seeds_theory.phi import Phi
from seeds_theory.plan import Interval


def _log_ratio(s: sp.Expr, t: sp.Expr) -> sp.Expr:
    return sp.expand_log(sp.log(s / t), force=True)


def _solve(matrix: list[list[sp.Expr]], right: list[sp.Expr]) -> SimpleNamespace:
    A = sp.Matrix(matrix)
    solution = A.adjugate() * sp.Matrix(right) / A.det()
    return SimpleNamespace(tolist=lambda: list(solution))


def _average_weights(length: sp.Expr, at: sp.Expr) -> tuple[tuple[sp.Expr, ...], ...]:
    here = {h: length, eta: at}
    return tuple(tuple(w.subs(here, simultaneous=True) for w in row) for row in average_formula())


_SYMBOLIC: dict[str, Any] = {
    "math": SimpleNamespace(
        exp=sp.exp,
        expm1=lambda u: sp.exp(u) - 1,
        factorial=sp.factorial,
        inf=sp.oo,
        log1p=lambda u: sp.log(1 + u),
        sqrt=sp.sqrt,
    ),
    "np": SimpleNamespace(linalg=SimpleNamespace(solve=_solve)),
    "torch": SimpleNamespace(add=operator.add, zeros_like=lambda x: sp.Integer(0)),
    "phi": Phi,
    "log_ratio": _log_ratio,
    "average_weights": _average_weights,
    "require_option": lambda *args, **options: None,
    "float": lambda number: number,
    # Cut-offs such as DDIM's min(1, up) are not reached: the bound comes first, and is passed over.
    "min": lambda bound, value: value if isinstance(value, sp.Expr) else min(bound, value),
    "max": lambda bound, value: value if isinstance(value, sp.Expr) else max(bound, value),
}
"""What stands in for the names of numbers and tensors."""


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """What code of numbers and tensors is run on instead.

    Parameters
    ----------
    names : what stands in for names of functions and modules.
    emitted : a function of `seeds_theory.emitted` for these things. number : a float as an exact number.
    """

    names: dict[str, Any]
    emitted: Callable[[Callable[..., Any]], Callable[..., Any]]
    number: Callable[[float], Any]

    def bound(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of `seeds_theory.baselines`, the same code, for these things."""
        if isinstance(function, partial):
            return partial(self.bound(function.func), *function.args)
        assert isinstance(function, FunctionType)
        return self._rebound(function, _names(self, function.__module__))

    def _rebound(self, function: FunctionType, names: dict[str, Any]) -> FunctionType:
        code, defaults = self._exact(function.__code__), self._exact(function.__defaults__)
        bound = FunctionType(code, names, function.__name__, defaults, function.__closure__)
        bound.__kwdefaults__ = function.__kwdefaults__
        return bound

    def _exact(self, value: Any) -> Any:
        """The same, code and tuples included, with exact numbers for floats: 0.5 means 1/2."""
        if isinstance(value, CodeType):
            return value.replace(co_consts=self._exact(value.co_consts))
        if isinstance(value, tuple):
            return tuple(map(self._exact, value))
        return self.number(value) if isinstance(value, float) else value


@cache
def _names(of: Arithmetic, module: str) -> dict[str, Any]:
    """The names of a module of baselines: its functions and those it imports, bound, its tables exact."""
    names = {**vars(importlib.import_module(module)), **of.names}
    package = Run.__module__.rpartition(".")[0]
    for name, value in list(names.items()):
        if name in of.names:
            continue
        if isinstance(value, tuple):
            names[name] = of._exact(value)
        elif inspect.isfunction(value):
            if value.__module__ == module:
                names[name] = of._rebound(value, names)
            elif value.__module__.startswith(package):
                names[name] = of.bound(value)
            elif value.__module__.startswith(emitted.__name__):
                names[name] = of.emitted(value)
    return names


SYMBOLS = Arithmetic(
    _SYMBOLIC, emission.in_symbols, lambda number: sp.nsimplify(number, rational=True)
)
"""Expressions of sympy."""

in_symbols = SYMBOLS.bound


x = sp.Symbol("x")
"""The state a trace starts from."""


class Trace:
    r"""A `Run` in symbols: the model answers D_0, D_1, ..., the normals are z_0, z_1, ...

    Attributes
    ----------
    calls : state and level of each model call. states : the state after each step.
    D, z : the symbols given out so far.
    """

    def __init__(self, levels: Sequence[sp.Expr], rate: sp.Expr) -> None:
        self.x, self.sigmas, self.eta = x, tuple(levels), rate
        self.calls: list[tuple[sp.Expr, sp.Expr]] = []
        self.states: list[sp.Expr] = []
        self.D: list[sp.Symbol] = []
        self.z: list[sp.Symbol] = []

    @property
    def steps(self) -> Iterator[tuple[sp.Expr, sp.Expr]]:
        """The steps (s, t)."""
        return itertools.pairwise(self.sigmas)

    def denoise(self, state: sp.Expr, level: sp.Expr) -> sp.Symbol:
        """A new symbol for the estimate."""
        self.calls.append((state, level))
        self.D.append(sp.Symbol(f"D_{len(self.D)}"))
        return self.D[-1]

    def normals(
        self, *levels: sp.Expr, path: int = 0, eta: sp.Expr | None = None
    ) -> tuple[sp.Expr, ...]:
        """New symbols for the stretches; 0 at eta = 0."""
        eta = self.eta if eta is None else eta
        return self.draw(*(Interval(a, b, DATA, eta, path) for a, b in itertools.pairwise(levels)))

    def draw(self, *intervals: Interval) -> tuple[sp.Expr, ...]:
        """New symbols for the normals; 0 at eta = 0."""
        drawn: list[sp.Expr] = []
        for interval in intervals:
            if interval.eta == 0:
                drawn.append(sp.Integer(0))
            else:
                self.z.append(sp.Symbol(f"z_{len(self.z)}"))
                drawn.append(self.z[-1])
        return tuple(drawn)

    noises = in_symbols(Run.noises)
    pair = in_symbols(Run.pair)
    averages = in_symbols(Run.averages)

    def step(self, state: sp.Expr, s: sp.Expr, t: sp.Expr, denoised: sp.Expr) -> sp.Expr:
        """Note the state."""
        self.states.append(state)
        return state

    def to_zero(self, state: sp.Expr, level: sp.Expr | None = None, last: Any = None) -> sp.Expr:
        """No trace ends at 0."""
        return state


rate = sp.Symbol("eta", positive=True)
"""An eta > 0, by which code may branch."""

lengths = sp.symbols("h_2 h_1", positive=True)
"""Of the steps before the last, the earliest first."""


def log_snr_levels(before: int = 0) -> list[sp.Expr]:
    """Levels of a step of length h from lambda_s, and of as many steps before it, at most 2."""
    earlier = [sum(lengths[i:], sp.Integer(0)) for i in range(2 - before, 2)]
    return [sp.exp(-(lam_s - back)) for back in earlier] + [sp.exp(-lam_s), sp.exp(-lam_s - h)]


def trace(name: str, at: sp.Expr, levels: Sequence[sp.Expr] = (), **options: Any) -> Trace:
    """The code of a baseline on these levels (one step by default) at eta = `at`."""
    run = Trace(levels or log_snr_levels(), sp.sympify(at))
    in_symbols(BASELINES[name].algorithm)(run, **options)
    return run

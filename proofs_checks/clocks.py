r"""Orders in the clock of a prediction, for noise of any smooth intensity; the clocks' code on symbols.

In :math:`\nu = -\log w` (`seeds_theory.clocks`) the drift of F, v, flow or score prediction has the kernel
:math:`e^{\nu}` of noise prediction, but the noise is one of its own. In Lawson's variables this is

.. math::  dx = f(x, \nu)\,d\nu + \gamma(\nu)\,dW_\nu,

with an arbitrary smooth f, and :math:`\gamma` smooth and positive, 1 at the start of the step. Where the
noises of a step are the values of the path, its weights and the exact ones depend on :math:`\gamma` only by
its derivatives at the start: they are symbols here. So an order that is decided holds in every such clock, at
every eta.
Claims: ``linear-clock-*``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import FunctionType, SimpleNamespace
from typing import Any

from proofs_checks.taylor import LocalStep, Rates, Series, clocked_weight, within
from proofs_checks.trees import Forest
from seeds_theory.errors import TableauError
from seeds_theory.extras import optional_imports
from seeds_theory.noise import path_values
from seeds_theory.tableau import Tableau

with optional_imports():
    import sympy as sp

_DERIVATIVES = (sp.Integer(1), *sp.symbols("g_1:5", real=True))
"""Of the intensity at the start of the step."""


@dataclass(frozen=True)
class AnyNoise(Rates):
    """A noise of any smooth intensity, beside a drift of that rate; `noise` is not used."""


CLOCKED = AnyNoise(sp.Integer(1), sp.nan)
"""The drift of noise prediction: what F, v, flow and score prediction have in their clocks."""


class ClockStep(LocalStep):
    """One step of a tableau whose noises are the path's values, for any intensity.

    Raises
    ------
    TableauError : its noises are others.
    """

    def __init__(self, tableau: Tableau, rates: Rates) -> None:
        super().__init__(tableau, rates)
        if tableau.noise is not path_values:
            raise TableauError(
                f"in a clock of its own a prediction has the path's values for noise; {tableau.name!r} has "
                "others"
            )

    @cached_property
    def intensity(self) -> Series:
        """Its Taylor series, in x."""
        return {n: g * within**n / sp.factorial(n) for n, g in enumerate(_DERIVATIVES)}

    def exact_weight(self, forest: Forest, limit: int) -> Series:
        """As of any step, with the derivatives of the square of the intensity."""
        growth = [
            sp.Add(
                *(sp.binomial(n, k) * _DERIVATIVES[k] * _DERIVATIVES[n - k] for k in range(n + 1))
            )
            for n in range(len(_DERIVATIVES))
        ]
        return clocked_weight(forest, growth, limit)

    @cached_property
    def _kernels(self) -> tuple[dict[tuple[int, int], Series], ...]:
        ends = self._cuts[1:]
        rows = (
            {(0, i): self.intensity for i in range(1 + ends.index(node))} for node in self.nodes[1:]
        )
        return ({}, *rows)


class Arc(sp.Function):
    r"""The symbolic :math:`\int_0^u (1 + v^2)^{-1-\eta/2}\,dv` of `seeds_theory.special_functions.arc`."""

    nargs = 2

    @classmethod
    def eval(cls, eta: sp.Expr, u: sp.Expr) -> sp.Expr | None:
        """Closed at eta = 0 and 1, and 0 at 0."""
        if u == 0:
            return sp.Integer(0)
        return {0: sp.atan(u), 1: u / sp.sqrt(1 + u**2)}.get(eta)

    def fdiff(self, argindex: int = 2) -> sp.Expr:
        """The integrand."""
        eta, u = self.args
        if argindex != 2:
            raise sp.ArgumentIndexError(self, argindex)
        return (1 + u**2) ** (-1 - eta / 2)


_SYMBOLIC: dict[str, Any] = {
    "expm1": lambda u: sp.exp(u) - 1,
    "log1p": lambda u: sp.log(1 + u),
    "arc": Arc,
    "math": SimpleNamespace(hypot=lambda a, b: sp.sqrt(a**2 + b**2)),
}


def on_symbols(code: Callable[..., Any]) -> Callable[..., sp.Expr]:
    """A function of a `seeds_theory.clocks.Clock`, the same bytes, for sympy expressions."""
    assert isinstance(code, FunctionType)
    return FunctionType(code.__code__, dict(_SYMBOLIC))

r"""Tableau: an explicit stochastic exponential Runge-Kutta method as data.

With :math:`F_i` the integrand (D or eps) at stage i, :math:`\zeta h` the argument of the form
(`SemilinearForm.drift_rate`), :math:`B` its drift coefficient and :math:`N_j` the exact noise at node j,

.. math::  u_j = \Phi(\lambda_j, \lambda_s)\,y_s + B(\lambda_j)\,h \Big[c_j \varphi_1(c_j \zeta h) F_1
           + \sum_{1 < i < j} a_{ji}(\zeta h)\,(F_i - F_1)\Big] + N_j,

and the step itself is the last row, with :math:`c = 1` and weights :math:`b_i`. Written on differences,
every row integrates a constant F exactly, whatever its weights. The :math:`N_j` are jointly the values
of one path of the exact noise (`seeds_theory.noise`), which is what makes the method SEEDS.

Both are defaults. A method that integrates a constant otherwise states its row sums, and one that
draws other noise states its rule, and where it cuts the path: so the methods that go beyond SEEDS, and
those that are *not* SEEDS, can be written down and examined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from seeds_theory.errors import TableauError, other_prediction
from seeds_theory.exact import SemilinearForm
from seeds_theory.extras import optional_imports
from seeds_theory.nodes import require_nodes
from seeds_theory.noise import Functional, NoiseRule, cuts, interval_lengths, path_values
from seeds_theory.orders import Orders
from seeds_theory.phi import Phi

with optional_imports():
    import sympy as sp
    from sympy.printing.str import StrPrinter

z = sp.Symbol("z", real=True)
r"""The argument :math:`\zeta h` of a method's weights."""


@dataclass(frozen=True)
class Tableau:
    r"""An explicit exponential Runge-Kutta tableau and the noise of its rows.

    Parameters
    ----------
    name : unique name, nodes included where they are not the default.
    nodes : stage nodes c_2, ..., c_s in (0, 1], distinct; c_1 = 0 is implied. Exact numbers or symbols.
    stages : for each of these nodes, the weights a_{j2}, ..., a_{j,j-1}: expressions in `z` and `Phi`.
    weights : b_2, ..., b_s likewise.
    orders : declared orders, confirmed by the ledger.
    reference : where the formula is from.
    noise : the noise of each row; by default jointly exact.
    row_sums : the weight of a constant F in each row, stages and step; if empty, its exact integral
        :math:`c_j \varphi_1(c_j z)`.
    noise_nodes : nodes at which the path is cut into the intervals of the noise rule; by default all.
    predictions : the forms that the noise rule is meant for.

    Raises
    ------
    TableauError : nodes outside (0, 1] or repeated, or rows of the wrong length.
    """

    name: str
    nodes: tuple[sp.Expr, ...]
    stages: tuple[tuple[sp.Expr, ...], ...]
    weights: tuple[sp.Expr, ...]
    orders: Orders
    reference: str
    noise: NoiseRule = path_values
    row_sums: tuple[sp.Expr, ...] = ()
    noise_nodes: tuple[sp.Expr, ...] | None = None
    predictions: tuple[str, ...] = ("data", "noise")

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "nodes", _exact(self.nodes))
            object.__setattr__(self, "stages", tuple(map(_exact, self.stages)))
            object.__setattr__(self, "weights", _exact(self.weights))
            object.__setattr__(self, "row_sums", _exact(self.row_sums))
        except (TypeError, sp.SympifyError):
            raise TableauError(
                f"nodes, weights and row sums of {self.name!r} are sequences of numbers or sympy "
                "expressions, stages a sequence of such sequences"
            ) from None
        require_nodes(self.nodes)
        if not set(self.noise_nodes or ()) <= set(self.nodes):
            raise TableauError(
                f"the path of {self.name!r} is cut at nodes, {self.nodes}; got {self.noise_nodes}"
            )
        entries = (*self.weights, *self.row_sums, *(w for row in self.stages for w in row))
        if any(symbol.name == z.name and symbol != z for e in entries for symbol in e.free_symbols):
            raise TableauError(
                f"a weight of {self.name!r} has a symbol z of its own: import z from "
                "seeds_theory.tableau"
            )
        if [len(row) for row in self.stages] != list(range(len(self.nodes))):
            raise TableauError(
                f"stage j of {self.name!r} needs j - 2 weights (explicit, first column implied); "
                f"got rows of {[len(row) for row in self.stages]}"
            )
        if len(self.weights) != len(self.nodes):
            raise TableauError(
                f"{self.name!r} needs one weight per node, {len(self.nodes)}; got {len(self.weights)}"
            )
        if self.row_sums and len(self.row_sums) != self.calls:
            raise TableauError(
                f"{self.name!r} needs one row sum per row, {self.calls}; got {len(self.row_sums)}"
            )

    @property
    def calls(self) -> int:
        """Model calls per step."""
        return 1 + len(self.nodes)

    @property
    def cuts(self) -> tuple[sp.Expr, ...]:
        """Where the intervals of a step's noise begin and end."""
        return cuts(self._cut_at)

    @property
    def lengths(self) -> tuple[sp.Expr, ...]:
        """The lengths of these intervals, in log-SNR."""
        return interval_lengths(self._cut_at)

    @property
    def _cut_at(self) -> tuple[sp.Expr, ...]:
        return self.nodes if self.noise_nodes is None else self.noise_nodes

    def require_form(self, form: SemilinearForm) -> None:
        """The method can integrate this form; raises TableauError."""
        if form.name not in self.predictions:
            raise other_prediction(self.name, self.predictions, form.name)

    def noises(self, rate: sp.Expr) -> tuple[Functional, ...]:
        """The noise of each stage and of the step, by the method's rule, for a form's noise rate."""
        found = tuple(self.noise(rate, self.nodes))
        if len(found) != self.calls or not all(isinstance(n, Functional) for n in found):
            raise TableauError(
                f"the noise rule of {self.name!r} returns a Functional for each of {self.calls} rows; "
                f"got {found!r}"
            )
        return found

    @property
    def rows(self) -> tuple[tuple[sp.Expr, tuple[sp.Expr, ...]], ...]:
        """Each stage and the step itself: (node, weights of F_1, ..., first column included)."""
        times = (*self.nodes, sp.Integer(1))
        totals = self.row_sums or tuple(c * Phi(1, c * z) for c in times)
        later = (*self.stages, self.weights)
        return tuple(
            (node, (total - sp.Add(*weights), *weights))
            for node, total, weights in zip(times, totals, later, strict=True)
        )

    def __str__(self) -> str:
        """As a table of Butcher's, for a terminal: the weights of F_1, F_2, ... in each row, over h."""
        plain = _Plain()
        body = [[plain.doprint(weight) for weight in weights] for _, weights in self.rows]
        widths = [max(map(len, column)) for column in zip_longest(*body, fillvalue="")]
        names = ["0", *(plain.doprint(node) for node in self.nodes), ""]
        left = max(map(len, names))
        lines = [
            f"{name:>{left}} | " + "  ".join(map(str.ljust, row, widths))
            for name, row in zip(names, [[], *body], strict=True)
        ]
        lines.insert(-1, "-" * left + "-+-" + "-" * (sum(widths) + 2 * len(widths) - 2))
        orders = (
            f"order strong {self.orders.strong}, weak {self.orders.weak}, ODE {self.orders.ode}"
        )
        calls = f"{self.calls} model call{'s' if self.calls > 1 else ''} a step"
        noise = "by a rule of its own" if self.noise is not path_values else "values of one path"
        return "\n".join(
            [
                f"{self.name}: {orders}; {calls}",
                *(line.rstrip() for line in lines),
                f"noise: {noise}; z = zeta h, the drift's rate times the step",
            ]
        )


class _Plain(StrPrinter):
    """Expressions in ASCII, with phi_k for the phi-functions."""

    def _print_Phi(self, expression: sp.Expr) -> str:
        order, argument = expression.args
        return f"phi_{order}({self._print(argument)})"


def _exact(entries: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
    """Numbers made exact: 0.5 means 1/2."""
    return tuple(sp.nsimplify(entry, rational=True) for entry in entries)


__all__ = ["Orders", "Tableau", "z"]

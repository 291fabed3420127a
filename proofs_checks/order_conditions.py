r"""The orders of a tableau, decided: which condition is the first that a method violates, and by how much.

* *Strong* order. Let a step's mean-square defect be :math:`O(h^{2 q_1})` and its mean defect
  :math:`O(h^{q_2})`, for smooth f with bounded derivatives. Then the strong order is at least
  :math:`\min(q_1 - 1/2,\, q_2 - 1)` (Milstein's fundamental theorem).
* *Weak* order. If :math:`\mathbb{E}\,\varphi(x_t)` is right up to :math:`O(h^{p+1})` for every smooth
  :math:`\varphi` of polynomial growth, the weak order is at least p (Milstein; Talay).
* Order of the *ODE*: trees without noise. *Stiff* order: the conditions of Hochbruck and Ostermann,
  identities in z, under which the error does not depend on the size of the linear part.

What is decided are these local orders. That a run's errors fall no faster for arbitrary smooth f is the
theorem of the book's chapter "What a failed condition costs".

References: Milstein and Tretyakov, Stochastic Numerics for Mathematical Physics (2004), theorems 1.1.1
and 2.2.1; Hochbruck and Ostermann, SIAM J. Numer. Anal. 43 (2005), table 2.1 and theorem 4.7.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from proofs_checks import trees
from proofs_checks.clocks import AnyNoise, ClockStep
from proofs_checks.taylor import (
    NESTED,
    LocalStep,
    Rates,
    Series,
    mean_square_defect,
    weight_defect,
)
from proofs_checks.taylor import rates as rates_of
from proofs_checks.trees import Forest
from seeds_theory.errors import ParameterError
from seeds_theory.exact import SemilinearForm, eta
from seeds_theory.extras import optional_imports
from seeds_theory.phi import Phi
from seeds_theory.tableau import Orders, Tableau, z

with optional_imports():
    import sympy as sp

LIMIT = 4
"""Conditions are examined up to this power of h; no method of the library reaches it."""


@dataclass(frozen=True)
class Defect:
    r"""A violated condition: at this power of h, method minus exact.

    kind is "mean" for a term of :math:`\mathbb{E}\,\varphi` and "path" for the mean square of a term of
    x itself, whose `value` is then that square.
    """

    kind: str
    forest: Forest
    power: int
    value: sp.Expr

    @property
    def differential(self) -> str:
        """The elementary differential that it multiplies, in LaTeX."""
        if self.kind == "path":
            return trees.term(self.forest[0])
        return trees.differential(self.forest)


@cache
def local_step(tableau: Tableau, rates: Rates) -> LocalStep:
    """The step's series, computed once for each content."""
    return ClockStep(tableau, rates) if isinstance(rates, AnyNoise) else LocalStep(tableau, rates)


@cache
def _defect(forest: Forest, tableau: Tableau, rates: Rates, limit: int) -> Series:
    return _nonzero(weight_defect(forest, local_step(tableau, rates), limit))


def _nonzero(terms: Series) -> Series:
    """The terms that do not vanish, in canonical form."""
    return {n: value for n, c in terms.items() if (value := _reduced(c)) != 0}


def _reduced(expression: sp.Expr) -> sp.Expr:
    """A canonical form: 0 if it vanishes."""
    if any(power.exp.is_Integer is False for power in expression.atoms(sp.Pow)):
        expression = sp.radsimp(sp.simplify(expression))
    return sp.factor(expression)


def _reach(step: LocalStep, power: int) -> int:
    """The grade up to which forests have terms at that power: three times it if a stage is singular.

    A weight like 1/h lowers the power of the node below it by one. The row sum is regular, so that node
    has a child, of grade 1/2 at least: of a grade of 3/2 it leaves 1/2. (One stage at most is singular,
    so such nodes do not follow each other.)
    """
    return 3 * power if step.singular else power


def weak_defects(tableau: Tableau, rates: SemilinearForm | Rates, power: int) -> Iterator[Defect]:
    """The terms of the mean that are wrong at this power of h, simple ones first."""
    rates = rates_of(rates)
    for grade in range(1, _reach(local_step(tableau, rates), power) + 1):
        for forest in trees.forests(grade):
            value = _defect(forest, tableau, rates, power).get(power)
            if value is not None:
                yield Defect("mean", forest, power, value)


def path_defects(tableau: Tableau, rates: SemilinearForm | Rates) -> tuple[Defect, ...]:
    """The terms of x_t, of grade 2 at most, that are wrong path by path, each at its first power of h.

    If a stage is singular, f'(f'(e_a)) is among them: below h^4 no other term can be reached.
    """
    step = local_step(tableau, rates_of(rates))
    candidates = [trees.NOISE, *(tree for cost in (2, 3, 4) for tree in trees.trees(cost))]
    if step.singular:
        candidates.append(NESTED)
    found = []
    for tree in candidates:
        lowest = int(2 * trees.grade((tree,)))
        for limit in dict.fromkeys((lowest, LIMIT)):  # higher powers only where the first agrees
            wrong = _nonzero(mean_square_defect(tree, step, limit))
            if wrong:
                power = min(wrong)
                found.append(Defect("path", (tree,), power, wrong[power]))
                break
    return tuple(sorted(found, key=lambda defect: defect.power))


def strong_constant(tableau: Tableau, rates: SemilinearForm | Rates) -> sp.Expr:
    r"""The :math:`\delta^2` of a method: the step errs by :math:`\delta^2 h^3 |f'|^2` in the mean square.

    It is the defect in the average of the path, :math:`\mathbb{E}|\sum b_i W_{c_i} - \int_0^1 W|^2`.
    """
    tree = (trees.NOISE,)
    return _reduced(
        mean_square_defect(tree, local_step(tableau, rates_of(rates)), 3).get(3, sp.Integer(0))
    )


def weak_constant(tableau: Tableau, rates: SemilinearForm | Rates) -> sp.Expr:
    r"""The principal error norm: the sum of :math:`(\mu(\tau)\,\Delta w_\tau)^2` over the first defects."""
    power = weak_order(tableau, rates) + 1
    squares = (
        (trees.multiplicity(defect.forest) * defect.value) ** 2
        for defect in weak_defects(tableau, rates, power)
    )
    return sp.factor(sp.Add(*squares))


@cache
def weak_order(tableau: Tableau, rates: SemilinearForm | Rates) -> int:
    """The weak order, by the conditions on the mean of an arbitrary function.

    For a symbolic eta it is reached at every eta > 0, and exceeded at most at single values of it.
    """
    for power in range(1, LIMIT + 1):
        if next(weak_defects(tableau, rates, power), None) is not None:
            return power - 1
    raise ParameterError(f"{tableau.name!r} satisfies all conditions up to h^{LIMIT}")


@cache
def strong_order(tableau: Tableau, rates: SemilinearForm | Rates) -> Fraction:
    """The strong order, by Milstein's theorem; for a symbolic eta as `weak_order`."""
    return max(strong_order_by(binding_defects(tableau, rates)["strong"]), Fraction(0))


def strong_order_by(defect: Defect) -> Fraction:
    """The strong order that a defect allows, if no other is larger."""
    return Fraction(defect.power - 1, 2 if defect.kind == "path" else 1)


def binding_defects(tableau: Tableau, rates: SemilinearForm | Rates) -> dict[str, Defect]:
    """Which violated condition bounds the strong order, and which the weak order.

    The former is in the mean square ("path") or in the mean of x itself.
    """
    of = rates_of(rates)
    power = weak_order(tableau, of) + 1
    mean = next(
        (
            d
            for n in range(1, LIMIT + 1)
            for d in weak_defects(tableau, of, n)
            if len(d.forest) == 1
        ),
        None,
    )
    candidates = [path_defects(tableau, of)[0], *([mean] if mean else [])]
    weak = next(weak_defects(tableau, of, power))
    return {"strong": min(candidates, key=strong_order_by), "weak": weak}


def fails_at_every_eta(tableau: Tableau, form: SemilinearForm | Rates) -> bool:
    """Whether no eta > 0 has higher orders: of the conditions that bound each, one has no eta in it."""
    of = rates_of(form)
    strong = binding_defects(tableau, of)["strong"].value
    weak = weak_defects(tableau, of, weak_order(tableau, of) + 1)
    return not strong.has(eta) and any(not defect.value.has(eta) for defect in weak)


@dataclass(frozen=True)
class Explanation:
    """Orders, and the condition that bounds each: printed for a terminal, in LaTeX on a notebook's page."""

    orders: dict[str, Fraction]
    bounds: dict[str, Defect]

    def _sentences(self) -> Iterator[tuple[str, Defect]]:
        senses = {"path": "in the mean square", "mean": "in the mean"}
        for kind, defect in self.bounds.items():
            yield f"{kind} order {self.orders[kind]}: {senses[defect.kind]}, ", defect

    def __str__(self) -> str:
        return "\n".join(
            f"{start}{trees.plain(d.differential)} is wrong at h^{d.power} by {d.value}"
            for start, d in self._sentences()
        )

    def _repr_markdown_(self) -> str:
        return "\n".join(
            f"* {start}${d.differential}$ is wrong at $h^{{{d.power}}}$ by ${sp.latex(d.value)}$"
            for start, d in self._sentences()
        )


def explain(tableau: Tableau, form: SemilinearForm | Rates) -> Explanation:
    """The orders of a tableau and why they are not higher, a sentence for each."""
    orders = {"strong": strong_order(tableau, form), "weak": Fraction(weak_order(tableau, form))}
    return Explanation(orders, binding_defects(tableau, form))


@cache
def ode_order(tableau: Tableau, rates: SemilinearForm | Rates) -> int:
    """The order at eta = 0: trees without noise."""
    rates = rates_of(rates)
    rates = Rates(rates.drift.subs(eta, 0), rates.noise)
    for power in range(1, LIMIT + 1):
        reach = _reach(local_step(tableau, rates), power)
        deterministic = (
            (tree,)
            for grade in range(1, reach + 1)
            for tree in trees.trees(2 * grade)
            if trees.noise_leaves(tree) == 0
        )
        if any(power in _defect(tree, tableau, rates, power) for tree in deterministic):
            return power - 1
    raise ParameterError(f"{tableau.name!r} satisfies all conditions up to h^{LIMIT}")


def decided_orders(tableau: Tableau, form: SemilinearForm) -> Orders:
    """Strong, weak and ODE order of a tableau in one prediction: what it should declare."""
    of = rates_of(form)
    return Orders(strong_order(tableau, of), weak_order(tableau, of), ode_order(tableau, of))


_w = sp.Symbol("w", real=True)


def stiff_order(tableau: Tableau) -> int:
    r"""The order at eta = 0 that does not depend on the linear part: 0 to 3.

    The weights are bounded, and the conditions of the highest order need to hold with :math:`b_i(0)`
    only. With :math:`\psi_i(z) = c_i^2 \varphi_2(c_i z) - \sum_k a_{ik}(z)\,c_k` they are: every row
    integrates a constant; :math:`\sum b_i(z)\,c_i = \varphi_2(z)`;
    :math:`\sum b_i(z)\,c_i^2 = 2\varphi_3(z)` and :math:`\sum b_i(w)\,\psi_i(z) = 0`.
    """
    nodes = (sp.Integer(0), *tableau.nodes)
    weights = [row for _, row in tableau.rows]
    if local_step(tableau, Rates(sp.Integer(1), sp.Integer(0))).singular:
        return 0
    constants = [sp.Add(*row) - node * Phi(1, node * z) for node, row in tableau.rows]
    if not all(_vanishes(c) for c in constants):
        return 0
    b = [weight.subs(z, _w) for weight in weights[-1]]

    def moment(power: int) -> sp.Expr:
        powers = (weight * node**power for weight, node in zip(b, nodes, strict=True))
        return sp.Add(*powers) - sp.factorial(power) * Phi(power + 1, _w)

    stages = zip(nodes[1:], weights[:-1], strict=True)
    psi = [
        node**2 * Phi(2, node * z) - sum(a * c for a, c in zip(row, nodes, strict=False))
        for node, row in stages
    ]
    coupled = sp.Add(*(weight * value for weight, value in zip(b[1:], psi, strict=True)))
    second, third = [moment(1)], [moment(2), coupled]
    order = 1
    for conditions in (second, third):
        if not all(_vanishes(c.subs(_w, 0)) for c in conditions):
            return order
        order += 1
        if not all(_vanishes(c) for c in conditions):
            return order
    return order


def _vanishes(expression: sp.Expr) -> bool:
    return bool(sp.simplify(expression.doit()) == 0)

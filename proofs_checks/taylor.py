r"""The stochastic Taylor engine: what one step of a tableau gets right, for an arbitrary smooth F.

Lawson's transformation :math:`x_l = \Phi(\lambda_s, l)\,y_l` turns every semilinear form into

.. math::  dx = f(x, l)\,dl + e^{r (l - \lambda_s)}\,dW_l, \qquad
           f(x, l) = \Phi(\lambda_s, l)\,B(l)\,F(\Phi(l, \lambda_s)\,x, l),

in units of :math:`g(\lambda_s)`, with r the form's noise rate. F is arbitrary and smooth, hence so is f:
nothing is lost. In these variables a tableau is a Runge-Kutta method whose weights are power series in h,

.. math::  \hat a_{ji}(h) = a_{ji}(\zeta h)\,e^{-(c_j - c_i) \zeta h},

and exact solution and step are both sums over trees (`proofs_checks.trees`): in the mean

.. math::  \mathbb{E}\,\varphi(x_t) = \sum_\tau \mu(\tau)\,w_\tau(h)\,\mathcal{F}(\tau)[\varphi],

with nested integrals of covariances for the exact weight w, nested sums over stages for the
method's. As the elementary differentials of an arbitrary f are independent, the defect vanishes iff
every weight agrees. All weights are computed in exact arithmetic, for symbolic nodes and eta.
Claims: ``taylor-*``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property

from proofs_checks import trees
from proofs_checks.trees import TIME, Forest, Tree
from seeds_theory.errors import ParameterError, TableauError
from seeds_theory.exact import SemilinearForm, eta
from seeds_theory.extras import optional_imports
from seeds_theory.noise import Functional, h
from seeds_theory.phi import DampedPhi, Phi, taylor
from seeds_theory.tableau import Tableau, z

with optional_imports():
    import sympy as sp

Series = dict[int, sp.Expr]
"""Coefficients of the powers of h; a weight that is singular at h = 0 has negative powers."""

TERMS = 4
"""Powers of h that are kept in each weight, from 0: enough for conditions up to h^4."""

within = sp.Symbol("x", nonnegative=True)
"""Time within the step, over h."""


@dataclass(frozen=True)
class Rates:
    """What the engine needs to know of an SDE: zeta, the rate of the drift kernel, and r, of the noise."""

    drift: sp.Expr
    noise: sp.Expr


PLAIN = Rates(sp.Integer(0), sp.Integer(0))
"""An SDE without a linear part and with constant noise: the setting of classical methods."""


def rates(form: SemilinearForm | Rates, eta_value: sp.Expr = eta) -> Rates:
    """The rates of a semilinear form, for every eta or for one; rates are returned as they are."""
    if isinstance(form, Rates):
        return form
    if not isinstance(form, SemilinearForm):
        raise ParameterError(
            f"orders are of a form, DATA or NOISE of seeds_theory.exact; got {form!r}"
        )
    return Rates(form.drift_rate.subs(eta, eta_value), form.noise_rate.subs(eta, eta_value))


def series(expression: sp.Expr) -> Series:
    """The Laurent series in h of an expression in h, exp, `Phi` and roots of these, up to TERMS - 1.

    Raises
    ------
    ParameterError : the expression has no such series, as the root of h has none, or it contains a
        rounded number.
    """
    if expression.has(sp.Float):
        raise ParameterError(f"orders are decided in exact arithmetic; got {expression}")
    return _expanded(expression.replace(DampedPhi, lambda k, x: sp.exp(-x) * Phi(k, x)), TERMS - 1)


def _expanded(expression: sp.Expr, limit: int) -> Series:
    if not expression.has(h):
        return {0: expression}
    if expression.is_Add:
        return add(_expanded(term, limit) for term in expression.args)
    if expression.is_Mul:
        return _expanded_product(expression, limit)
    if expression.func in (sp.exp, Phi):
        k, argument = (0, *expression.args) if expression.func is sp.exp else expression.args
        rate = sp.expand(argument / h)
        if not rate.has(h):
            return {n: sp.expand(rate**n / sp.factorial(n + int(k))) for n in range(limit + 1)}
    if expression.is_Pow and expression.exp.is_Integer and expression.exp > 0:
        return product((_expanded(expression.base, limit),) * int(expression.exp), limit)
    if expression == h:
        return {1: sp.Integer(1)}
    if expression.is_Pow and abs(expression.exp) in (1, sp.Rational(1, 2)):
        base = _expanded(expression.base, limit)
        if _starts_constant(base):
            base = base if expression.exp.is_Integer else _root(base, limit)
            return base if expression.exp > 0 else _inverse(base, limit)
    return _by_sympy(expression, limit)


def _starts_constant(base: Series) -> bool:
    return min((n for n, c in base.items() if c != 0), default=1) == 0


def _root(base: Series, limit: int) -> Series:
    """The square root of a series that starts with a constant, term by term."""
    root = {0: sp.sqrt(base[0])}
    for n in range(1, limit + 1):
        lower = (root[k] * root[n - k] for k in range(1, n))
        root[n] = sp.factor((base.get(n, sp.Integer(0)) - sp.Add(*lower)) / (2 * root[0]))
    return root


def _inverse(base: Series, limit: int) -> Series:
    """The reciprocal of a series that starts with a constant, term by term."""
    inverse = {0: 1 / base[0]}
    for n in range(1, limit + 1):
        lower = (base.get(k, sp.Integer(0)) * inverse[n - k] for k in range(1, n + 1))
        inverse[n] = sp.factor(-sp.Add(*lower) / base[0])
    return inverse


def _expanded_product(expression: sp.Expr, limit: int) -> Series:
    """Factors apart, to as many more terms as the poles among them take away; roots together."""
    power, factors = sp.Integer(0), []
    roots = sp.Integer(1)
    for factor in expression.args:
        base, exponent = factor.as_base_exp()
        if base == h:
            power += exponent
        elif factor.is_Pow and not exponent.is_Integer and not _starts_constant(_expanded(base, 0)):
            roots *= factor**2
        else:
            factors.append(factor)
    if not power.is_Integer:
        roots, power = roots * h ** (2 * power), sp.Integer(0)
    expanded = [_expanded(factor, limit - min(int(power), 0)) for factor in factors]
    if roots != 1:
        expanded.append(_by_sympy(sp.sqrt(roots), limit - min(int(power), 0)))
    return product([*expanded, {int(power): sp.Integer(1)}], limit)


def _by_sympy(expression: sp.Expr, limit: int) -> Series:
    closed = expression.replace(Phi, lambda k, x: taylor(int(k), x, limit + 4))
    polynomial = sp.series(closed, h, 0, limit + 1).removeO()
    powers = [term.as_coeff_exponent(h) for term in sp.Add.make_args(sp.expand(polynomial))]
    if any(c.has(h) or not n.is_Integer for c, n in powers):
        raise ParameterError(f"no series in integer powers of h: {expression}")
    return {n: c for n, c in add({int(n): c} for c, n in powers).items() if n <= limit}


def product(factors: Iterable[Series], limit: int) -> Series:
    """The product of series, without powers above the limit."""
    pending = list(factors)
    lowest = [min(factor, default=0) for factor in pending]
    total: Series = {0: sp.Integer(1)}
    for done, factor in enumerate(pending, start=1):
        most = limit - sum(lowest[done:])  # higher powers cannot come back below the limit
        result: Series = {}
        for (i, a), (j, b) in itertools.product(total.items(), factor.items()):
            if i + j <= most:
                result[i + j] = result.get(i + j, sp.Integer(0)) + a * b
        total = {power: c for power, term in result.items() if (c := sp.expand(term)) != 0}
    return total


class LocalStep:
    """One step of a tableau in Lawson's variables, as power series in h.

    Parameters
    ----------
    tableau : its nodes may be symbols; symbolic nodes are taken to ascend as listed.
    rates : of the SDE, see `rates` and `PLAIN`; a rate may contain the symbol eta.

    Raises
    ------
    TableauError : weights grow as h -> 0, other than in one stage and like 1/h.
    """

    def __init__(self, tableau: Tableau, rates: Rates) -> None:
        if not isinstance(tableau, Tableau):
            raise TableauError(
                f"orders are of a Tableau, as method('seeds-2') gives; got {tableau!r}"
            )
        self.tableau, self.rates = tableau, rates
        self.nodes = (sp.Integer(0), *tableau.nodes, sp.Integer(1))
        self._cuts = tableau.cuts
        self.end = len(self.nodes) - 1
        lowest = [min((min(w, default=0) for w in row), default=0) for row in self.weights]
        if lowest[-1] < 0 or sum(lowest) < -1:
            raise TableauError(
                f"the weights of {tableau.name!r} are singular at h = 0: beyond a single stage with "
                "weights like 1/h, no order is decided"
            )
        self.singular = sum(lowest) < 0

    @cached_property
    def weights(self) -> tuple[tuple[Series, ...], ...]:
        """Row by row, from the first stage (empty) to the end: the weight of f at each stage, over h."""
        rows = [
            tuple(
                series(
                    weight.subs(z, self.rates.drift * h)
                    * sp.exp(-(node - self.nodes[i]) * self.rates.drift * h)
                )
                for i, weight in enumerate(weights)
            )
            for node, weights in self.tableau.rows
        ]
        return ((), *rows)

    @cached_property
    def intensity(self) -> Series:
        """The noise's intensity along the step, over that at its start: polynomials in x."""
        return series(sp.exp(self.rates.noise * within * h))

    def exact_weight(self, forest: Forest, limit: int) -> Series:
        """The mean of a forest along the exact solution: powers of h up to the limit."""
        return exact_weight(forest, self.rates.noise, limit)

    @cached_property
    def _kernels(self) -> tuple[dict[tuple[int, int], Series], ...]:
        """Row by row: the kernel of the noise on each (path, interval), polynomials in x."""
        noises = self.tableau.noises(self.rates.noise)
        times = self.nodes[1:]
        return ({}, *(self._kernel(n, c) for n, c in zip(noises, times, strict=True)))

    def _kernel(self, noise: Functional, node: sp.Expr) -> dict[tuple[int, int], Series]:
        kernel: dict[tuple[int, int], sp.Expr] = {}
        ends = self._cuts[1:]
        for moment, weight in noise.terms.items():
            distance = (ends[moment.interval] - within) * h
            kernel_at = moment.kernel(distance, self.tableau.lengths[moment.interval])
            term = sp.exp(self.rates.noise * node * h) * weight * kernel_at
            place = (moment.path, moment.interval)
            kernel[place] = kernel.get(place, sp.Integer(0)) + term
        return {place: series(expression) for place, expression in kernel.items()}

    @cached_property
    def covariance(self) -> dict[tuple[int, int], Series]:
        """Covariances over h of the noises of two rows."""
        found = {}
        rows = range(1, self.end + 1)
        for i, j in itertools.combinations_with_replacement(rows, 2):
            shared = self._kernels[i].keys() & self._kernels[j].keys()
            pieces = [
                self._integral(product((self._kernels[i][p], self._kernels[j][p]), TERMS), p[1])
                for p in sorted(shared)
            ]
            found[i, j] = found[j, i] = add(pieces)
        return found

    def leading_covariance(self, i: int, j: int) -> sp.Expr:
        """The covariance over h of the noises of two rows, as h -> 0."""
        one, two = (
            {p: k.get(0, sp.Integer(0)) for p, k in self._kernels[n].items()} for n in (i, j)
        )
        # Factored: with symbolic nodes the kernels are quotients of long polynomials.
        pieces = (
            self._integral({0: sp.expand(sp.factor(one[p]) * sp.factor(two[p]))}, p[1])[0]
            for p in sorted(one.keys() & two.keys())
        )
        return sp.Add(*pieces)

    def _integral(self, integrand: Series, interval: int) -> Series:
        start, stop = self._cuts[interval : interval + 2]
        return {n: _definite(c, start, stop) for n, c in integrand.items()}

    def with_path(self, row: int) -> list[tuple[sp.Expr, sp.Expr, Series]]:
        """Covariances over h of a row's noise with the solution's own, at time x: (from, to, series)."""
        own = self.intensity
        before: Series = {}
        pieces = []
        for interval, (start, stop) in enumerate(itertools.pairwise(self._cuts)):
            kernel = product((self._kernels[row].get((0, interval), {}), own), TERMS)
            partial = {n: _definite(c, start, within) for n, c in kernel.items()}
            pieces.append((start, stop, add([before, partial])))
            before = add([before, self._integral(kernel, interval)])
        return pieces


def add(terms: Iterable[Series]) -> Series:
    """The sum of series."""
    total: Series = {}
    for term in terms:
        for power, c in term.items():
            total[power] = total.get(power, sp.Integer(0)) + c
    return {power: sp.expand(c) for power, c in total.items()}


def _definite(polynomial: sp.Expr, start: sp.Expr, stop: sp.Expr) -> sp.Expr:
    antiderivative = sp.Poly(polynomial, within).integrate().as_expr()
    return sp.expand(antiderivative.subs(within, stop) - antiderivative.subs(within, start))


@dataclass(frozen=True)
class Layout:
    """A contracted forest, flattened: nodes f numbered children after parents, -1 the root."""

    parents: tuple[int, ...]
    times: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]


@cache
def flattened(forest: Forest) -> Layout:
    """The nodes and pairs of a contracted forest, numbered."""
    parents: list[int] = []
    times: list[int] = []
    leaves: dict[int, list[int]] = {}

    def visit(children: Forest, here: int) -> None:
        for child in children:
            if isinstance(child, tuple):
                parents.append(here)
                times.append(child.count(TIME))
                visit(child, len(parents) - 1)
            elif child != TIME:
                leaves.setdefault(child, []).append(here)

    visit(forest, -1)
    return Layout(tuple(parents), tuple(times), tuple((a, b) for a, b in leaves.values()))


def exact_weight(forest: Forest, noise_rate: sp.Expr, limit: int) -> Series:
    r"""The mean of a forest along the exact solution: powers of h up to the limit.

    A pair of leaves contributes the covariance :math:`\sum_n (2r)^n x^{n+1} h^{n+1}/(n+1)!` at the earlier of
    its two times x.
    """
    return clocked_weight(forest, [(2 * noise_rate) ** n for n in range(limit + 1)], limit)


def clocked_weight(forest: Forest, growth: Sequence[sp.Expr], limit: int) -> Series:
    """The same for a noise of any variance, the derivatives of whose rate at the start are given.

    Every node is integrated from 0 to its parent's time.
    """
    layout, base = flattened(forest), int(trees.grade(forest))
    count, total = len(layout.parents), dict.fromkeys(range(base, limit + 1), sp.Integer(0))
    powers = range(limit - base + 1)
    for order in itertools.permutations(range(count)):
        rank = {-1: count} | {node: position for position, node in enumerate(order)}
        if any(rank[node] > rank[parent] for node, parent in enumerate(layout.parents)):
            continue
        earlier = [min(rank[a], rank[b]) for a, b in layout.pairs]
        for extra in itertools.product(powers, repeat=len(earlier)):
            if base + sum(extra) > limit:
                continue
            exponents = [layout.times[node] for node in order] + [0]
            for position, n in zip(earlier, extra, strict=True):
                exponents[position] += n + 1
            # The integral of x_1^a ... x_n^z over 0 < x_1 < ... < x_n < 1.
            sums = itertools.accumulate(exponent + 1 for exponent in exponents[:-1])
            value = Fraction(1, math.prod(sums) * math.prod(math.factorial(n + 1) for n in extra))
            total[base + sum(extra)] += sp.Rational(value) * sp.Mul(*(growth[n] for n in extra))
    return {power: sp.expand(c) for power, c in total.items()}


def method_weight(forest: Forest, step: LocalStep, limit: int) -> Series:
    """The mean of a forest along one step of a method: every node is summed over the stages."""
    layout = flattened(forest)
    h_powers: Series = {len(layout.parents) + sum(layout.times) + len(layout.pairs): sp.Integer(1)}
    terms = []
    for stages in itertools.product(range(step.end), repeat=len(layout.parents)):
        at = {-1: step.end} | dict(enumerate(stages))
        factors = [h_powers]
        for node, parent in enumerate(layout.parents):
            row = step.weights[at[parent]]
            factors.append(row[at[node]] if at[node] < len(row) else {})
            factors.append({0: step.nodes[at[node]] ** layout.times[node]})
        factors += [step.covariance.get((at[a], at[b]), {}) for a, b in layout.pairs]
        if all(factors):
            terms.append(product(factors, limit))
    return add(terms)


def weight_defect(forest: Forest, step: LocalStep, limit: int) -> Series:
    """What one step gets wrong in the mean of a forest: method minus exact."""
    exact = step.exact_weight(forest, limit)
    return add([method_weight(forest, step, limit), {n: -c for n, c in exact.items()}])


NESTED: Tree = ((trees.NOISE,),)
"""f'(f'(e_a)): what a stage with a singular weight makes of the noise of an earlier one."""


def mean_square_defect(tree: Tree, step: LocalStep, limit: int) -> Series:
    r"""The mean square of the defect in a term of x_t itself: powers of h up to the limit.

    Each noise leaf of the tree stands for a component of its own, so the figure vanishes iff the term
    agrees path by path. The tree has no noise, or at most one node, or it is f'(f'(e_a)), of which only
    the method's own part is found: what a singular weight leaves of it below h^5.
    """
    leaves = tuple(range(1, trees.noise_leaves(tree) + 1))
    if tree == NESTED:
        own = method_weight((NESTED, NESTED), step, limit)
        return {n: c for n, c in own.items() if n < 2 * trees.grade((NESTED,))}
    if not leaves:
        defect = weight_defect((tree,), step, limit)
        return product((defect, defect), limit)
    times = tree.count(TIME) if isinstance(tree, tuple) else 0
    copy = (*(TIME,) * times, *leaves) if isinstance(tree, tuple) else 1
    twice = (copy, copy)
    both = [step.exact_weight(twice, limit), method_weight(twice, step, limit)]
    power = int(trees.grade(twice))
    cross = _cross_covariance(isinstance(tree, tuple), times, len(leaves), step, limit - power)
    return add([*both, product(({power: sp.Integer(-2)}, cross), limit)])


def _cross_covariance(node: bool, times: int, leaves: int, step: LocalStep, limit: int) -> Series:
    """Exact times method: the mean of the product of one term's weights, over its power of h."""
    if not node:
        *_, (_, stop, last) = step.with_path(step.end)
        return {n: c.subs(within, stop) for n, c in last.items()}
    terms = []
    for stage, weight in enumerate(step.weights[step.end]):
        lost = min(0, min(weight, default=0))  # a weight like 1/h needs one power more of the rest
        for start, stop, shared in step.with_path(stage):
            integrand = product(({0: within**times}, *(shared,) * leaves), limit - lost)
            integral = {n: _definite(c, start, stop) for n, c in integrand.items()}
            terms.append(product(({0: step.nodes[stage] ** times}, weight, integral), limit))
    return add(terms)

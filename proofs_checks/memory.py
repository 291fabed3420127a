r"""Order conditions of methods with memory: what the last of N steps gets wrong, for an arbitrary smooth f.

The steps are those that the shipped code takes, start-up included (`proofs_checks.memory_trace`): calls and
states are rows of one large tableau. The *local defect* of step N compares its end with the exact solution
from the *method's own* state before it, on the same path,

.. math::  \mathbb{E}\,\varphi(\hat x_N) - \mathbb{E}\,\varphi(x^\circ_N), \qquad
           x^\circ = \hat x_{N-1} + \int f(x^\circ_l, l)\,dl + \text{noise},

whatever was wrong before: these differences are what telescopes in a run. Both means are sums over the trees
of `proofs_checks.trees`. For the method each node is summed over the calls. For :math:`x^\circ` a node that
hangs on the root, or on such a node, is integrated over the last step, or belongs to the state before; all
that is below a call is summed. Coefficients are exact, for rational or symbolic step ratios and eta. Claims:
``memory-*``.

References: Buckwar and Winkler, SIAM J. Numer. Anal. 44 (2006), on the strong order of stochastic multistep
methods; Hochbruck and Ostermann, Acta Numerica 19 (2010).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache, cached_property

from proofs_checks import laurent, trees
from proofs_checks.laurent import ZERO, Laurent, Scalar, constant, monomial
from proofs_checks.memory_trace import Record, Row, Symbol, share
from proofs_checks.order_conditions import Defect, strong_order_by
from proofs_checks.taylor import flattened
from proofs_checks.trees import TIME, Forest, Tree
from seeds_theory.errors import ParameterError
from seeds_theory.extras import optional_imports

with optional_imports():
    import sympy as sp
    from sympy import QQ

Polynomial = list[Laurent]
"""Coefficients of the powers of the time within the last step, which itself counts one power of h."""

ROOT = -1

_LIMIT = 3
"""Conditions in the mean are examined up to this power of h; no method of the library reaches it."""

_ODE_LIMIT = 5
"""And those without noise up to this one."""


class MemoryStep:
    """Step `number` (1 is the first) of a run, and the calls and states before it.

    Parameters
    ----------
    record : of the run. number : of the step.
    """

    def __init__(self, record: Record, number: int) -> None:
        self.record, self.calls = record, record.calls
        self.before, self.after = record.states[number - 1 : number + 1]
        self.number, self.length = number, record.ratios[number - 1]
        self._covariances: dict[tuple[int, int], Laurent] = {}
        self._known: dict[Tree, list[Laurent]] = {}

    # ------------------------------------------------------------------------------------- in the mean

    def mean_defect(self, forest: Forest, power: int) -> Scalar:
        """What the step gets wrong in the mean of a forest: the coefficient of that power of h."""
        terms = power - int(trees.grade(forest)) + 1
        if terms < 1:
            return QQ(0)
        wrong = self._method(forest, terms) - self._exact(forest, terms)
        return wrong.coefficient(power)

    def method_weight(self, forest: Forest, power: int) -> Scalar:
        """The mean of a forest after the step, of the whole run: the coefficient of that power of h."""
        return self._method(forest, power - int(trees.grade(forest)) + 1).coefficient(power)

    def _method(self, forest: Forest, terms: int) -> Laurent:
        layout = flattened(forest)
        total = ZERO
        for calls, weight in self._summed(
            forest, range(len(layout.parents)), {ROOT: self.after}, terms
        ):
            for a, b in layout.pairs:
                rows = (self._row(place, calls, self.after) for place in (a, b))
                weight = weight * self.covariance(*rows).truncated(1 + terms)
            total = total + weight
        return total

    def _exact(self, forest: Forest, terms: int) -> Laurent:
        layout = flattened(forest)
        nodes = range(len(layout.parents))
        total = ZERO
        for fresh in _open_sets(layout.parents):
            below = dict.fromkeys((ROOT, *fresh), self.before)
            rest = [node for node in nodes if node not in fresh]
            for calls, weight in self._summed(forest, rest, below, terms):
                pairs, shared = [], weight
                for a, b in layout.pairs:
                    rows = (self._row(place, calls, self.before) for place in (a, b))
                    carried = self.covariance(*rows).truncated(1 + terms)
                    if a in calls or b in calls:  # what is new of the path is independent of it
                        shared = shared * carried
                    else:
                        pairs.append((a, b, carried))
                if shared.coefficients:
                    times = {node: layout.times[node] for node in fresh}
                    total = total + shared * self._integrated(times, layout.parents, pairs, terms)
        return total

    def _summed(
        self, forest: Forest, nodes: Sequence[int], below: Mapping[int, Row], terms: int
    ) -> Iterator[tuple[dict[int, int], Laurent]]:
        """All ways to put these nodes at calls, with their weight; `below`: the rows of the other parents."""
        layout = flattened(forest)

        def extend(
            place: int, calls: dict[int, int], weight: Laurent
        ) -> Iterator[tuple[dict[int, int], Laurent]]:
            if place == len(nodes):
                yield calls, weight
                return
            node = nodes[place]
            parent = layout.parents[node]
            row = below[parent] if parent in below else self.calls[calls[parent]]
            for call, entry in enumerate(row.weights):
                if entry.start < 1:
                    raise ParameterError(f"a weight does not vanish with h: {entry}")
                factor = entry.truncated(1 + terms)
                for _ in range(layout.times[node]):
                    factor = factor * self.calls[call].time.truncated(1 + terms)
                if factor.coefficients:
                    yield from extend(place + 1, {**calls, node: call}, weight * factor)

        yield from extend(0, {}, constant(1))

    def _row(self, place: int, calls: Mapping[int, int], root: Row) -> Row:
        return self.calls[calls[place]] if place in calls else root

    def _integrated(
        self,
        times: Mapping[int, int],
        parents: Sequence[int],
        pairs: Sequence[tuple[int, int, Laurent]],
        terms: int,
    ) -> Laurent:
        """The integral of nodes over the last step, each up to its parent's time, with pairs among them."""
        total = ZERO
        for order in itertools.permutations(times):
            rank = {ROOT: len(order)} | {node: i for i, node in enumerate(order)}
            if any(rank[node] > rank[parents[node]] for node in order):
                continue
            integrands = [_power([self.before.time, constant(1)], times[node]) for node in order]
            integrands.append([constant(1)])
            for a, b, carried in pairs:
                at = min(rank[a], rank[b])
                new = [c.truncated(terms) for c in self._path[: terms + 1]]
                integrands[at] = _times(integrands[at], [carried, *new[1:]])
            inner: Polynomial = [constant(1)]
            for integrand in integrands[:-1]:
                inner = _integral(_times(integrand, inner))
            total = total + _at(_times(integrands[-1], inner), self._end)
        return total

    @cached_property
    def _end(self) -> Laurent:
        return monomial(self.length, 1)

    @cached_property
    def _path(self) -> Polynomial:
        """The variance of the path since the last step began, over 2 eta, at the times within it."""
        rate = 2 * self.record.eta
        start = laurent.exp(rate * self.before.time) if rate else constant(1)
        factors = [constant(1)]
        for n in range(1, _LIMIT):
            factors.append(factors[-1] * rate * QQ(1, n + 1))
        return [ZERO, *(start * factor for factor in factors)]

    def covariance(self, one: Row, other: Row) -> Laurent:
        """Of the noises of two rows, over 2 eta."""
        key = (id(one), id(other))
        if key not in self._covariances:
            total = ZERO
            for symbol in one.noise.keys() & other.noise.keys():
                total = total + one.noise[symbol] * other.noise[symbol] * self.variance(symbol)
            self._covariances[key] = total
        return self._covariances[key]

    def variance(self, symbol: Symbol) -> Laurent:
        """Of a unit of noise."""
        kind, step, degree = symbol
        return monomial(self.record.ratios[step] * share(degree if kind == "z" else 0), 1)

    # -------------------------------------------------------------------------------- without any noise

    def defect_without_noise(self, tree: Tree, power: int) -> Scalar:
        """The same for a tree without noise leaves, at any power, node by node."""
        polynomial = self._along(tree)
        wrong = self._at(tree, self.after) - _at(polynomial, self._end)
        return wrong.coefficient(power)

    def _at(self, tree: Tree, row: Row) -> Laurent:
        """The weight of a tree in a row."""
        values = self._values(tree)
        return sum((w * values[i] for i, w in enumerate(row.weights)), ZERO)

    def _values(self, tree: Tree) -> list[Laurent]:
        """What the node of a tree is at each call, over its derivative."""
        if tree not in self._known:
            self._known[tree] = [
                math.prod(
                    (call.time if child == TIME else self._at(child, call) for child in tree),
                    start=constant(1),
                )
                for call in self.calls
            ]
        return self._known[tree]

    def _along(self, tree: Tree) -> Polynomial:
        """The weight of a tree in the exact solution from the state before, at the times within the step."""
        integrand: Polynomial = [constant(1)]
        for child in tree:
            along = [self.before.time, constant(1)] if child == TIME else self._along(child)
            integrand = _times(integrand, along)
        start, *rest = _integral(integrand)
        return [start + self._at(tree, self.before), *rest]

    # ------------------------------------------------------------------- path by path, to leading order

    def path_defect(self, tree: Tree) -> tuple[int, Scalar]:
        """The power of h and the coefficient of the mean square of what is wrong in a term of the state.

        For e_a, f'(e_a) and f''(e_a, e_b), in units of 2 eta for each leaf; the last two to leading order.
        """
        if tree == trees.NOISE:
            return self._noise_defect()
        if tree == (trees.NOISE,):
            return 3, self.average_defect(self.number - 1)
        if tree == (trees.NOISE, trees.NOISE):
            return 4, self._square_defect()
        raise ParameterError(f"no mean square is known of {trees.term(tree)}")

    def _noise_defect(self) -> tuple[int, Scalar]:
        exact = self._path_noise(self.number)
        total = ZERO
        for symbol in self.after.noise.keys() | exact.keys():
            wrong = self.after.noise.get(symbol, ZERO) - exact.get(symbol, ZERO)
            total = total + wrong * wrong * self.variance(symbol)
        return total.start, total.coefficients[0] if total.coefficients else QQ(0)

    def _path_noise(self, number: int) -> dict[Symbol, Laurent]:
        """The path at the end of that step, in units of the steps: their exact normals, each in its unit."""
        rate, found = 2 * self.record.eta, {}
        ends = itertools.accumulate(self.record.ratios)
        for step, (end, length) in enumerate(
            itertools.islice(zip(ends, self.record.ratios, strict=True), number)
        ):
            ratio = laurent.phi(1, -rate * monomial(length, 1))
            found["z", step, 0] = laurent.exp(rate * monomial(end * QQ(1, 2), 1)) * laurent.root(
                ratio
            )
        return found

    def average_defect(self, since: int) -> Scalar:
        """Of f'(e_a): the mean square over h^3 of what steps after number `since` got wrong, to this one.

        The calls' noises stand against averages of the path, which two units of each step give.
        """
        wrong: dict[Symbol, Scalar] = {}

        def add(noise: Mapping[Symbol, Laurent], weight: Scalar) -> None:
            for symbol, entry in noise.items():
                wrong[symbol] = wrong.get(symbol, QQ(0)) + weight * entry.coefficient(0)

        states, lengths = self.record.states, self.record.ratios
        for row, sign in ((self.after, 1), (states[since], -1)):
            for call, weight in zip(self.calls, row.weights, strict=False):
                add(call.noise, sign * weight.coefficient(1))
        for step in range(since, self.number):
            add(states[step].noise, -lengths[step])
            add({("z", step, 0): constant(1)}, -lengths[step] * QQ(1, 2))
            add({("z", step, 1): constant(1)}, -lengths[step])
        return sum((w * w * self.variance(s).coefficient(1) for s, w in wrong.items()), QQ(0))

    def _square_defect(self) -> Scalar:
        """Of f''(e_a, e_b): products of two components of the calls' noises against those of the path."""
        change = [(call, b - a) for call, a, b in self._both_weights() if (b - a).coefficients]
        total = ZERO
        for (i, v), (j, w) in itertools.product(change, repeat=2):
            shared = self.covariance(self.calls[i], self.calls[j])
            total = total + v * w * shared * shared
        for call, weight in change:
            along = self._with_path(self.calls[call])
            total = total - 2 * weight * _at(_integral(_times(along, along)), self._end)
        own = [self.covariance(self.before, self.before), constant(1)]
        twice = _integral(_integral(_times(own, own)))  # over the square, half of it
        return (total + 2 * _at(twice, self._end)).coefficient(4)

    def _with_path(self, row: Row) -> Polynomial:
        """To leading order, the covariance of a row's noise with the path at the times within the step."""
        value, slope = (row.noise.get(("z", self.number - 1, degree), ZERO) for degree in (0, 1))
        carried = self.covariance(row, self.before)
        return [carried, value + slope * QQ(1, 2), -slope / (2 * self._end)]

    def _both_weights(self) -> Iterator[tuple[int, Laurent, Laurent]]:
        """The weights of each call in the state before the step, and after it."""
        pairs = itertools.zip_longest(self.before.weights, self.after.weights, fillvalue=ZERO)
        return ((call, before, after) for call, (before, after) in enumerate(pairs))


def _open_sets(parents: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """All sets of nodes that hold the parent, unless it is the root, of each of their nodes."""
    nodes = range(len(parents))
    for count in range(len(parents) + 1):
        for chosen in itertools.combinations(nodes, count):
            if all(parents[node] in (ROOT, *chosen) for node in chosen):
                yield chosen


def _times(one: Polynomial, other: Polynomial) -> Polynomial:
    product: Polynomial = [ZERO] * (len(one) + len(other) - 1)
    for (i, a), (j, b) in itertools.product(enumerate(one), enumerate(other)):
        product[i + j] = product[i + j] + a * b
    return product


def _power(base: Polynomial, exponent: int) -> Polynomial:
    return functools.reduce(_times, [base] * exponent, [constant(1)])


def _integral(integrand: Polynomial) -> Polynomial:
    """From 0 on."""
    return [ZERO, *(c * QQ(1, n) for n, c in enumerate(integrand, start=1))]


def _at(polynomial: Polynomial, time: Laurent) -> Laurent:
    total = ZERO
    for c in reversed(polynomial):
        total = total * time + c
    return total


# ----------------------------------------------------------------------------------------------- orders


@cache
def at_step(record: Record, number: int = 0) -> MemoryStep:
    """A step of a run; the last one for 0."""
    return MemoryStep(record, number or len(record.ratios))


def weak_defects(step: MemoryStep, power: int) -> Iterator[Defect]:
    """The terms of the mean that the step gets wrong at this power of h, simple ones first."""
    for grade in range(1, power + 1):
        for forest in trees.forests(grade):
            value = step.mean_defect(forest, power)
            if value != 0:
                yield Defect("mean", forest, power, as_expression(value))


def ode_defects(step: MemoryStep, power: int) -> Iterator[Defect]:
    """The terms of the state without noise that it gets wrong."""
    for grade in range(1, power + 1):
        for tree in trees.trees(2 * grade):
            if not trees.noise_leaves(tree):
                value = step.defect_without_noise(tree, power)
                if value != 0:
                    yield Defect("mean", (tree,), power, as_expression(value))


def first_mean_defect(step: MemoryStep) -> Defect:
    """The first violated condition in the mean: it bounds the weak order."""
    return _first(weak_defects, step, _LIMIT)


def first_ode_defect(step: MemoryStep) -> Defect:
    """The first violated condition without noise."""
    return _first(ode_defects, step, _ODE_LIMIT)


def first_strong_defect(step: MemoryStep) -> Defect:
    """The violated condition that bounds the strong order, in the mean square or in the mean of the state.

    No method goes beyond f''(e_a, e_b) at h^4 in the mean square, which h^3 in the mean does not lower.
    """
    terms = (trees.NOISE, (trees.NOISE,), (trees.NOISE, trees.NOISE))
    wrong = ((tree, *step.path_defect(tree)) for tree in terms)
    found = [Defect("path", (t,), n, as_expression(value)) for t, n, value in wrong if value != 0]
    alone = (d for power in (1, 2) for d in weak_defects(step, power) if len(d.forest) == 1)
    found += itertools.islice(alone, 1)
    if not found:
        raise ParameterError("all conditions up to h^4 hold in the mean square")
    return min(found, key=strong_order_by)


def weak_order_of_run(record: Record) -> int:
    """The weak order of a run all of whose steps are like its last one, but for those before it.

    What is wrong at a power of h once is wrong by that power at the end; in every step, by one less.
    """
    return _order_of_run(record, weak_defects, first_mean_defect(at_step(record)).power - 1)


def ode_order_of_run(record: Record) -> int:
    """The order of a run at eta = 0, likewise."""
    return _order_of_run(record, ode_defects, first_ode_defect(at_step(record)).power - 1)


def strong_order_of_run(record: Record) -> Fraction:
    """The strong order of a run, likewise: once, a mean square counts half its power."""
    *first, last = (at_step(record, number) for number in range(1, len(record.ratios) + 1))
    once = (
        Fraction(defect.power, 2 if defect.kind == "path" else 1)
        for defect in map(first_strong_defect, first)
    )
    return min((strong_order_by(first_strong_defect(last)), *once))


_Search = Callable[[MemoryStep, int], Iterator[Defect]]


def _order_of_run(record: Record, search: _Search, order: int) -> int:
    """The order, or the lowest power below it at which a step before the last one is wrong."""
    first = [at_step(record, number) for number in range(1, len(record.ratios))]
    lower = (power for power in range(1, order) if any(any(search(step, power)) for step in first))
    return next(lower, order)


def _first(search: _Search, step: MemoryStep, limit: int) -> Defect:
    found = (defect for power in range(1, limit + 1) for defect in search(step, power))
    first = next(found, None)
    if first is None:
        raise ParameterError(f"all conditions up to h^{limit} hold")
    return first


def as_expression(value: Scalar) -> sp.Expr:
    """A coefficient as an expression."""
    if hasattr(value, "as_expr"):
        return sp.factor(value.as_expr())
    return sp.Rational(int(value.numerator), int(value.denominator))

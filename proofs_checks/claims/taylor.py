"""Chapter "Order conditions": the Taylor engine, checked and applied to every tableau."""

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import sympy as sp

from proofs_checks import trees
from proofs_checks.ledger import Evidence, Verdict, claim, measure_at_most, prove
from proofs_checks.order_conditions import (
    LIMIT,
    decided_orders,
    fails_at_every_eta,
    ode_order,
    path_defects,
    stiff_order,
    strong_constant,
    strong_order,
    weak_constant,
    weak_defects,
    weak_order,
)
from proofs_checks.published import CLASSICAL, etd_3, independent_stages, lawson_2
from proofs_checks.taylor import (
    PLAIN,
    LocalStep,
    Rates,
    Series,
    exact_weight,
    method_weight,
    rates,
)
from proofs_checks.trees import TIME, Forest
from seeds_theory.exact import DATA, NOISE, SemilinearForm, diffusion, eta, lam, lam_s
from seeds_theory.formula import step_formula
from seeds_theory.methods import METHODS, SEEDS, method, symbolic
from seeds_theory.noise import h
from seeds_theory.phi import Phi, taylor
from seeds_theory.tableau import Orders, z

HERE = "this project"
FORMS = (DATA, NOISE)
c2, c3 = sp.symbols("c_2 c_3", positive=True)
half, third = sp.Rational(1, 2), sp.Rational(1, 3)


@claim(
    "taylor-lawson",
    r"In Lawson's variables every row of every method is $x_j = x_s + h\sum_i a_{ji}(\zeta h)\,"
    r"e^{-(c_j-c_i)\zeta h} f(x_i) + e^{r c_j h} N_j$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = []
    for form, name in itertools.product(FORMS, SEEDS):
        tableau = symbolic(name)
        nodes = (sp.Integer(0), *tableau.nodes, sp.Integer(1))
        rows = zip(step_formula(tableau, form), tableau.rows, strict=True)
        for row, (node, weights) in rows:
            back = form.propagator(lam_s, lam_s + node * h)
            identities.append((back * row.state, sp.Integer(1)))
            scale = diffusion.subs(lam, lam_s + node * h) / diffusion.subs(lam, lam_s)
            identities.append((back * scale, sp.exp(form.noise_rate * node * h)))
            for i, weight in enumerate(weights):
                unit = form.drift_kernel(lam_s, lam_s + nodes[i] * h)
                carried = sp.exp(-(node - nodes[i]) * form.drift_rate * h)
                stated = h * weight.subs(z, form.drift_rate * h) * carried
                identities.append((back * row.drift[i] / unit, stated))
    return prove(identities, "rows against weights, for symbolic nodes and eta")


# The expansions themselves -----------------------------------------------------------------------

_time = sp.Symbol("l", real=True)
_noise_rate = sp.Symbol("r", real=True)


def _differential(
    forest: Forest, f: list[sp.Expr], phi: sp.Expr, variables: tuple[sp.Symbol, ...]
) -> sp.Expr:
    """The elementary differential of a contracted forest for these functions, summed over pairs."""
    pairs = sorted({leaf for leaf in trees.leaves(forest) if leaf != TIME})
    total = sp.Integer(0)
    for directions in itertools.product(range(len(variables)), repeat=len(pairs)):
        axis = dict(zip(pairs, directions, strict=True))
        total += _applied(phi, forest, f, variables, axis)
    return total


def _applied(
    function: sp.Expr, children: Forest, f: list[sp.Expr], variables: Any, axis: dict[int, int]
) -> sp.Expr:
    """A derivative of a function in the directions of its children."""
    times = children.count(TIME)
    vectors = [
        [_applied(g, child, f, variables, axis) for g in f]
        if isinstance(child, tuple)
        else [sp.Integer(i == axis[child]) for i in range(len(f))]
        for child in children
        if child != TIME
    ]
    total = sp.Integer(0)
    for indices in itertools.product(range(len(f)), repeat=len(vectors)):
        factor = sp.Mul(*(vector[i] for vector, i in zip(vectors, indices, strict=True)))
        if factor != 0:
            derivative = sp.diff(function, _time, times) if times else function
            for i in indices:
                derivative = sp.diff(derivative, variables[i])
            total += factor * derivative
    return total


def _mean(
    weight: Callable[[Forest], Series], f: list[sp.Expr], phi: sp.Expr, variables: Any, limit: int
) -> sp.Expr:
    """The mean of phi after a step, by trees, up to that power of h."""
    total = phi
    for grade in range(1, limit + 1):
        for forest in trees.forests(grade):
            series = sp.Add(*(c * h**n for n, c in weight(forest).items()))
            total += trees.multiplicity(forest) * series * _differential(forest, f, phi, variables)
    return total


def _generator_series(
    f: list[sp.Expr], phi: sp.Expr, variables: tuple[sp.Symbol, ...], limit: int
) -> sp.Expr:
    """Dynkin's formula: the sum of h^n L^n phi / n! with the generator L of the SDE."""
    total, power = phi, phi
    for n in range(1, limit + 1):
        drift = sum(g * sp.diff(power, x) for g, x in zip(f, variables, strict=True))
        laplacian = sum(sp.diff(power, x, 2) for x in variables)
        power = sp.diff(power, _time) + drift + sp.exp(2 * _noise_rate * _time) / 2 * laplacian
        total += h**n / sp.factorial(n) * power
    return total.subs(_time, 0)


def _expansion(dimension: int, limit: int) -> Evidence:
    variables = sp.symbols(f"x_1:{dimension + 1}", real=True)
    f = [sp.Function(f"f_{i}")(*variables, _time) for i in range(1, dimension + 1)]
    phi = sp.Function("phi")(*variables)
    by_trees = _mean(
        partial(exact_weight, noise_rate=_noise_rate, limit=limit), f, phi, variables, limit
    )
    difference = (by_trees - _generator_series(f, phi, variables, limit)).subs(_time, 0).doit()
    return prove([(sp.expand(difference), sp.Integer(0))], "for arbitrary functions f and phi")


for _dimension, _limit in ((1, 3), (2, 2)):
    claim(
        f"taylor-expansion-{_dimension}d",
        rf"The expansion of $\mathbb E\,\varphi(x_t)$ in trees is Dynkin's $\sum h^n L^n\varphi/n!$ up to "
        rf"$h^{_limit}$, for an arbitrary $f$ in dimension {_dimension}.",
        source="Rooted trees: Roessler (2010), Debrabant and Kvaernoe (2008)",
        expected=Verdict.proved,
    )(partial(_expansion, _dimension, _limit))


# The weights on polynomials, at the point 0 and the time 0. A field is a dictionary: powers of the
# coordinates and of time, and their coefficients.

Field = dict[tuple[int, ...], sp.Expr]


def _at_zero(forest: Forest, f: list[Field], phi: Field) -> sp.Expr:
    """The elementary differential of a contracted forest at 0 for these polynomials, summed over pairs."""
    pairs = sorted({leaf for leaf in trees.leaves(forest) if leaf != TIME})
    total = sp.Integer(0)
    for directions in itertools.product(range(len(f)), repeat=len(pairs)):
        total += _applied_at_zero(phi, forest, f, dict(zip(pairs, directions, strict=True)))
    return total


def _applied_at_zero(
    field: Field, children: Forest, f: list[Field], axis: dict[int, int]
) -> sp.Expr:
    times = children.count(TIME)
    vectors: list[dict[int, sp.Expr]] = []
    for child in children:
        if isinstance(child, tuple):
            parts = (_applied_at_zero(g, child, f, axis) for g in f)
            vectors.append({i: part for i, part in enumerate(parts) if part != 0})
        elif child != TIME:
            vectors.append({axis[child]: sp.Integer(1)})
    total = sp.Integer(0)
    for indices in itertools.product(*vectors):
        powers = (*(indices.count(i) for i in range(len(f))), times)
        if powers in field:
            factor = math.prod(vector[i] for vector, i in zip(vectors, indices, strict=True))
            total += factor * math.prod(map(math.factorial, powers)) * field[powers]
    return total


def _dynkin_at_zero(f: list[Field], phi: Field, limit: int) -> list[sp.Expr]:
    """The coefficients of Dynkin's formula at 0: the values of L^n phi / n! for n up to the limit."""
    names = [f"x{i}" for i in range(len(f))]
    ring, *gens = sp.ring([*names, "l", "r"], sp.QQ)
    *x, l, r = gens

    def polynomial(field: Field) -> Any:
        return ring.from_dict({(*powers, 0): sp.QQ.from_sympy(c) for powers, c in field.items()})

    # Noise of the squared size e^{2 r l}, as far as derivatives in time can reach.
    growth = sum((2 * r * l) ** n / math.factorial(n) for n in range(limit))
    drifts, power = [polynomial(g) for g in f], polynomial(phi)
    values = []
    for n in range(limit + 1):
        at = {m[-1]: c for m, c in power.items() if not any(m[:-1])}
        exact = sp.Add(*(sp.QQ.to_sympy(c) * _noise_rate**k for k, c in at.items()))
        values.append(exact / math.factorial(n))
        moved = sum((g * power.diff(v) for g, v in zip(drifts, x, strict=True)), ring.zero)
        spread = sum((power.diff(v).diff(v) for v in x), ring.zero)
        power = power.diff(l) + moved + growth * spread / 2
    return values


def _by_weights(
    weight: Callable[[Forest], Series],
    forests: Iterable[Forest],
    f: list[Field],
    phi: Field,
    limit: int,
) -> list[sp.Expr]:
    """The mean of phi, power by power, by these forests: multiplicity, weight and differential of each."""
    total = [phi.get((0,) * (len(f) + 1), sp.Integer(0)), *[sp.Integer(0)] * limit]
    for forest in forests:
        value = trees.multiplicity(forest) * _at_zero(forest, f, phi)
        for n, term in weight(forest).items():
            total[n] += term * value
    return total


def _own_system(forest: Forest) -> tuple[list[Field], Field]:
    """The functions of which this forest alone has a differential at 0 (the proof of the expansion).

    A coordinate for each node and for each pair; each node's component is the product over its children.
    """
    nodes: list[Forest] = []
    products: list[list[str]] = []

    def product_of(children: Forest) -> list[str]:
        factors = []
        for child in children:
            if isinstance(child, tuple):
                number = len(nodes)
                nodes.append(child)
                products.append([])
                products[number] = product_of(child)
                factors.append(f"y{number}")
            else:
                factors.append("l" if child == TIME else f"u{child}")
        return factors

    root = product_of(forest)
    pairs = sorted({leaf for leaf in trees.leaves(forest) if leaf != TIME})
    names = [*(f"y{i}" for i in range(len(nodes))), *(f"u{pair}" for pair in pairs), "l"]

    def field(factors: list[str]) -> Field:
        return {tuple(factors.count(name) for name in names): sp.Integer(1)}

    return [*map(field, products), *({} for _ in pairs)], field(root)


@claim(
    "taylor-weights",
    r"Each exact weight by itself: of the contracted forests up to $h^4$, every one is the whole of Dynkin's "
    r"series up to $h^4$ for the polynomials whose only differential at 0 is its own, in as many dimensions "
    r"as it has nodes and pairs, for a symbolic rate of the noise.",
    source="Rooted trees: Roessler (2010), Debrabant and Kvaernoe (2008)",
    expected=Verdict.proved,
)
def _() -> Evidence:
    forests = [forest for grade in range(1, LIMIT + 1) for forest in trees.forests(grade)]
    identities: list[tuple[sp.Expr, sp.Expr]] = []
    for forest in forests:
        f, phi = _own_system(forest)
        exact = _dynkin_at_zero(f, phi, LIMIT)
        weight = partial(exact_weight, noise_rate=_noise_rate, limit=LIMIT)
        identities += zip(_by_weights(weight, [forest], f, phi, LIMIT), exact, strict=True)
        # It is there: the series does not vanish at the power that the forest begins with.
        first = exact[int(trees.grade(forest))]
        identities.append((sp.sign(first), sp.Integer(1)))
    return prove(identities, f"power by power, for each of {len(forests)} forests")


@claim(
    "taylor-expansion-plane",
    r"In the plane, too, the expansion in trees is Dynkin's series up to $h^3$, on dense polynomials at a "
    r"point. There differ $\varphi''(f'(f'(e_a)), e_a)$ and $\varphi''(f'(e_a), f'(e_a))$, and "
    r"$\varphi'(f''(f'(e_a), e_a))$ and $\varphi'(f'(f''(e_a, e_a)))$, which are of one kind on the line.",
    source="Rooted trees: Roessler (2010), Debrabant and Kvaernoe (2008)",
    expected=Verdict.proved,
)
def _() -> Evidence:
    f, phi = _fields(*_dense_polynomials())
    forests = [forest for grade in range(1, _ORDER + 1) for forest in trees.forests(grade)]
    weight = partial(exact_weight, noise_rate=_noise_rate, limit=_ORDER)
    by_trees = _by_weights(weight, forests, f, phi, _ORDER)
    identities = list(zip(by_trees, _dynkin_at_zero(f, phi, _ORDER), strict=True))
    for one, other in (((((1,),), 1), ((1,), (1,))), ((((1,), 1),), (((1, 1),),))):
        assert {one, other} <= set(forests)
        apart = _at_zero(one, f, phi) != _at_zero(other, f, phi)
        identities.append((sp.Integer(int(apart)), sp.Integer(1)))
    return prove(identities, "power by power, for a symbolic rate")


# A step on polynomials, in dimension 2, by brute force: polynomials in s (the root of h) and in the
# components of the normals, cut at s^6, in a sparse ring of rational coefficients.

_DIMENSION, _ORDER = 2, 3


def _dense_polynomials() -> tuple[list[sp.Poly], sp.Poly]:
    """Polynomials f of degree 4 in the state and 2 in time, and phi of degree 6, all terms present."""
    x = sp.symbols(f"x_1:{_DIMENSION + 1}", real=True)
    numerators = itertools.cycle((3, -2, 5, 1, -4, 7, -1, 2, -5))

    def polynomial(degree: int, of: tuple[sp.Symbol, ...]) -> sp.Poly:
        powers = itertools.product(range(degree + 1), repeat=_DIMENSION)
        terms = sp.Integer(0)
        for power in powers:
            times = range((degree - sum(power)) // 2 + 1) if _time in of else range(1)
            for m in times:
                if sum(power) + 2 * m <= degree:
                    monomial = sp.Mul(*(v**n for v, n in zip(x, power, strict=True)), _time**m)
                    terms += sp.Rational(next(numerators), 1 + sum(power)) * monomial
        return sp.Poly(terms, *of)

    f = [polynomial(4, (*x, _time)) for _ in range(_DIMENSION)]
    return f, polynomial(6, x)


def _fields(f: list[sp.Poly], phi: sp.Poly) -> tuple[list[Field], Field]:
    """Polynomials as dictionaries; phi does not depend on time."""
    return [dict(g.terms()) for g in f], {(*powers, 0): c for powers, c in phi.terms()}


def _mean_by_brute_force(step: LocalStep, f: list[sp.Poly], phi: sp.Poly) -> sp.Expr:
    """The mean of phi after one step from 0, up to h^3."""
    rows = range(1, step.end + 1)
    labels = [(row, axis) for row in rows for axis in range(_DIMENSION)]
    ring, s, *normals = sp.ring(["s", *(f"u{row}{axis}" for row, axis in labels)], sp.QQ)
    normal = dict(zip(labels, normals, strict=True))

    def cut(element: Any) -> Any:
        return ring.from_dict({m: c for m, c in element.items() if m[0] <= 2 * _ORDER})

    def evaluated(polynomial: sp.Poly, state: list[Any], time: sp.Expr) -> Any:
        at = [*state, time * s**2] if len(polynomial.gens) > _DIMENSION else state
        total = ring.zero
        for powers, coefficient in polynomial.terms():
            term = ring(coefficient)
            for value, power in zip(at, powers, strict=True):
                for _ in range(power):
                    term = cut(term * value)
            total += term
        return total

    states: list[list[Any]] = [[ring.zero] * _DIMENSION]
    slopes: list[list[Any]] = []
    for row in rows:
        slopes.append([evaluated(g, states[-1], step.nodes[row - 1]) for g in f])
        moved = [s * normal[row, axis] for axis in range(_DIMENSION)]
        for i, weight in enumerate(step.weights[row]):
            size = sum((ring(c) * s ** (2 * n + 2) for n, c in weight.items()), ring.zero)
            moved = [
                cut(state + size * slope) for state, slope in zip(moved, slopes[i], strict=True)
            ]
        states.append(moved)
    power_series, root = sp.ring(["s"], sp.QQ)
    covariance = {
        rows: sum((power_series(c) * root ** (2 * n) for n, c in series.items()), power_series.zero)
        for rows, series in step.covariance.items()
    }
    total = power_series.zero
    for (power, *counts), coefficient in evaluated(phi, states[-1], sp.Integer(0)).terms():
        term = power_series(coefficient) * root**power
        for axis in range(_DIMENSION):
            drawn = dict(zip(rows, counts[axis::_DIMENSION], strict=True))
            term *= _gaussian_moment(
                tuple(row for row in rows for _ in range(drawn[row])), covariance
            )
        total += term
    coefficients = {m[0]: c for m, c in total.items()}
    return sp.Add(*(sp.Rational(coefficients.get(2 * n, 0)) * h**n for n in range(_ORDER + 1)))


def _gaussian_moment(rows: tuple[int, ...], covariance: dict[tuple[int, int], Any]) -> Any:
    """The mean of a product of jointly normal variables, by Wick's formula."""
    one = next(iter(covariance.values())).ring.one
    if not rows:
        return one
    if len(rows) % 2:
        return one - one
    first, *others = rows
    return sum(
        (
            covariance[first, other] * _gaussian_moment((*others[:k], *others[k + 1 :]), covariance)
            for k, other in enumerate(others)
        ),
        one - one,
    )


@claim(
    "taylor-step",
    r"The engine's sums over stages are the mean of $\varphi$ after one step, up to $h^3$, in dimension 2: "
    r"for SEEDS-3b and for a tableau with foreign noise and row sums of its own, on dense polynomials.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    f, phi = _dense_polynomials()
    forests = [forest for grade in range(1, _ORDER + 1) for forest in trees.forests(grade)]
    other = replace(
        lawson_2(sp.Rational(1, 3)), name="lawson-2, independent noise", noise=independent_stages
    )
    identities = []
    for tableau in (method("seeds-3b"), other):
        step = LocalStep(tableau, Rates(sp.Rational(-3, 2), sp.Rational(2, 3)))
        weight = partial(method_weight, step=step, limit=_ORDER)
        by_trees = _by_weights(weight, forests, *_fields(f, phi), _ORDER)
        by_force = _mean_by_brute_force(step, f, phi)
        identities += [(c, by_force.coeff(h, n)) for n, c in enumerate(by_trees)]
    return prove(identities, "power by power")


@claim(
    "taylor-series",
    r"The power series that the engine works with are those of the solver's own rows: the drift weights of "
    r"every method in both predictions, and the Gram matrix of its noise, at $\eta = 1/3$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = []
    for form, name in itertools.product(FORMS, SEEDS):
        of = rates(form)
        at = {eta: sp.Rational(1, 3)}
        step = LocalStep(method(name), Rates(of.drift.subs(at), of.noise.subs(at)))
        rows = step_formula(method(name), form)
        times = [lam_s + node * h for node in step.nodes]
        back = [form.propagator(lam_s, time) for time in times]
        unit = [form.drift_kernel(lam_s, time) for time in times]
        scale = diffusion.subs(lam, lam_s)
        for j, row in enumerate(rows, start=1):
            for i, weight in enumerate(row.drift):
                ours = step.weights[j][i]
                identities += _same_series((back[j] * weight / unit[i] / h).subs(at), ours)
            for k, other in enumerate(rows[:j], start=1):
                gram = sp.Add(*(a * b for a, b in zip(row.noise, other.noise, strict=False)))
                carried = back[j] * back[k] * gram / scale**2 / h
                identities += _same_series(carried.subs(at), step.covariance[j, k])
    return prove(identities, "coefficient by coefficient")


def _same_series(expression: sp.Expr, found: Series) -> list[tuple[sp.Expr, sp.Expr]]:
    """The Taylor coefficients of a smooth expression in h, by differentiation, against a series."""
    start = sp.powsimp(sp.expand(expression.subs(lam_s, 0), power_exp=True))
    closed = sp.expand(start.replace(Phi, lambda k, x: taylor(int(k), x, 5)))
    exact = [sp.diff(closed, h, n).subs(h, 0) / math.factorial(n) for n in range(3)]
    return [(value, found.get(n, sp.Integer(0))) for n, value in enumerate(exact)]


# Known methods -----------------------------------------------------------------------------------

_REFERENCES = {
    "euler-maruyama": "Maruyama (1955); Milstein and Tretyakov (2004)",
    "midpoint": "Milstein and Tretyakov (2004), additive noise",
    "sra1": "Roessler (2010): strong order 1.5, deterministic order 2",
    "sra3": "Roessler (2010): strong order 1.5, deterministic order 3",
}


def _classical_orders(name: str) -> Evidence:
    tableau = CLASSICAL[name]
    declared = tableau.orders
    found = Orders(
        strong_order(tableau, PLAIN), weak_order(tableau, PLAIN), ode_order(tableau, PLAIN)
    )
    return prove(_same(found, declared), "all conditions in exact arithmetic")


def _same(found: Orders, declared: Orders) -> list[tuple[sp.Expr, sp.Expr]]:
    return [
        (sp.Rational(found.strong), sp.Rational(declared.strong)),
        (sp.Integer(found.weak), sp.Integer(declared.weak)),
        (sp.Integer(found.ode), sp.Integer(declared.ode)),
    ]


for _name, _source in _REFERENCES.items():
    _orders = CLASSICAL[_name].orders
    claim(
        f"taylor-{_name}",
        rf"The engine finds the known orders of {_name} for additive noise, strong {_orders.strong} and "
        rf"deterministic {_orders.ode}, and weak order {_orders.weak}.",
        source=_source,
        expected=Verdict.proved,
    )(partial(_classical_orders, _name))


@claim(
    "taylor-stiff",
    r"At $\eta = 0$ the engine finds the known stiff and classical orders of exponential Runge-Kutta "
    r"methods: exponential Euler 1 and 1, both two-stage families 2 and 2, the three-stage method (5.8) "
    r"3 and 3, ETD3RK 2 and 3, Lawson's 0 and 2.",
    source="Hochbruck and Ostermann (2005), section 5; Cox and Matthews (2002)",
    expected=Verdict.proved,
)
def _() -> Evidence:
    known = {
        method("seeds-1"): (1, 1),
        symbolic("seeds-2b"): (2, 2),
        symbolic("seeds-2"): (2, 2),
        method("seeds-3"): (3, 3),
        method("seeds-3b"): (3, 3),
        etd_3(): (2, 3),
        lawson_2(half): (0, 2),
    }
    identities = []
    for tableau, (stiff, classical) in known.items():
        identities.append((sp.Integer(stiff_order(tableau)), sp.Integer(stiff)))
        found = {ode_order(tableau, rates(form)) for form in FORMS}
        identities += [(sp.Integer(order), sp.Integer(classical)) for order in found]
    return prove(identities, "conditions as identities in z")


# The library -------------------------------------------------------------------------------------


def _declared_orders(name: str) -> Evidence:
    identities = []
    for tableau, form in itertools.product((method(name), symbolic(name)), FORMS):
        identities += _same(decided_orders(tableau, form), tableau.orders)
        fails = fails_at_every_eta(tableau, form)
        identities.append((sp.Integer(int(fails)), sp.Integer(1)))
    return prove(identities, "default and symbolic nodes, both predictions, symbolic eta")


for _name in SEEDS:
    _declared = method(_name).orders
    claim(
        f"taylor-orders-{_name}",
        rf"For an arbitrary smooth $F$, in both predictions and for every $\eta > 0$, {_name} has the local "
        rf"orders of strong order {_declared.strong} and weak order {_declared.weak}, at any nodes; at "
        rf"$\eta = 0$ it has order {_declared.ode} at its default nodes. None is higher.",
        source=HERE,
        expected=Verdict.proved,
    )(partial(_declared_orders, _name))


@claim(
    "taylor-descending",
    r"SEEDS-3 and -3b keep weak order 2 at the descending nodes $7/10, 4/10$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    nodes = (sp.Rational(7, 10), sp.Rational(2, 5))
    identities = [
        (sp.Integer(weak_order(METHODS[name].build(*nodes), rates(form))), sp.Integer(2))
        for name, form in itertools.product(("seeds-3", "seeds-3b"), FORMS)
    ]
    return prove(identities, "all conditions in exact arithmetic")


@claim(
    "taylor-first-violation",
    r"In the mean square, the first term in which SEEDS-2 and SEEDS-3 differ from the exact solution is "
    r"$f'(e_a)$ at $h^3$; in the mean, SEEDS-1 fails first at $h^2$ and the others at $h^3$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = []
    for name, form in itertools.product(SEEDS, FORMS):
        tableau, of = method(name), rates(form)
        first, *others = path_defects(tableau, of)
        tree = sp.Integer(int(first.forest == ((trees.NOISE,),)))
        later = all(defect.power > 3 for defect in others if trees.noise_leaves(defect.forest))
        identities += [(tree, sp.Integer(1)), (sp.Integer(first.power), sp.Integer(3))]
        identities.append((sp.Integer(int(later)), sp.Integer(1)))
        power = 2 if name == "seeds-1" else 3
        earlier = [d for n in range(1, power) for d in weak_defects(tableau, of, n)]
        found = next(weak_defects(tableau, of, power))
        identities += [(sp.Integer(len(earlier)), sp.Integer(0))]
        identities += [(sp.Integer(found.power), sp.Integer(power))]
    return prove(identities, "both predictions, symbolic eta")


_STRONG = {
    "seeds-1": third,
    "seeds-2": 1 / (4 * c2) + c2 / 2 - sp.Rational(2, 3),
    "seeds-2b": 1 / (4 * c2) + c2 / 2 - sp.Rational(2, 3),
    "seeds-3": 1 / (4 * c3) + c3 / 2 - sp.Rational(2, 3),
}


@claim(
    "taylor-strong-constant",
    r"The leading strong constant is $\delta^2 = \frac13$ for SEEDS-1, $\frac1{4c}+\frac c2-\frac23$ for "
    r"SEEDS-2 and -2b with $c = c_2$ and for SEEDS-3 with $c = c_3$; $\frac1{12}$ and $\frac1{24}$ at the "
    r"default nodes.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = []
    for form in FORMS:
        of = rates(form)
        identities += [
            (strong_constant(symbolic(name), of), stated) for name, stated in _STRONG.items()
        ]
        for name, value in (("seeds-2", 12), ("seeds-2b", 12), ("seeds-3", 24), ("seeds-3b", 24)):
            identities.append((strong_constant(method(name), of), sp.Rational(1, value)))
    return prove(identities, "for symbolic nodes")


@claim(
    "taylor-best-strong-node",
    r"Among all nodes, $\delta^2 = \frac1{4c}+\frac c2-\frac23$ is least at $c = 1/\sqrt2$, where it is "
    r"$\frac1{\sqrt2}-\frac23 \approx 0.0404$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    best = 1 / sp.sqrt(2)
    constant = strong_constant(symbolic("seeds-2"), rates(DATA))
    return prove(
        [
            (sp.diff(constant, c2).subs(c2, best), sp.Integer(0)),
            (constant.subs(c2, best), best - sp.Rational(2, 3)),
            # A sum of a constant and a square over a positive number: the minimum is global.
            (constant - (best - sp.Rational(2, 3)), (c2 - best) ** 2 / (2 * c2)),
        ],
        "the square is completed",
    )


_BEST_WEAK = {
    ("seeds-2", DATA): 0.533611,
    ("seeds-2", NOISE): 0.644426,
    ("seeds-2b", DATA): 0.712403,
    ("seeds-2b", NOISE): 0.696563,
}


def best_weak_node(name: str, form: SemilinearForm) -> float:
    """The node of a two-stage method at which the principal weak error norm is least (eta = 1)."""
    norm = weak_constant(symbolic(name), rates(form)).subs(eta, 1)
    stationary = sp.Poly(sp.numer(sp.together(sp.diff(norm, c2))), c2)
    inside = [root for root in sp.real_roots(stationary) if 0 < root <= 1]
    return float(min((*inside, sp.Integer(1)), key=lambda node: norm.subs(c2, node).evalf()))


@claim(
    "taylor-best-weak-node",
    r"The principal weak error norm at $\eta = 1$ is least at $c_2 \approx 0.534$ and $0.644$ for SEEDS-2, "
    r"$0.712$ and $0.697$ for SEEDS-2b, in data and noise prediction.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    errors = [abs(best_weak_node(*key) - node) for key, node in _BEST_WEAK.items()]
    return measure_at_most(errors, 1e-6, "largest distance from the stated nodes")


@claim(
    "taylor-single-violation",
    r"SEEDS-3 and -3b at thirds violate a single condition at $h^3$, $\varphi''(f'(e_a), f'(e_a))$, by "
    r"$1/24$, in both predictions and for every $\eta$: the barrier, and nothing else, keeps them from "
    r"weak order 3.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = []
    for name, form in itertools.product(("seeds-3", "seeds-3b"), FORMS):
        found = list(weak_defects(method(name), rates(form), 3))
        identities.append((sp.Integer(len(found)), sp.Integer(1)))
        identities.append((sp.Integer(int(found[0].forest == ((1,), (1,)))), sp.Integer(1)))
        identities.append((found[0].value, sp.Rational(1, 24)))
    return prove(identities, "all conditions up to h^3")

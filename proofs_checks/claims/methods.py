"""Chapter "The SEEDS methods": the tableaux are those of the paper, consistent, and have the right limits."""

import itertools
from collections.abc import Iterator, Sequence
from functools import partial

import sympy as sp

from proofs_checks.ledger import Evidence, Verdict, claim, measure_at_most, prove
from seeds_theory import make_plan
from seeds_theory.exact import DATA, NOISE, SemilinearForm, eta, lam, lam_s
from seeds_theory.formula import step_formula
from seeds_theory.methods import METHODS, SEEDS, method, symbolic
from seeds_theory.noise import h
from seeds_theory.phi import Phi
from seeds_theory.tableau import Tableau, z

c2, c3 = sp.symbols("c_2 c_3", positive=True)
HERE = "this project"


def expm1(argument: sp.Expr) -> sp.Expr:
    """The E(u) = e^u - 1 of the published formulas."""
    return sp.exp(argument) - 1


def _published(form: SemilinearForm) -> dict[str, list[tuple[sp.Expr, ...]]]:
    """Weights of (F_1, F_2 - F_1, F_3 - F_1), row by row, at eta = 1 and alpha = 1, as published."""
    t, two, three = (sp.exp(-lam_s - c * h) for c in (1, c2, c3))
    if form is NOISE:
        stage_2 = (-2 * two * expm1(c2 * h),)
        bend = -2 * (c3 / c2) * three * (expm1(c3 * h) / (c3 * h) - 1)
        stage_3 = (-2 * three * expm1(c3 * h), bend)
        constant = -2 * t * expm1(h)
        linear = -2 * t * (expm1(h) / h - 1)
        scale, u = -2 * t * h, h
    else:
        stage_2 = (-expm1(-2 * c2 * h),)
        bend = (c3 / c2) * (expm1(-2 * c3 * h) / (2 * c3 * h) + 1)
        stage_3 = (-expm1(-2 * c3 * h), bend)
        constant = -expm1(-2 * h)
        linear = expm1(-2 * h) / (2 * h) + 1
        scale, u = 2 * h, -2 * h
    # 3b, at thirds: slope 6 (F_2 - F_1) - 3/2 (F_3 - F_1), curvature 9 (F_3 - F_1) - 18 (F_2 - F_1).
    slope, curvature = scale * Phi(2, u).doit(), scale * Phi(3, u).doit()
    quadratic = (6 * slope - 18 * curvature, 9 * curvature - sp.Rational(3, 2) * slope)
    return {
        "seeds-1": [(constant,)],
        "seeds-2": [stage_2, (constant, constant / (2 * c2))],
        "seeds-2b": [stage_2, (constant, linear / c2)],
        "seeds-3": [stage_2, stage_3, (constant, sp.Integer(0), linear / c3)],
        "seeds-3b": [stage_2, stage_3, (constant, *quadratic)],
    }


def _as_published(name: str, form: SemilinearForm) -> Evidence:
    thirds = {c2: sp.Rational(1, 3), c3: sp.Rational(2, 3)} if name == "seeds-3b" else {}
    identities = []
    rows = step_formula(symbolic(name), form)
    for row, stated in zip(rows, _published(form)[name], strict=True):
        weights = [weight.doit().subs(eta, 1) for weight in row.drift]
        # Published on differences: F_1 alone then has the weight of a constant F, the sum.
        on_differences = (sp.Add(*weights), *weights[1:])
        for ours, theirs in zip(on_differences, stated, strict=True):
            identities.append((ours.subs(thirds), theirs.subs(thirds)))
    return prove(identities, "for symbolic h, lambda and nodes")


for _name in SEEDS:
    for _form in (DATA, NOISE):
        _at = "at nodes 1/3 and 2/3" if _name == "seeds-3b" else "at any nodes"
        claim(
            f"methods-{_name}-{_form.name}",
            rf"The drift weights of {_name} in {_form.name} prediction are the known formulas, "
            rf"{_at} ($\eta = 1$).",
            source="SEEDS, Algorithms 2-4 (noise); eq. (53), authors' code and its ODE twins (data)",
            expected=Verdict.proved,
        )(partial(_as_published, _name, _form))


@claim(
    "methods-consistency",
    r"Every stage of every method integrates a constant $F$ exactly: its weights add up to "
    r"$c\,\varphi_1(cz)$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = [
        (sp.Add(*weights).doit(), (node * Phi(1, node * z)).doit())
        for tableau in map(symbolic, SEEDS)
        for node, weights in tableau.rows
    ]
    return prove(identities, "for symbolic nodes")


@claim(
    "methods-default-nodes",
    r"The default nodes are the published ones: $\frac12$ for SEEDS-2 and $\frac13, \frac23$ for SEEDS-3, "
    r"both types.",
    source="authors' code",
    expected=Verdict.proved,
)
def _() -> Evidence:
    half, third = sp.Rational(1, 2), sp.Rational(1, 3)
    published = {2: (half,), 3: (third, 2 * third)}
    identities = [
        identity
        for name in SEEDS
        if (calls := method(name).calls) > 1
        for identity in zip(METHODS[name].nodes, published[calls], strict=True)
    ]
    return prove(identities, "compared")


@claim(
    "methods-joint-noise",
    r"The noises of all rows of a step have the joint covariance of the stochastic integrals "
    r"$\int \Phi g\,dW$, at any nodes in any order and any $\eta$, in both predictions.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    # Against Ito's isometry of the kernels. Symbolic nodes stand for c2 < c3 < 1; numbers for the rest.
    half, third = sp.Rational(1, 2), sp.Rational(1, 3)
    tableaux = [symbolic(name) for name in SEEDS]
    tableaux += [METHODS["seeds-2"].build(sp.Integer(1))]
    tableaux += [
        METHODS["seeds-3"].build(*nodes)
        for nodes in ((half, third), (half, sp.Integer(1)), (sp.Integer(1), half))
    ]
    identities = (
        identity
        for tableau, form in itertools.product(tableaux, (DATA, NOISE))
        for identity in _joint_covariances(tableau, form)
    )
    return prove(identities, "Gram matrices against integrated kernels, for symbolic h and eta")


def _joint_covariances(tableau: Tableau, form: SemilinearForm) -> Iterator[tuple[sp.Expr, sp.Expr]]:
    nodes = (*tableau.nodes, sp.Integer(1))
    rows = list(zip(nodes, step_formula(tableau, form), strict=True))
    for (c, one), (e, two) in itertools.combinations_with_replacement(rows, 2):
        gram = sum(a * b for a, b in zip(one.noise, two.noise, strict=False)).doit()
        early = e if c == 1 else c if e == 1 or not c.is_number or c < e else e
        yield gram, _isometry(form, c, e, early)


def _isometry(form: SemilinearForm, c: sp.Expr, e: sp.Expr, early: sp.Expr) -> sp.Expr:
    """The covariance of the stochastic integrals at the nodes c and e, the earlier of which is given."""
    kernels = [form.noise_kernel(lam_s + node * h, lam) for node in (c, e)]
    product = sp.powsimp(sp.expand(kernels[0] * kernels[1], power_exp=True))
    antiderivative = sp.integrate(product, lam)
    return antiderivative.subs(lam, lam_s + early * h) - antiderivative.subs(lam, lam_s)


def _classical(tableau: Tableau) -> tuple[list[sp.Expr], dict[int, list[sp.Expr]], list[sp.Expr]]:
    """Nodes, weights of each stage, weights of the step, in the limit h -> 0 (z = 0)."""
    rows = [[weight.subs(z, 0).doit() for weight in weights] for _, weights in tableau.rows]
    return [sp.Integer(0), *tableau.nodes], dict(enumerate(rows[:-1], start=1)), rows[-1]


@claim(
    "methods-ode-conditions",
    r"At $\eta = 0$ and $z = 0$: $\sum b = 1$ always; $\sum b c = 1/2$ for SEEDS-2 and -3 at any nodes; "
    r"$\sum b c^2 = 1/3$ and $\sum b a c = 1/6$ for SEEDS-3 iff $c_3 = 2/3$ "
    r"(type 3b: the first at any nodes).",
    source="Hochbruck and Ostermann (2010), classical order conditions",
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities: list[tuple[sp.Expr, sp.Expr]] = []
    for name in SEEDS:
        c, a, b = _classical(symbolic(name))
        identities.append((sp.Add(*b), sp.Integer(1)))
        if name == "seeds-1":
            continue
        identities.append((sum(w * n for w, n in zip(b, c, strict=True)), sp.Rational(1, 2)))
        if not name.startswith("seeds-3"):
            continue
        square = sum(w * n**2 for w, n in zip(b, c, strict=True))
        nested = sum(b[i] * a[i][k] * c[k] for i in a for k in range(i))
        bush = c3 / 2 if name == "seeds-3" else sp.Rational(1, 3)
        tree = c3 / 4 if name == "seeds-3" else c3 * (2 - 3 * c2) / (12 * (c3 - c2))
        identities += [(square, bush), (nested, tree)]
        # Each equals its target exactly at c3 = 2/3: the difference is (c3 - 2/3) times a nonzero factor.
        factor = sp.Rational(1, 4) if name == "seeds-3" else -c2 / (4 * (c3 - c2))
        identities.append((nested - sp.Rational(1, 6), factor * (c3 - sp.Rational(2, 3))))
    return prove(identities, "for symbolic nodes")


@claim(
    "methods-end-limits",
    r"The steps from infinite noise and to zero noise are limits of the one-stage step in data "
    r"prediction: $D + \sigma_t z$ for $\eta > 0$ and $D + \sigma_t\,x/\sigma_s$ for $\eta = 0$; and $D$. "
    r"So is, at $\eta = 0$, the step up to infinite noise, in its unit: $(x - D)/\sigma_s$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    row = step_formula(symbolic("seeds-1"), DATA)[0]
    level = sp.Symbol("s", positive=True)  # e^{-lambda} at the end of the step, kept fixed
    rate = sp.Symbol("eta_0", positive=True)
    identities = []
    for value in (rate, sp.Integer(0)):
        state, drift, noise = (
            e.subs(eta, value).doit() for e in (row.state, row.drift[0], row.noise[0])
        )
        # The start carries x = e^{-lambda_s} times unit noise, and e^{-lambda_s} = level e^h.
        carried = sp.powsimp(sp.expand(state * level * sp.exp(h), power_exp=True))
        spread = sp.expand(noise.subs(lam_s, -sp.log(level) - h) ** 2)
        identities += [
            (sp.limit(state, h, sp.oo), sp.Integer(0)),
            (sp.limit(carried, h, sp.oo), level if value == 0 else sp.Integer(0)),
            (sp.limit(sp.expand(drift), h, sp.oo), sp.Integer(1)),
            (sp.limit(spread, h, sp.oo), sp.Integer(0) if value == 0 else level**2),
            (sp.limit(sp.expand(noise**2), h, sp.oo), sp.Integer(0)),
        ]
    # Up, at eta = 0: h -> -oo with the start fixed, over the end's level e^{-lambda_s - h}.
    unit = [
        sp.powsimp(sp.expand(e.subs(eta, 0).doit() * sp.exp(h) / level))
        for e in (row.state, row.drift[0])
    ]
    identities += [
        (sp.limit(unit[0], h, -sp.oo), 1 / level),
        (sp.limit(unit[1], h, -sp.oo), -1 / level),
    ]
    return prove(identities, "limits in h for symbolic eta > 0, and for eta = 0")


@claim(
    "methods-numbers",
    r"The float64 coefficients of all methods, and of SEEDS-2 at node 0.7, agree with 40-digit "
    r"arithmetic to $10^{-14}$ relative to the largest weight beside them, for steps from $h = 10^{-8}$ to 5 "
    r"and $\eta$ from 0.01 to 20.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    return coefficients_are_exact((*SEEDS, "seeds-2@0.7"), (DATA, NOISE))


def coefficients_are_exact(names: Sequence[str], forms: Sequence[SemilinearForm]) -> Evidence:
    """The float64 coefficients of these methods against 40 digits, for short and long steps."""
    cases = itertools.product(names, forms, ((1e-8, 1), (1e-3, 20), (0.5, 0.01), (5.0, 1)))
    errors = [
        error
        for name, form, (length, value) in cases
        for error in _coefficient_errors(name, form, length, value)
    ]
    return measure_at_most(
        errors, 1e-14, f"worst relative error of {len(errors)} rows of coefficients"
    )


def _coefficient_errors(
    name: str, form: SemilinearForm, length: float, value: float
) -> list[float]:
    """How far a step's numbers are from 40 digits, row by row, relative to the largest of their kind."""
    sigmas = [2.0, 2.0 * float(sp.exp(-length))]
    step = make_plan(name, sigmas, eta=value, prediction=form.name).steps[0]
    # The step that was really taken: rounding of the two levels is not the plan's error.
    exact_h = sp.log(sp.Float(step.sigma, 60) / sp.Float(step.sigma_next, 60))
    at = {lam_s: -sp.log(sp.Float(step.sigma, 60)), h: exact_h, eta: sp.Float(value, 60)}
    errors = []
    for row, formula in zip(step.rows, step_formula(method(name), form), strict=True):
        # Relative to the largest of its kind in the row: some first weights nearly vanish.
        for ours, expressions in (
            ((row.state,), (formula.state,)),
            (row.drift, formula.drift),
            (row.noise, formula.noise),
        ):
            exact = [sp.N(expression.subs(at), 40) for expression in expressions]
            size = max(abs(number) for number in exact)
            differences = (abs(a - b) for a, b in zip(ours, exact, strict=True))
            errors.append(float(max(differences) / size))
    return errors

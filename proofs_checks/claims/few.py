"""Chapter "Few steps": what the noise of a stage may be in law, and what the tuned settings do."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import sympy as sp

from proofs_checks.ledger import Evidence, Verdict, claim, prove
from proofs_checks.measured import measure_order, order_fits
from proofs_checks.order_conditions import weak_order
from proofs_checks.taylor import Series, add, product, rates, series
from seeds_theory.exact import DATA, eta
from seeds_theory.methods import method
from seeds_theory.noise import Functional, Moment, Normal, h, moment_covariance
from seeds_theory.phi import Phi
from seeds_theory.tableau import Orders, Tableau, z

HERE = "this project"
c, c_2 = sp.symbols("c c_2", positive=True)
_k = 1 + eta
_UP_TO = 3


# The noise of a stage, in law ---------------------------------------------------------------------

WEIGHTS = {
    "a": Phi(1, z) / (2 * c_2),
    "b": Phi(2, z) / c_2,
}
"""The weight of the stage in SEEDS-2, type 2a and 2b."""


def variance_defect(kind: str, node: sp.Expr, with_end: sp.Expr, own: sp.Expr) -> Series:
    r"""The error of the final variance after one step of length h from the exact law, in powers of h.

    For data of variance c, from :math:`\sigma = 1`. The stage noise has the variance `own`, and its
    covariance with the step's noise, times the weight of the stage, is `with_end`.
    """
    weight = _k * h * WEIGHTS[kind].subs({z: -_k * h, c_2: node})
    start, at_node = c / (c + 1), c / (c + sp.exp(-2 * node * h))
    decay, stage_decay = sp.exp(-_k * h), sp.exp(-_k * node * h)
    w, later = series(weight), series(at_node)
    stage_gain = series(stage_decay + (1 - stage_decay) * start)
    gain = add(
        [
            series(decay + (1 - decay - weight) * start),
            product((w, later, stage_gain), _UP_TO),
        ]
    )
    spread = sp.exp(-2 * h) * (1 - sp.exp(-2 * eta * h))
    terms = [
        _times(c + 1, product((gain, gain), _UP_TO)),
        series(spread - c - sp.exp(-2 * h)),
        _times(2, product((later, series(with_end)), _UP_TO)),
        product((w, w, later, later, series(own)), _UP_TO),
    ]
    total = add(terms)
    return {n: sp.factor(total.get(n, sp.Integer(0))) for n in range(_UP_TO + 1)}


def _times(factor: sp.Expr | int, terms: Series) -> Series:
    return {n: factor * value for n, value in terms.items()}


def average_with_end() -> sp.Expr:
    r"""The covariance of the path's average M and its end N, in data prediction, from :math:`\sigma = 1`."""
    moments = moment_covariance(Moment(eta, 1), Moment(eta, 0), h)
    return 2 * eta * sp.exp(-2 * h) * _k * moments


def path_variance(node: sp.Expr) -> sp.Expr:
    """The variance of the path's noise at a node, in the same units."""
    return sp.exp(-2 * node * h) * (1 - sp.exp(-2 * eta * node * h))


def matching(kind: str) -> sp.Expr:
    r"""The rate rho for which :math:`w\,\mathrm{Cov}(\zeta, N) = e^{\rho h}\,\mathrm{Cov}(M, N)` is right."""
    numerator = {"a": 3 + 6 * eta - eta**2, "b": 1 + 6 * eta + eta**2}[kind]
    return numerator / (24 * eta)


@claim(
    "few-matched",
    r"SEEDS-2 with $c_2 = \frac12$ errs by $O(h^4)$ in the variance of every Gaussian after a step if its "
    r"stage noise has the path's variance and $w\,\mathrm{Cov}(\zeta, N) = e^{\rho h}\,\mathrm{Cov}(M, N)$, "
    r"where $24 \eta \rho = 3 + 6 \eta - \eta^2$ for type 2a and $1 + 6 \eta + \eta^2$ for type 2b: "
    r"$\rho = \frac13$ at $\eta = 1$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    half, zeros = sp.Rational(1, 2), []
    for kind in WEIGHTS:
        with_end = sp.exp(matching(kind) * h) * average_with_end()
        defect = variance_defect(kind, half, with_end, path_variance(half))
        zeros += [(value, sp.Integer(0)) for value in defect.values()]
    return prove(zeros, "series in h for symbolic eta and data variance")


@claim(
    "few-matched-only",
    r"With $w\,\mathrm{Cov}(\zeta, N) = \mathrm{Cov}(M, N) + r_2 h^2 + r_3 h^3$ and "
    r"$\mathrm{Var}\,\zeta = q h + O(h^2)$ that is so for a node $c_2$ iff $r_2 = 0$, $r_3$ is a certain "
    r"number, and $q = 4 c_2^2 (2 c_2 + \eta - 1)$. The path's $q = 2 \eta c_2$ is that iff "
    r"$c_2 = \frac12$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    return prove(_necessity(), "the coefficients of h^2 and h^3, linear in r_2, r_3 and q")


def _necessity() -> Iterator[tuple[sp.Expr, sp.Expr]]:
    r_2, r_3, q = sp.symbols("r_2 r_3 q")
    wanted = 4 * c_2**2 * (2 * c_2 + eta - 1)
    for kind in WEIGHTS:
        with_end = average_with_end() + r_2 * h**2 + r_3 * h**3
        defect = variance_defect(kind, c_2, with_end, q * h)
        yield defect[1], sp.Integer(0)
        yield defect[2], 2 * r_2 * c / (c + 1)
        third = sp.Poly(sp.expand(sp.cancel(defect[3].subs(r_2, 0) * (c + 1) ** 2 / c)), c)
        (solution,) = sp.solve(third.all_coeffs(), [r_3, q], dict=True)
        yield solution[q], wanted
        at_half = eta * (1 + eta) * matching(kind)
        yield solution[r_3].subs(c_2, sp.Rational(1, 2)), at_half
    yield wanted - 2 * eta * c_2, 2 * c_2 * (2 * c_2 - 1) * (2 * c_2 + eta)


@cache
def matched(kind: str) -> Tableau:
    """SEEDS-2 with the stage noise of the claims, made of two normals of the step."""
    name = {"a": "seeds-2", "b": "seeds-2b"}[kind]

    def noise(rate: sp.Expr, nodes: tuple[sp.Expr, ...]) -> tuple[Functional, ...]:
        (node,) = nodes
        weight = (1 + rate) * h * WEIGHTS[kind].subs({z: -(1 + rate) * h, c_2: node})

        def variance(length: sp.Expr) -> sp.Expr:  # over h
            return moment_covariance(Moment(rate, 0), Moment(rate, 0), length) / h

        # In units of the noise scale at each row's time, and of the normals' root of h.
        shared = (1 + rate) * moment_covariance(Moment(rate, 1), Moment(rate, 0), h) / h / weight
        shared *= sp.exp(matching(kind).subs(eta, rate) * h)
        along = sp.exp(-(1 - node) * h) * shared / sp.sqrt(variance(h))
        across = sp.sqrt(variance(node * h) - along**2)
        end, other = (Functional({Normal(rate, k): sp.Integer(1)}) for k in range(2))
        return along * end + across * other, sp.sqrt(variance(h)) * end

    base = method(name)
    return replace(
        base,
        name=f"{name} matched",
        noise=noise,
        noise_nodes=(),
        predictions=("data",),
        orders=Orders(base.orders.strong, 2, 2, linear=(base.orders.strong, 3)),
        reference=HERE,
    )


for _kind in WEIGHTS:

    @claim(
        f"few-matched-weak-2{_kind}",
        rf"SEEDS-2{_kind} with that stage noise has weak order 3 on Gaussian data.",
        source=HERE,
        expected=Verdict.measured,
    )
    def _(kind: str = _kind) -> Evidence:
        fits = order_fits(matched(kind), "data")["weak"]
        return measure_order(fits, 3.0, f"{len(fits)} data variances from 0.25 to 25")


@claim(
    "few-matched-curved",
    r"For curved $D$ both keep weak order 2, at $\eta = 1$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    at_one = rates(DATA, sp.Integer(1))
    found = [(sp.Integer(weak_order(matched(kind), at_one)), sp.Integer(2)) for kind in WEIGHTS]
    return prove(found, "decided for an arbitrary smooth D at eta = 1")

"""Chapter "Few steps": what the noise of a stage may be in law, and what the tuned settings do."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path

import sympy as sp
from torch import Tensor

from proofs_checks.ledger import Evidence, Verdict, claim, measure_at_most, prove
from proofs_checks.measured import measure_order, order_fits
from proofs_checks.misfit import ratio, window_mean, window_variance
from proofs_checks.order_conditions import weak_order
from proofs_checks.taylor import Series, add, product, rates, series
from seeds_theory.exact import DATA, eta
from seeds_theory.methods import method
from seeds_theory.noise import Functional, Moment, Normal, h, moment_covariance
from seeds_theory.phi import Phi
from seeds_theory.settings import Setting, few_steps, settings
from seeds_theory.tableau import Orders, Tableau, z
from toy_models.design import width
from toy_models.few_steps import TRAINING, law_errors, power_law, spectrum_of
from toy_models.few_steps_study import (
    HELD_OUT,
    Comparison,
    compare,
    distances,
    judged,
    overall,
    read_comparisons,
)
from toy_models.gaussian import Gaussian
from toy_models.images import fashion_mnist

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


_ETAS = (sp.Rational(1, 2), sp.Integer(1), sp.Integer(2))


for _kind in WEIGHTS:

    @claim(
        f"few-matched-weak-2{_kind}",
        rf"SEEDS-2{_kind} with that noise has weak order 3 on Gaussian data, at $\eta = \frac12, 1, 2$.",
        source=HERE,
        expected=Verdict.measured,
    )
    def _(kind: str = _kind) -> Evidence:
        fits = [fit for at in _ETAS for fit in order_fits(matched(kind), "data", float(at))["weak"]]
        return measure_order(fits, 3.0, f"{len(fits)} pairs of eta and data variance")


@claim(
    "few-matched-curved",
    r"For curved $D$ both keep weak order 2, at $\eta = \frac12, 1, 2$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    found = [
        (sp.Integer(weak_order(matched(kind), rates(DATA, at))), sp.Integer(2))
        for kind in WEIGHTS
        for at in _ETAS
    ]
    return prove(found, "decided for an arbitrary smooth D")


@claim(
    "few-three-stages",
    r"With three stages and the deterministic order 3, order 3 in the variance of every Gaussian asks, to "
    r"leading order in units of h, for $\mathrm{Var}(\sum b_i \zeta_i) + 2 b_3 "
    r"a_{32}\,\mathrm{Cov}(\zeta_2, N) = \frac23$. At the nodes $\frac13, \frac23$ that is "
    r"$\mathrm{Var}\,\zeta_3 = \frac{16}{27}$, at $\frac12, 1$ with the path's variances "
    r"$\mathrm{Cov}(\zeta_2, \zeta_3) = \frac38$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    s, t, u = sp.symbols("s t u", positive=True)
    # M is the integral of W over [0, 1], J that of W over s < t < 1.
    of_M = sp.integrate((1 - u) ** 2, (u, 0, 1))
    of_JN = sp.integrate(sp.integrate(s, (s, 0, t)), (t, 0, 1))
    wanted = of_M + 2 * of_JN
    identities = [(wanted, sp.Rational(2, 3))]

    def conditions(nodes: tuple[sp.Expr, sp.Expr]) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
        """The weights b_2, b_3 and b_3 a_32 of order 3."""
        b_2, b_3 = sp.symbols("b_2 b_3")
        c_2, c_3 = nodes
        third = sp.Rational(1, 3)
        order = [b_2 * c_2 + b_3 * c_3 - sp.Rational(1, 2), b_2 * c_2**2 + b_3 * c_3**2 - third]
        (found,) = sp.solve(order, [b_2, b_3], dict=True)
        return found[b_2], found[b_3], 1 / (6 * c_2)

    own, joint = sp.symbols("own joint")
    b_2, b_3, chain = conditions((sp.Rational(1, 3), sp.Rational(2, 3)))
    (solution,) = sp.solve(b_3**2 * own + 2 * chain * sp.Rational(1, 3) - wanted, own)
    identities += [(b_2, sp.Integer(0)), (solution, sp.Rational(16, 27))]
    half = sp.Rational(1, 2)
    b_2, b_3, chain = conditions((half, sp.Integer(1)))
    total = b_2**2 * half + b_3**2 + 2 * b_2 * b_3 * joint
    (solution,) = sp.solve(total + 2 * chain * half - wanted, joint)
    return prove([*identities, (solution, sp.Rational(3, 8))], "solved in exact arithmetic")


@claim(
    "few-window",
    r"With $R = 1 + \sigma^2/c$, an error of the estimate by a factor near a noise level costs the final "
    r"variance $2 (1 + \eta) R^{-(1 + \eta)}$ per unit of log-SNR, $2/R$ times as much for the SDE as for "
    r"the ODE; a shift of the mean $2/\sqrt R$ times as much.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    v = sp.Symbol("v", positive=True)
    of_factor = window_variance * c / (c + v)  # the slope of the error, over the factor
    identities = [(of_factor.subs(ratio, 1 + v / c), 2 * _k * (1 + v / c) ** (-1 - eta))]
    for window, expected in (
        (2 * _k * ratio ** (-1 - eta), 2 / ratio),
        (window_mean, 2 / sp.sqrt(ratio)),
    ):
        identities.append((window.subs(eta, 1) / window.subs(eta, 0), expected))
    return prove(identities, "from the windows of behaviour-*, for symbolic c and level")


@claim(
    "few-same-model",
    r"A denoiser that is the exact one of another Gaussian, its covariance 1.5 times as large or without the "
    r"eigenvalues below 0.01, costs SDE and ODE the same: with 80 calls their distances agree within 3 %.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    def distance_of(at: float, model: Callable[[Gaussian], Gaussian]) -> float:
        setting = few_steps(80, eta=at)
        return law_errors(setting.sampler, setting.sigmas(), [power_law(2.0)], model)[0] ** 0.5

    models = (
        lambda data: Gaussian(data.mean, 1.5 * data.variances),
        lambda data: Gaussian(data.mean, data.variances * (data.variances >= 0.01)),
    )
    ratios = [distance_of(1.0, model) / distance_of(0.0, model) for model in models]
    return measure_at_most([abs(r - 1) for r in ratios], 0.03, "largest relative difference")


# The settings -------------------------------------------------------------------------------------


@claim(
    "few-objective",
    r"The objective that is recorded of the best, the SDE's and the ODE's setting with 6 and 10 calls is "
    r"what the code finds with the same random numbers.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    text = (files("seeds_theory") / "settings.json").read_text()
    differences = []
    for entry in json.loads(text):
        if entry["nfe"] in (6, 10):
            setting, nfe = Setting(**entry["setting"]), entry["nfe"]
            again = judged(setting, nfe)[0]
            differences.append(abs(again - entry["judged"]))
    return measure_at_most(differences, 1e-6, f"largest difference of {len(differences)}")


@claim(
    "few-spectra",
    r"On spectra that no setting was tuned on, $k^{-0.8}$, $k^{-2.5}$, $k^{-4}$ and that of "
    r"Fashion-MNIST's pixels, the distance of the laws is at most 1.2 times the largest one of the spectra "
    r"it was tuned on.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    laws = [power_law(exponent) for exponent in (0.8, 2.5, 4.0)]
    unseen = [*laws, spectrum_of(fashion_mnist().variances)]
    ratios = []
    for setting in settings().values():
        of_training, of_unseen = (
            max(law_errors(setting.sampler, setting.sigmas(), spectra))
            for spectra in (TRAINING, unseen)
        )
        ratios.append(math.sqrt(of_unseen / of_training))
    return measure_at_most(ratios, 1.2, "largest ratio")


RECORD = Path(__file__).parents[2] / "book" / "few_steps" / "mixtures.json"
_FEW = (5, 6, 8, 10, 15, 20, 40)


@cache
def _recorded() -> tuple[Comparison, ...]:
    return read_comparisons(RECORD)


@claim(
    "few-record",
    r"The recorded distances are those that the code finds: three of the first problem's, again.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    first = HELD_OUT[0]
    again = [
        entry
        for entry in _recorded()
        if entry.problem == first.name
        and entry.nfe == 6
        and entry.sampler in ("best", "sde", "er-sde-3")
    ]
    differences = []
    for entry in again:
        found = compare(first, entry.sampler, entry.kind, 6, entry.count).distances
        differences += [
            abs(found.frechet - entry.distances.frechet),
            abs(found.sliced - entry.distances.sliced),
        ]
    return measure_at_most(differences, 1e-6, f"largest difference of {len(differences)}")


def _leads(tuned: str, kind: str, calls: tuple[int, ...]) -> list[float]:
    """How far others are ahead in either distance, in standard errors of a difference of independent runs."""
    entries, leads = _recorded(), []
    for problem in HELD_OUT:
        for nfe in calls:
            here = [entry for entry in entries if (entry.problem, entry.nfe) == (problem.name, nfe)]
            (own,) = (e.distances for e in here if (e.kind, e.sampler) == ("tuned", tuned))
            for other in (e.distances for e in here if e.kind == kind):
                for ours, theirs, errors in (
                    (own.frechet, other.frechet, (own.frechet_error, other.frechet_error)),
                    (own.sliced, other.sliced, (own.sliced_error, other.sliced_error)),
                ):
                    leads.append((ours - theirs) / math.hypot(*errors))
    return leads


_LEAD = "largest lead of the others, in standard errors of a difference of independent runs"


@claim(
    "few-stochastic",
    r"On four mixtures that nothing was tuned on, with 5, 6, 8, 10, 15, 20 and 40 calls, no published "
    r"sampler with noise, but for five that are explicit in the linear part and restart sampling, is nearer "
    r"to the data than the SDE's setting, in the Frechet or the sliced distance, beyond two standard errors "
    r"of a difference of independent runs.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    return measure_at_most(_leads("sde", "stochastic", _FEW), 2.0, _LEAD)


@claim(
    "few-deterministic",
    r"Nor is one without noise, iPNDM included, nearer than the ODE's setting, nor than the best, with as "
    r"many calls.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    leads = [lead for own in ("ode", "best") for lead in _leads(own, "deterministic", _FEW)]
    return measure_at_most(leads, 2.0, _LEAD)


@claim(
    "few-price",
    r"With 8 and 10 calls the SDE's setting is at most 1.5 times as far from the data as the best sampler "
    r"without noise, settings included: the geometric mean of the Frechet distances over the four mixtures.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    def mean(nfe: int, kind: str, sampler: str) -> float:
        return overall(_recorded(), kind, sampler, nfe, ["frechet"])

    def without_noise(nfe: int) -> set[tuple[str, str]]:
        listed = [e for e in _recorded() if e.nfe == nfe and e.kind == "deterministic"]
        return {(e.kind, e.sampler) for e in listed} | {("tuned", "ode")}

    ratios = [
        mean(n, "tuned", "sde") / min(mean(n, *one) for one in without_noise(n)) for n in (8, 10)
    ]
    return measure_at_most(ratios, 1.5, "largest ratio")


@claim(
    "few-half",
    r"With the denoiser's output rounded to half precision the Frechet distances with 10 and 20 calls, SDE "
    r"and ODE, change by less than their standard error.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    mixture = HELD_OUT[0].mixture
    scale = width(mixture)

    def rounded(x: Tensor, sigma: float) -> Tensor:
        return mixture(x, sigma).half().to(x)

    def change(setting: Setting) -> float:
        exact, half = (
            distances(lambda _, x, z, D=model: setting(D, x, scale, z), HELD_OUT[0], 20_000)  # type: ignore[misc]
            for model in (mixture, rounded)
        )
        return abs(half.frechet - exact.frechet) / exact.frechet_error

    changes = [change(few_steps(nfe, eta=at)) for nfe in (10, 20) for at in (1.0, 0.0)]
    return measure_at_most(changes, 1.0, "largest change, in standard errors")

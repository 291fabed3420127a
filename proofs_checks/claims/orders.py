"""Chapter "Measured orders": exact errors on Gaussian data, and their leading constants."""

import itertools
import math
from functools import partial

import mpmath
import sympy as sp
import torch

from proofs_checks.leading import leading_constant, level, local_defect, v_end, v_start
from proofs_checks.ledger import Evidence, Verdict, claim, measure, measure_at_most, prove
from proofs_checks.measured import (
    DATA_SET,
    START,
    STEPS,
    STOP,
    VARIANCES,
    WITHIN,
    fitted,
    measure_limit,
    measure_order,
    order_fits,
    responses,
)
from seeds_theory import make_plan, uniform_log_snr
from seeds_theory.exact import DATA, NOISE, SemilinearForm, variance
from seeds_theory.methods import SEEDS, method
from seeds_theory.tableau import Tableau
from toy_models.convergence import gaussian_study, plan_response
from toy_models.gaussian import Gaussian
from toy_models.mixture import CURVED
from toy_models.paths import CoupledPaths, mixture_study
from toy_models.response import (
    least_strong_errors,
    path_distances,
    strong_errors,
    weak_errors,
)

HERE = "this project"


def orders_on_gaussians(
    name: str, prediction: str, kind: str, expected: float, eta: float = 1.0
) -> Evidence:
    """The order that a method shows on Gaussian data of several variances, against the expected one."""
    fits = order_fits(name, prediction, eta)[kind]
    return measure_order(fits, expected, f"{len(fits)} data variances from 0.25 to 25")


for _name in SEEDS:
    for _form in (DATA, NOISE):
        for _kind in ("strong", "weak"):
            _declared = float(getattr(method(_name).orders, _kind))
            claim(
                f"orders-{_kind}-{_name}-{_form.name}",
                rf"{_name} in {_form.name} prediction has {_kind} order {_declared:g} on Gaussian data.",
                source=HERE,
                expected=Verdict.measured,
            )(partial(orders_on_gaussians, _name, _form.name, _kind, _declared))


def _ode_order(name: str) -> Evidence:
    fits = [fit for form in ("data", "noise") for fit in order_fits(name, form, 0.0)["strong"]]
    what = f"{len(VARIANCES)} data variances and both predictions"
    return measure_order(fits, method(name).orders.ode, what)


for _name in SEEDS:
    claim(
        f"orders-ode-{_name}",
        rf"At $\eta = 0$ {_name} is an exponential Runge-Kutta method of order "
        rf"{method(_name).orders.ode}, measured on Gaussian data in both predictions.",
        source="Hochbruck and Ostermann (2010); DPM-Solver (2022)",
        expected=Verdict.measured,
    )(partial(_ode_order, _name))


for _name in (
    "seeds-2@0.7",
    "seeds-2b@1",
    "seeds-3@0.25,0.75",
    "seeds-3b@0.5,1",
    "seeds-3@0.7,0.4",
):
    claim(
        f"orders-nodes-{_name}",
        rf"{_name} keeps weak order 2: with the exact joint noise any admissible nodes will do.",
        source=HERE,
        expected=Verdict.measured,
    )(partial(orders_on_gaussians, _name, "data", "weak", 2.0))


def _both_orders(eta: float) -> Evidence:
    strong = orders_on_gaussians("seeds-3", "data", "strong", 1.0, eta)
    weak = orders_on_gaussians("seeds-3", "data", "weak", 2.0, eta)
    return strong if strong.verdict is not Verdict.measured else weak


for _eta in (0.3, 2.0):
    claim(
        f"orders-eta-{_eta:g}",
        rf"At $\eta = {_eta:g}$ SEEDS-3 has strong order 1 and weak order 2, as at $\eta = 1$.",
        source=HERE,
        expected=Verdict.measured,
    )(partial(_both_orders, _eta))


c, v = variance, level
_DEFECTS: dict[tuple[str, SemilinearForm], sp.Expr] = {
    ("seeds-1", DATA): -4 * c * v / (c + v),
    ("seeds-2", DATA): -2 * c * v / (c + v),
    ("seeds-2b", DATA): -2 * c * v / (3 * (c + v)),
    ("seeds-3", DATA): c**2 * v / (3 * (c + v) ** 2),
    ("seeds-3b", DATA): c**2 * v / (3 * (c + v) ** 2),
    ("seeds-1", NOISE): 2 * v * (v - c) / (c + v),
    ("seeds-2", NOISE): -v * (v - c) / (2 * (c + v)),
    ("seeds-2b", NOISE): -v * (v - c) / (6 * (c + v)),
    ("seeds-3", NOISE): v**3 / (3 * (c + v) ** 2),
    ("seeds-3b", NOISE): v**3 / (3 * (c + v) ** 2),
}


def _defect_is(name: str, form: SemilinearForm, stated: sp.Expr) -> Evidence:
    return defect_is(method(name), form, stated)


def defect_is(tableau: Tableau, form: SemilinearForm, stated: sp.Expr) -> Evidence:
    """Whether a step errs in the variance of Gaussian data by this d(v), and by nothing at lower powers."""
    *lower, last = local_defect(tableau, form)
    identities = [*((coefficient, sp.Integer(0)) for coefficient in lower), (last, stated)]
    return prove(identities, "expanded for symbolic c and v, lower orders vanish")


for (_name, _form), _defect in _DEFECTS.items():
    claim(
        f"orders-defect-{_name}-{_form.name}",
        rf"One step of {_name} in {_form.name} prediction errs in the variance of Gaussian data by "
        rf"${sp.latex(_defect)}\,h^{{{method(_name).orders.weak + 1}}} + \dots$ "
        r"($\eta = 1$, $v = \sigma^2$).",
        source=HERE,
        expected=Verdict.proved,
    )(partial(_defect_is, _name, _form, _defect))


@claim(
    "orders-w2",
    r"On the line, let a Gaussian of mean $m$ and variance $V$ be off by $\mu\epsilon$ in the mean and by "
    r"$\nu\epsilon$ in the variance. As $\epsilon \to 0$ its $W_2$ is $\epsilon\sqrt{\mu^2 + \nu^2/4V}$; "
    r"$\mathbb E\psi$ is off by $\epsilon\,\mathbb E\,(\mu\,\psi' + \frac12\nu\,\psi'')$, $\psi$ of degree 6 "
    r"at most: both have the order of mean and variance.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    y, m, mu, nu = sp.symbols("y m mu nu", real=True)
    V, off = sp.symbols("V epsilon", positive=True)
    square = (mu * off) ** 2 + (sp.sqrt(V + nu * off) - sp.sqrt(V)) ** 2
    identities = [(sp.limit(square / off**2, off, 0), mu**2 + nu**2 / (4 * V))]

    def mean(psi: sp.Expr, centre: sp.Expr, spread: sp.Expr) -> sp.Expr:
        """By the heat equation; the series ends for polynomials."""
        terms = (
            (spread / 2) ** n / sp.factorial(n) * sp.diff(psi, y, 2 * n).subs(y, centre)
            for n in range(4)
        )
        return sp.Add(*terms)

    for degree in range(1, 7):
        psi = y**degree
        slope = sp.diff(mean(psi, m + mu * off, V + nu * off), off).subs(off, 0)
        first, second = (mean(sp.diff(psi, y, n), m, V) for n in (1, 2))
        identities.append((slope, mu * first + nu / 2 * second))
    return prove(identities, "the formula of W_2 of normal laws, and six monomials")


@claim(
    "orders-response",
    r"The strong and weak errors that response kernels give agree with the formulas of SEEDS-1 in closed "
    r"form, in 50 digits, to $10^{-13}$, from 1 to 512 steps.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    unit, start, stop = Gaussian.scalar(1.0), 10.0, 0.05
    differences = []
    for steps in (1, 8, 64, 512):
        sigmas = uniform_log_snr(start, stop, steps)
        response = plan_response(make_plan("seeds-1", sigmas), unit)
        strong, weak = _seeds_1_in_closed_form(sigmas.tolist())
        differences += [
            abs(float(strong_errors(response, unit, start, stop, 1.0)) - strong),
            abs(float(weak_errors(response, unit, start, stop)) - weak),
        ]
    return measure_at_most(differences, 1e-13, "largest difference")


def _seeds_1_in_closed_form(sigmas: list[float]) -> tuple[float, float]:
    """Strong and weak error for data of variance 1, in the clock v: kernels gain b/v and q/(1 + v)."""
    with mpmath.workdps(50):
        levels = [mpmath.mpf(s) ** 2 for s in sigmas]
        first, q = levels[0], 1 + levels[-1]
        gain, square, noise = mpmath.mpf(1), mpmath.mpf(0), mpmath.mpf(0)
        for a, b in reversed(list(itertools.pairwise(levels))):
            p = gain * b
            square += p**2 * (1 / b - 1 / a) + q**2 * (1 / (1 + b) - 1 / (1 + a))
            square -= 2 * p * q * (mpmath.log(a / b) - mpmath.log((1 + a) / (1 + b)))
            noise += gain**2 * (b - b**2 / a)
            gain *= b / a + (1 - b / a) / (1 + a)
        strong = mpmath.sqrt(square + (gain - q / (1 + first)) ** 2 * (1 + first))
        weak = abs(mpmath.sqrt(gain**2 * (1 + first) + noise) - mpmath.sqrt(q))
        return float(strong), float(weak)


@claim(
    "orders-barrier",
    r"On Gaussian data no sampler that knows the path by its noise at nodes beats strong order 1: the least "
    r"error, by regression on the known noises, has order 1 itself.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    least = []
    for steps in STEPS:
        plan = make_plan("seeds-3", uniform_log_snr(START, STOP, steps))
        known = [interval for step in plan.steps for interval in step.intervals]
        least.append(least_strong_errors(known, DATA_SET, START, STOP, 1.0))
        reached = strong_errors(plan_response(plan, DATA_SET), DATA_SET, START, STOP, 1.0)
        if (reached < least[-1]).any():
            return Evidence(Verdict.refuted, f"SEEDS-3 in {steps} steps is below the bound")
    return measure_order(
        fitted(least), 1.0, f"the bound, {len(VARIANCES)} data variances; SEEDS-3 stays above"
    )


@claim(
    "orders-constants",
    r"The final variance errs by $K h^p$ with $K = (c+v_T)^2\int d(v)/(2v(c+v)^2)\,dv$: measured over "
    r"predicted error tends to 1 for every method in both predictions.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    cases = itertools.product(SEEDS, (DATA, NOISE))
    return measure_limit((_ratios(name, form) for name, form in cases), 0.005)


def _ratios(name: str, form: SemilinearForm) -> list[torch.Tensor]:
    """Measured over predicted variance error at the last three step counts, for each data variance."""
    tableau = method(name)
    formula = leading_constant(tableau, form).subs({v_start: START**2, v_end: STOP**2})
    constants = torch.tensor(
        [float(formula.subs(variance, c)) for c in VARIANCES], dtype=torch.float64
    )
    start, end = DATA_SET.variances + START**2, DATA_SET.variances + STOP**2
    ratios = []
    for steps, response in zip(STEPS[-3:], responses(name, form.name)[-3:], strict=True):
        error = response.variance(start) - end
        length = math.log(START / STOP) / steps
        ratios.append(error / (constants * length**tableau.orders.weak))
    return ratios


@claim(
    "orders-telescoping",
    r"In noise prediction the defects of SEEDS-1 and SEEDS-2 telescope: $K \propto (c+v_T)^2"
    r"\big[\frac{v_S}{(c+v_S)^2} - \frac{v_T}{(c+v_T)^2}\big]$, which vanishes iff $v_S v_T = c^2$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    bracket = v_start / (c + v_start) ** 2 - v_end / (c + v_end) ** 2
    roots = (v_start - v_end) * (c**2 - v_start * v_end)
    identities = [
        (bracket * (c + v_start) ** 2 * (c + v_end) ** 2, roots),
    ]
    for name, factor in (
        ("seeds-1", -1),
        ("seeds-2", sp.Rational(1, 4)),
        ("seeds-2b", sp.Rational(1, 12)),
    ):
        constant = leading_constant(method(name), NOISE)
        identities.append((constant, factor * (c + v_end) ** 2 * bracket))
    return prove(identities, "integrated for symbolic c, v_S, v_T")


@claim(
    "orders-accidental",
    r"Where $v_S v_T = c^2$, SEEDS-1 in noise prediction shows weak order 2 instead of 1.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    study = gaussian_study(
        "seeds-1", Gaussian.scalar(1.0), STEPS, prediction="noise", sigma_max=4.0, sigma_min=0.25
    )
    fit = study.weak_fit
    return measure(fit.order, fit.uncertainty or 0.0, 2.0, WITHIN, "weak order at c = 1, 4 to 1/4")


@claim(
    "orders-predictions-agree",
    r"Data and noise prediction converge to the same solution: on one Brownian path their distance is "
    r"of strong order 1 in $h$, for SEEDS-1, -2 and -3.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    fits = []
    for name in ("seeds-1", "seeds-2", "seeds-3"):
        pairs = zip(responses(name, "data"), responses(name, "noise"), strict=True)
        fits += fitted(path_distances(*pair, DATA_SET, START, STOP) for pair in pairs)
    return measure_order(fits, 1.0, f"3 methods and {len(VARIANCES)} data variances")


@claim(
    "orders-curved",
    r"On curved data, a mixture of three Gaussians, SEEDS-1 has strong order 1.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    paths = CoupledPaths(batches=8, size=2048)
    study = mixture_study(
        "seeds-1", CURVED, (8, 16, 32, 64), sigma_max=START, sigma_min=STOP, paths=paths
    )
    fit = study.strong_fit
    return measure(fit.order, fit.uncertainty or 0.0, 1.0, WITHIN, "slope on 16384 coupled paths")

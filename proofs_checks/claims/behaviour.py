"""Chapter "At few steps": martingales, growth factors, and denoisers that are wrong."""

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial

import mpmath
import numpy as np
import sympy as sp
import torch

from proofs_checks.densities import LEVEL, AnyData
from proofs_checks.growth import (
    at_point_data,
    cancelled,
    exact_gain,
    relative_gain,
    step_response,
)
from proofs_checks.leading import level, v_end
from proofs_checks.ledger import Evidence, Verdict, claim, measure, measure_at_most, prove
from proofs_checks.measured import measure_limit
from proofs_checks.misfit import (
    Bump,
    Misfit,
    noise_error,
    ratio,
    start_ratio,
    window_mean,
    window_variance,
)
from proofs_checks.order_conditions import weak_defects
from proofs_checks.taylor import rates
from proofs_checks.trees import TIME, Forest, Tree, multiplicity
from seeds_theory import make_plan, uniform_log_snr
from seeds_theory.exact import (
    DATA,
    GAUSSIAN,
    NOISE,
    diffusion,
    eta,
    lam,
    lam_s,
    lam_t,
    variance,
)
from seeds_theory.formula import step_formula
from seeds_theory.methods import SEEDS, method
from seeds_theory.noise import h
from seeds_theory.phi import NUMERIC
from seeds_theory.plan import Plan
from seeds_theory.tableau import Orders, Tableau
from toy_models.convergence import plan_response
from toy_models.gaussian import Gaussian
from toy_models.mixture import CURVED, GaussianMixture

HERE = "this project"
c, v = variance, level


# ------------------------------------------------------------------ martingales, for any data


@claim(
    "behaviour-martingale",
    r"Along the SDE the drift of $D(Y_\lambda, \lambda)$ is "
    r"$(\eta - 1)\big[((D-y)\cdot\nabla) D + e^{-2\lambda}\Delta D\big]$ for every data distribution: "
    r"at $\eta = 1$ it vanishes.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = [
        (data.drift(component), (eta - 1) * data.response(component))
        for data in (AnyData(1), AnyData(2))
        for component in data.denoiser
    ]
    return prove(identities, "Ito's formula for an arbitrary density in one and two dimensions")


@claim(
    "behaviour-noise-decay",
    r"Along the SDE the drift of the exact noise prediction $\varepsilon = e^\lambda (y - D)$ is "
    r"$-\eta\,\varepsilon - (\eta-1)\,e^\lambda\big[((D-y)\cdot\nabla) D + e^{-2\lambda}\Delta D\big]$: "
    r"at $\eta = 1$ it is $-\varepsilon$ for every data distribution.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = []
    for data in (AnyData(1), AnyData(2)):
        for y, component in zip(data.state, data.denoiser, strict=True):
            noise = sp.exp(lam) * (y - component)
            stated = -eta * noise - (eta - 1) * sp.exp(lam) * data.response(component)
            identities.append((data.drift(noise), stated))
    return prove(identities, "Ito's formula for an arbitrary density in one and two dimensions")


_spread, _estimate, _state = sp.symbols("K D y", real=True)


@claim(
    "behaviour-posterior-gaussian",
    r"On Gaussian data at $\eta = 1$ the exact step has the mean of SEEDS-1 in data prediction, and a "
    r"conditional variance larger by $(1-e^{-2h})^2\,\frac{cv}{c+v}$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    step = step_response(method("seeds-1"), DATA)
    exact = exact_gain().subs(eta, 1)
    # From the marginal to the marginal: c + v e^{-2h} is the exact gain squared times c + v, and noise.
    noise = c + v * sp.exp(-2 * h) - exact**2 * (c + v)
    missing = (1 - sp.exp(-2 * h)) ** 2 * c * v / (c + v)
    identities = [
        (step.gain.subs(eta, 1).doit(), exact),
        (noise - step.noise_variance.subs(eta, 1).doit(), missing),
    ]
    return prove(identities, "for symbolic c, v and h")


# Two dimensions, one component rotated.
_ROTATED = GaussianMixture(
    (0.5, 0.3, 0.2),
    (
        Gaussian.from_covariance(torch.tensor([-1.0, 0.5]), torch.tensor([[0.5, 0.3], [0.3, 0.4]])),
        Gaussian(torch.tensor([1.2, 0.0]), torch.tensor([0.1, 0.6])),
        Gaussian(torch.tensor([0.0, -1.5]), torch.tensor([0.3, 0.05])),
    ),
)


@claim(
    "behaviour-posterior-step",
    r"On a mixture in two dimensions, at $\eta = 1$: the exact transition has the mean of SEEDS-1 in data "
    r"prediction and the covariance of its noise plus $(1-e^{-2h})^2\,\sigma_s^2\,\nabla D$, to "
    r"$10^{-13}$, for steps of length 0.01 to 8.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    differences = []
    for sigma, length in itertools.product((5.0, 1.0, 0.3), (0.01, 0.3, 1.0, 3.0, 8.0)):
        step = make_plan("seeds-1", [sigma, sigma * math.exp(-length)]).steps[0]
        (row,) = step.rows
        for y in _ROTATED.marginal(sigma).sample(3, torch.Generator().manual_seed(0)):
            exact = _ROTATED.transition(y, step.sigma, step.sigma_next)
            mean = row.state * y + row.drift[0] * _ROTATED(y[None], sigma)[0]
            jacobian = torch.autograd.functional.jacobian(
                lambda x, sigma=sigma: _ROTATED(x[None], sigma)[0], y
            )
            posterior = math.expm1(-2 * length) ** 2 * sigma**2 * jacobian
            covariance = row.noise[0] ** 2 * torch.eye(2, dtype=y.dtype) + posterior
            differences += [
                float((mean - exact.mean).abs().max()),
                float((covariance - exact.covariance).abs().max()),
            ]
    return measure_at_most(differences, 1e-13, "largest difference in an entry")


@claim(
    "behaviour-noise-mean",
    r"At $\eta = 1$, for every data distribution, SEEDS-1 in noise prediction has the conditional mean "
    r"off by $(1-e^{-h})^2\,(D_s - y_s)$ and the covariance off by "
    r"$(1-e^{-2h})^2\,(\sigma_s^2 - K)$, $K$ being the covariance of the data given $y_s$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    (row,) = step_formula(method("seeds-1"), NOISE)
    state, drift, noise = (e.subs(eta, 1).doit() for e in (row.state, row.drift[0], row.noise[0]))
    decay, start = sp.exp(-2 * h), sp.exp(-2 * lam_s)
    mean = state * _state + drift * sp.exp(lam_s) * (_state - _estimate)
    exact_mean = decay * _state + (1 - decay) * _estimate
    exact_spread = start * decay * (1 - decay) + (1 - decay) ** 2 * _spread
    return prove(
        [
            (mean - exact_mean, (1 - sp.exp(-h)) ** 2 * (_estimate - _state)),
            (noise**2 - exact_spread, (1 - decay) ** 2 * (start - _spread)),
        ],
        "the step's row against the exact conditional law, for symbolic D, y, K, h and level",
    )


_c2, _c3 = sp.symbols("c_2 c_3", positive=True)
_w1, _w2, _w3 = sp.symbols("w_1:4", real=True)
_ANY = tuple(
    Tableau(
        f"any, {len(nodes) + 1} stages", nodes, stages, weights, Orders(Fraction(1), 1, 1), HERE
    )
    for nodes, stages, weights in (
        ((), (), ()),
        ((_c2,), ((),), (_w1,)),
        ((_c2, _c3), ((), (_w1,)), (_w2, _w3)),
    )
)
"""Tableaux of one to three stages with arbitrary nodes and weights; a constant is integrated exactly."""


@claim(
    "behaviour-gain-data",
    r"At $\eta = 1$ the gain in data prediction on Gaussian data is the exact propagator, "
    r"$\frac{c + v e^{-2h}}{c+v}$, for every $h$ and for every tableau of up to three stages that "
    r"integrates constants exactly, whatever its nodes and weights.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    exact = exact_gain().subs(eta, 1)
    gains = (step_response(tableau, DATA).gain.subs(eta, 1).doit() for tableau in _ANY)
    identities = ((cancelled(gain - exact), sp.Integer(0)) for gain in gains)
    return prove(identities, "for symbolic c, v, h, nodes and weights")


@claim(
    "behaviour-gain-eta",
    r"On Gaussian data the gain of SEEDS-1 in data prediction differs from the exact one by "
    r"$\frac{(1+\eta)(\eta-1)}{2}\,\frac{cv}{(c+v)^2}\,h^2 + \dots$: only at $\eta = 1$ is it exact.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    difference = step_response(method("seeds-1"), DATA).gain.doit() - exact_gain()
    identities = [
        (sp.diff(difference, h, order).subs(h, 0), order_value)
        for order, order_value in enumerate(
            (sp.Integer(0), sp.Integer(0), (1 + eta) * (eta - 1) * c * v / (c + v) ** 2)
        )
    ]
    return prove(identities, "two derivatives at h = 0, for symbolic c, v and eta")


class _LawsonOnTheLine:
    """The elementary differentials of a scalar equation in Lawson's variables, at the step's start."""

    def __init__(self, data: AnyData) -> None:
        self.data = data
        (self.y,) = data.state
        (denoiser,) = data.denoiser
        self.f = DATA.propagator(lam_s, lam) * DATA.drift(lam) * denoiser

    def _derivative(self, field: sp.Expr, in_state: int, in_time: int) -> sp.Expr:
        """At fixed x the state y moves along the linear part; x itself is y carried to the start."""
        for _ in range(in_time):
            field = sp.diff(field, lam) + DATA.linear(lam) * self.y * sp.diff(field, self.y)
        for _ in range(in_state):
            field = DATA.propagator(lam, lam_s) * sp.diff(field, self.y)
        return field

    def value(self, tree: Tree) -> sp.Expr:
        """A tree's value; each noise leaf is worth g."""
        if not isinstance(tree, tuple):
            return diffusion
        children = [child for child in tree if child != TIME]
        node = self._derivative(self.f, len(children), len(tree) - len(children))
        return node * sp.Mul(*(self.value(child) for child in children))

    def at_start(self, expression: sp.Expr) -> sp.Expr:
        return self.data.heat(expression.subs(lam_s, lam))


@claim(
    "behaviour-noise-response",
    r"Of the five terms of order $h^2$ that SEEDS-1 in data prediction gets wrong, the four in the mean add "
    r"up to $-\frac{1+\eta}{2}(\eta-1)\,[((D-y)\cdot\nabla)D + e^{-2\lambda}\Delta D]$, on the line: to "
    r"nothing at $\eta = 1$. The fifth is $-\frac12\,\varphi''(f'(e_a), e_a)$, in units of the "
    r"noise: the response to it. SEEDS-2 and SEEDS-3 have none.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    data = AnyData(1)
    line, (denoiser,) = _LawsonOnTheLine(data), data.denoiser
    defects = list(weak_defects(method("seeds-1"), rates(DATA), 2))
    mean = sp.Add(
        *(
            multiplicity(defect.forest) * defect.value * line.value(defect.forest[0])
            for defect in defects
            if len(defect.forest) == 1
        )
    )
    stated = -(1 + eta) / 2 * (eta - 1) * data.response(denoiser)
    rest: dict[Forest, sp.Expr] = {d.forest: d.value for d in defects if len(d.forest) > 1}
    response: Forest = ((1,), 1)
    # Half of phi'' multiplies a covariance, which therefore lacks g^2 f' h^2, here 4 v D' h^2.
    lacking = line.at_start(2 * multiplicity(response) * line.value((1,)) * diffusion / 2)
    identities = [
        (line.at_start(mean), stated),
        (rest.get(response, sp.Integer(0)), -sp.Rational(1, 2)),
        (sp.Integer(len(defects)), sp.Integer(5)),
        (lacking.subs(eta, 1), 4 * LEVEL * sp.diff(denoiser, *data.state)),
    ]
    identities += [
        (sp.Integer(len(list(weak_defects(method(name), rates(DATA), 2)))), sp.Integer(0))
        for name in ("seeds-2", "seeds-2b", "seeds-3", "seeds-3b")
    ]
    return prove(
        identities, "trees of the Taylor engine, valued for an arbitrary density on the line"
    )


@claim(
    "behaviour-curved-mean",
    r"On curved data at $\eta = 1$ the conditional mean of SEEDS-2 in data prediction is off by "
    r"$-2 c_2\,\sigma^2 D'\,D''\,h^3 + \dots$ on the line: the ratio tends to 1.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    ratios = []
    for (y, sigma), node in itertools.product(((0.3, 1.0), (-1.0, 0.7), (2.0, 2.0)), (0.5, 0.8)):
        first, second = _slopes(y, sigma)
        stated = -2 * node * sigma**2 * first * second
        found = (_mean_defect(y, sigma, length, node) for length in (0.04, 0.02, 0.01))
        ratios.append([torch.tensor([defect / stated], dtype=torch.float64) for defect in found])
    return measure_limit(ratios, 0.01)


def _slopes(y: float, sigma: float) -> tuple[float, float]:
    """The first and second derivative of the mixture's denoiser."""
    x = torch.tensor([[y]], dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(CURVED(x, sigma), x, create_graph=True)
    (second,) = torch.autograd.grad(first, x)
    return first.item(), second.item()


_POINTS, _MASSES = np.polynomial.hermite_e.hermegauss(80)


def _mean_defect(y: float, sigma: float, length: float, node: float) -> float:
    """The conditional mean of one step of SEEDS-2, by quadrature, less the exact one; over h^3."""
    step = make_plan(f"seeds-2@{node}", [sigma, sigma * math.exp(-length)]).steps[0]
    stage, end = step.rows
    first = float(CURVED(torch.tensor([[y]], dtype=torch.float64), sigma))
    states = stage.state * y + stage.drift[0] * first + stage.noise[0] * _POINTS
    second = CURVED(torch.from_numpy(states)[:, None], stage.sigma)[:, 0].numpy()
    # Both integrate a constant D alike; what differs is the mean of the second estimate from the first.
    return float(end.drift[1] * (_MASSES @ (second - first)) / _MASSES.sum() / length**3)


# ------------------------------------------------------------------------- growth, at point data


def _in_exp(text: str) -> sp.Expr:
    return sp.sympify(text, locals={"h": h})


_GAINS = {
    "seeds-1": _in_exp("2*exp(-h) - 1"),
    "seeds-2": _in_exp("2*exp(h/2) - 3 - 2*exp(-h/2) + 4*exp(-h)"),
    "seeds-2b": _in_exp("4*exp(h/2)/h - 1 - 4/h - 4*(1 + 1/h)*exp(-h/2) + (6 + 4/h)*exp(-h)"),
}
"""Gains in noise prediction at eta = 1 on point data."""
_GROWTH = {
    "seeds-1": (sp.Integer(1), -1),
    "seeds-2": (sp.exp(h / 2), 2),
    "seeds-2b": (sp.exp(h / 2) / h, 4),
    "seeds-3": (sp.exp(h) / h**2, -18),
    "seeds-3b": (sp.exp(h) / h**2, 18),
}
"""What these gains grow like, and the factor."""


def _gain_is(name: str, stated: sp.Expr) -> Evidence:
    gain = at_point_data(step_response(method(name), NOISE).gain)
    return prove([(gain, stated)], "for symbolic h")


for _name, _gain in _GAINS.items():
    claim(
        f"behaviour-gain-noise-{_name}",
        rf"At $\eta = 1$ and $v/c \to \infty$ the gain of {_name} in noise prediction is "
        rf"${sp.latex(_gain)}$.",
        source=HERE,
        expected=Verdict.proved,
    )(partial(_gain_is, _name, _gain))


def _limit(term: sp.Expr) -> sp.Expr:
    """The limit in h of a power of h times an exponential."""
    power, exponential = term.as_independent(sp.exp)
    rate = sp.log(exponential).expand(force=True) / h
    return sp.limit(power, h, sp.oo) if rate == 0 else sp.limit(sp.exp(rate * h), h, sp.oo)


@claim(
    "behaviour-growth",
    r"As $h \to \infty$ these gains behave as $-1$ for SEEDS-1, $2e^{h/2}$ for SEEDS-2, $4e^{h/2}/h$ for "
    r"SEEDS-2b, $-18e^h/h^2$ for SEEDS-3 and $18e^h/h^2$ for SEEDS-3b; the exact one is $e^{-2h}$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = []
    for name, (growth, factor) in _GROWTH.items():
        gain = at_point_data(step_response(method(name), NOISE).gain)
        terms = sp.Add.make_args(sp.expand(sp.powsimp(sp.expand(gain / growth))))
        identities.append((sp.Add(*map(_limit, terms)), sp.Integer(factor)))
    identities.append((at_point_data(exact_gain()), sp.exp(-2 * h)))
    return prove(identities, "limits of the gains in closed form")


@claim(
    "behaviour-low-noise",
    r"At $\eta = 1$, as $v/c \to 0$, the gains of all methods in both predictions tend to the exact one, 1.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    sigma = sp.Symbol("sigma", positive=True)
    identities = []
    for name, form in itertools.product(SEEDS, (DATA, NOISE)):
        gain = step_response(method(name), form).gain.subs(eta, 1).subs(level, sigma**2)
        identities.append((sp.powsimp(gain).subs(sigma, 0).doit(), sp.Integer(1)))
    return prove(identities, "the gains are rational in sigma; at sigma = 0, for symbolic c and h")


@claim(
    "behaviour-point-ode",
    r"At $\eta = 0$ both predictions are exact at $v/c \to \infty$: the gain is $e^{-h}$ for every tableau "
    r"of up to three stages that integrates constants exactly.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = []
    for tableau, form in itertools.product(_ANY, (DATA, NOISE)):
        gain = step_response(tableau, form).gain.subs({eta: 0, c: 0}).doit()
        identities.append((gain, sp.exp(-h)))
    return prove(identities, "for symbolic h, nodes and weights")


@claim(
    "behaviour-stability",
    r"In units of the noise level the gain of noise prediction at $v/c \to \infty$ is "
    r"$G = 1 + \eta - \eta e^h$ for SEEDS-1, with $G = -1$ at $h = \log(1 + 2/\eta)$; and for SEEDS-2, "
    r"$\eta = 1$, $x = e^{h/2}$, it has $G - 1 = (x-1)(x+1)(2x-3)$ and "
    r"$G + 1 = 2(x-1)^3 + 3(x-1)^2 - 2(x-1) + 2$, and $x^2$ times its gain less 1 is "
    r"$2(x-2)(x-1)(x+1)$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    rate, x = sp.symbols("eta_0 x", positive=True)
    one = step_response(method("seeds-1"), NOISE).gain.subs({c: 0, eta: rate}).doit() * sp.exp(h)
    two = relative_gain(method("seeds-2")).subs(h, 2 * sp.log(x))
    return prove(
        [
            (one, 1 + rate - rate * sp.exp(h)),
            (one.subs(h, sp.log(1 + 2 / rate)), sp.Integer(-1)),
            (two - 1, (x - 1) * (x + 1) * (2 * x - 3)),
            (two + 1, 2 * (x - 1) ** 3 + 3 * (x - 1) ** 2 - 2 * (x - 1) + 2),
            (two - x**2, 2 * (x - 2) * (x - 1) * (x + 1)),
        ],
        "for symbolic h and eta",
    )


_LIMITS = {
    "seeds-1": 1.0986,
    "seeds-2": 0.8109,
    "seeds-2b": 0.9273,
    "seeds-3": 1.2366,
    "seeds-3b": 1.3949,
}
"""The longest stable step in noise prediction."""


def _stable_up_to(name: str, expected: float) -> Evidence:
    """The one crossing of |G| = 1 between steps of 0.02 and of 10, on a grid and then by bisection."""
    size = sp.lambdify(h, relative_gain(method(name)), "mpmath")
    with mpmath.workdps(20):
        lengths = [mpmath.mpf(n) / 50 for n in range(1, 501)]
        stable = [abs(size(length)) < 1 for length in lengths]
        crossings = [i for i, (a, b) in enumerate(itertools.pairwise(stable)) if a != b]
        if len(crossings) != 1 or not stable[0]:
            return Evidence(Verdict.refuted, f"|G| = 1 is crossed {len(crossings)} times")
        ends = lengths[crossings[0]], lengths[crossings[0] + 1]
        root = mpmath.findroot(lambda x: abs(size(x)) - 1, ends, solver="anderson")
    return measure(float(root), 0.0, expected, 1e-4, "the one h up to 10 with |G| = 1")


for _name, _length in _LIMITS.items():
    claim(
        f"behaviour-limit-{_name}",
        rf"In noise prediction at $\eta = 1$ and $v/c \to \infty$, {_name} has $|G| < 1$ for steps up to "
        rf"$h = {_length:g}$ and $|G| > 1$ beyond, up to 10.",
        source=HERE,
        expected=Verdict.measured,
    )(partial(_stable_up_to, _name, _length))


@claim(
    "behaviour-relative-variance",
    r"SEEDS-1 in noise prediction, $\eta = 1$, $v/c \to \infty$: with $r$ the variance over its exact "
    r"value, a step maps $r$ to $(2-e^h)^2 r + e^{2h} - 1$, hence 1 to $1 + 2(e^h-1)^2$; the fixed point is "
    r"$\frac{e^h+1}{3-e^h}$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    r = sp.Symbol("r", positive=True)
    step, end = step_response(method("seeds-1"), NOISE), v * sp.exp(-2 * h)
    after = (at_point_data(step.gain) ** 2 * r * v + at_point_data(step.noise_variance)) / end
    fixed = (sp.exp(h) + 1) / (3 - sp.exp(h))
    return prove(
        [
            (after, (2 - sp.exp(h)) ** 2 * r + sp.exp(2 * h) - 1),
            (after.subs(r, 1), 1 + 2 * (sp.exp(h) - 1) ** 2),
            (after.subs(r, fixed), fixed),
        ],
        "for symbolic h",
    )


@claim(
    "behaviour-formulas",
    r"Gain and noise variance of one step in closed form are those of the sampler, to $10^{-12}$ of the "
    r"largest, for all methods, both predictions, data of variance 0, 0.25 and 4, $h$ from 0.1 to 3 and "
    r"$\eta = 0.5, 1, 2$.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    sigma, variances = 2.0, [0.0, 0.25, 4.0]
    data = Gaussian(torch.zeros(3), torch.tensor(variances))
    differences = []
    for name, form in itertools.product(SEEDS, (DATA, NOISE)):
        step = step_response(method(name), form)
        numbers = sp.lambdify(
            (c, v, h, eta),
            (step.gain, step.noise_variance),
            NUMERIC,
            cse=True,
        )
        for length, rate in ((0.1, 1.0), (1.0, 0.5), (1.0, 2.0), (3.0, 1.0)):
            grid = [sigma, sigma * math.exp(-length)]
            plan = make_plan(name, grid, eta=rate, prediction=form.name)
            response = plan_response(plan, data)
            ours = numbers(np.array(variances), sigma**2, length, rate)
            theirs = response.gain.numpy(), response.variance(0.0).numpy()
            differences += [
                float((np.abs(a - b) / np.maximum(1, np.abs(b).max())).max())
                for a, b in zip(ours, theirs, strict=True)
            ]
    return measure_at_most(differences, 1e-12, "largest difference")


RANGE = (80.0, 0.002)
"""The noise levels of the table of few steps, for data of standard deviation 0.5."""


def _few_steps(name: str, prediction: str, steps: int, expected: float, within: float) -> Evidence:
    data = Gaussian.scalar(0.25)
    plan = make_plan(name, uniform_log_snr(*RANGE, steps), prediction=prediction)
    start, exact = (0.25 + sigma**2 for sigma in RANGE)
    error = float(plan_response(plan, data).variance(start)) / exact - 1
    return measure(error, 0.0, expected, within, f"relative error of the variance, {steps} steps")


for _name, _prediction, _steps, _error, _within in (
    ("seeds-2", "noise", 5, 4.5e6, 0.05e6),
    ("seeds-2", "noise", 10, 370.0, 5.0),
    ("seeds-2", "noise", 320, 3.45e-6, 0.01e-6),
    ("seeds-2", "data", 5, -0.54, 0.005),
    ("seeds-2", "data", 10, -0.28, 0.005),
    ("seeds-2", "data", 320, -5.4e-4, 0.05e-4),
):
    claim(
        f"behaviour-few-steps-{_prediction}-{_steps}",
        rf"Data of standard deviation 0.5, $\sigma$ from 80 to 0.002, $\eta = 1$, {_steps} equal steps in "
        rf"the log-SNR: the final variance of {_name} in {_prediction} prediction has the relative "
        rf"error {_error:g}.",
        source=HERE,
        expected=Verdict.measured,
    )(partial(_few_steps, _name, _prediction, _steps, _error, _within))


# ------------------------------------------------------------------------ a denoiser that is wrong

_b, _g, _G = (sp.Function(name, real=True) for name in ("b", "gamma", "Gamma"))
_mean, _deviation = sp.symbols("m z", real=True)
_contraction = GAUSSIAN.propagator(lam_t, lam)


def _rate(time: sp.Expr) -> sp.Expr:
    """The linear coefficient of the deviation on Gaussian data."""
    return -(1 + eta) * sp.exp(-2 * time) / (c + sp.exp(-2 * time))


def _logarithmic(kernel: sp.Expr) -> sp.Expr:
    """The logarithmic derivative in the end time, which keeps powers out of the way."""
    return sp.simplify(sp.diff(sp.expand_log(sp.log(kernel), force=True), lam_t))


@claim(
    "behaviour-mean-error",
    r"On Gaussian data a denoiser with the error $b(\lambda)$ shifts the final mean by "
    r"$\int (1+\eta)\,\Phi(T,l)\,b(l)\,dl$, $\Phi = \big(\frac{c+v_T}{c+v_l}\big)^{(1+\eta)/2}$, exactly, "
    r"for every $\eta$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    level_of = c / (c + LEVEL)
    wrong = _mean + level_of * _deviation + _b(lam)
    drift = (1 + eta) * (wrong - (_mean + _deviation))
    stated = sp.expand_log(
        sp.log(((c + sp.exp(-2 * lam_t)) / (c + LEVEL)) ** ((1 + eta) / 2)), force=True
    )
    return prove(
        [
            (drift, _rate(lam) * _deviation + (1 + eta) * _b(lam)),
            (_logarithmic(_contraction), _rate(lam_t)),
            (_contraction.subs(lam_t, lam), sp.Integer(1)),
            (sp.expand_log(sp.log(_contraction), force=True), stated),
        ],
        "variation of constants: the kernel solves the homogeneous equation, for symbolic eta and c",
    )


@claim(
    "behaviour-variance-error",
    r"A denoiser with the error $\gamma(\lambda)(y-m)$ shifts the final variance by "
    r"$\int 2(1+\eta)\,\gamma\,\Phi^2 e^{2(1+\eta)\int_l^T\gamma}(c+v_l)\,dl$, exactly; at $\eta = 0$ by "
    r"$(c+v_T)\big(e^{2\int\gamma} - 1\big)$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    spread, excess = sp.symbols("V delta", real=True)
    slope, exact = sp.diff(_G(lam), lam), c + LEVEL
    linear = _rate(lam) + (1 + eta) * slope
    change = 2 * linear * spread + diffusion**2
    kernel = _contraction**2 * sp.exp(2 * (1 + eta) * (_G(lam_t) - _G(lam)))
    ode = sp.diff(sp.exp(2 * (_G(lam_t) - _G(lam))), lam)
    at_zero = (2 * slope * kernel * exact).subs(eta, 0)
    return prove(
        [
            # With the marginal's variance subtracted, the noise drops out.
            (
                change.subs(spread, exact + excess) - sp.diff(exact, lam),
                2 * linear * excess + 2 * (1 + eta) * slope * exact,
            ),
            (_logarithmic(kernel), 2 * linear.subs(lam, lam_t).doit()),
            (kernel.subs(lam_t, lam), sp.Integer(1)),
            (at_zero, -(c + sp.exp(-2 * lam_t)) * ode),
        ],
        "variation of constants for an arbitrary gamma, with antiderivative Gamma",
    )


@claim(
    "behaviour-window",
    r"As a function of $q = 1+\eta$ the effect of a short window on the mean, $q R^{-q/2}$, has the "
    r"logarithmic derivative $\frac1q - \frac12\log R$, which for $q > 0$ changes sign at "
    r"$q = 2/\log R$ only; that on the variance, $2qR^{1-q}$, at $q = 1/\log R$. At $\eta = 1$ and "
    r"$\eta = 0$ they have the ratios $2R^{-1/2}$ and $2/R$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    q, end = 1 + eta, v_end
    at = {lam: -sp.log(v) / 2, lam_t: -sp.log(end) / 2}
    kernel = (q * _contraction).subs(at)
    spread = 2 * q * _contraction**2 * (c + LEVEL) / (c + sp.exp(-2 * lam_t))
    in_levels = {ratio: (c + v) / (c + end)}

    def log(expression: sp.Expr) -> sp.Expr:
        return sp.expand_log(sp.log(expression), force=True)

    return prove(
        [
            (log(kernel), log(window_mean.subs(in_levels))),
            (log(spread.subs(at)), log(window_variance.subs(in_levels))),
            (sp.diff(log(window_mean), eta), (2 / sp.log(ratio) - q) * sp.log(ratio) / (2 * q)),
            (sp.diff(log(window_variance), eta), (1 / sp.log(ratio) - q) * sp.log(ratio) / q),
            (window_mean.subs(eta, 1) / window_mean.subs(eta, 0), 2 / sp.sqrt(ratio)),
            (window_variance.subs(eta, 1) / window_variance.subs(eta, 0), 2 / ratio),
        ],
        "from the kernels, for symbolic c, levels and eta",
    )


@claim(
    "behaviour-noise-error",
    r"A noise prediction off by a constant $\beta$ shifts the mean, as $v_T \to 0$, by $-\beta\sqrt c\,I$ "
    r"with $I = (1+\eta)\int_0^\rho (1+x^2)^{-(1+\eta)/2}dx$, $\rho = \sigma_S/\sqrt c$: "
    r"$\operatorname{asinh}\rho$ at $\eta = 0$, $2\arctan\rho$ at $\eta = 1$, and "
    r"$\frac{(1+\eta)\sqrt\pi}{2}\,\Gamma(\frac\eta2)/\Gamma(\frac{1+\eta}2)$ as $\rho \to \infty$, "
    r"$\eta > 0$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    rho, rate = start_ratio, sp.Symbol("eta_0", positive=True)
    n = sp.Symbol("n", integer=True, nonnegative=True)
    # With sigma = sqrt(c) x: b dl = (-beta sqrt(c) x) (-dx/x) backwards in x, and R = 1 + x^2.
    density = window_mean.subs(ratio, 1 + rho**2)
    whole = sp.integrate(density.subs(eta, rate), (rho, 0, sp.oo), conds="none")
    half = sp.Rational(1, 2)
    return prove(
        [
            (density, (1 + eta) * (1 + rho**2) ** (-(1 + eta) / 2)),
            (sp.diff(sp.asinh(rho), rho), density.subs(eta, 0)),
            (sp.diff(2 * sp.atan(rho), rho), density.subs(eta, 1)),
            (sp.hyperexpand(noise_error(sp.Integer(0))), sp.asinh(rho)),
            (sp.hyperexpand(noise_error(sp.Integer(1))), 2 * sp.atan(rho)),
            # The series of the hypergeometric function is the integral of the binomial series.
            (
                sp.simplify(sp.expand_func(sp.gammasimp(sp.rf(half, n) / sp.rf(3 * half, n)))),
                1 / (2 * n + 1),
            ),
            (sp.gammasimp(whole / _from_infinity(rate)), sp.Integer(1)),
        ],
        "from the window's effect, integrated over all levels",
    )


def _from_infinity(rate: sp.Expr) -> sp.Expr:
    r"""The final error per beta sqrt(c), started at infinite noise."""
    gammas = sp.gamma(rate / 2) / sp.gamma((1 + rate) / 2)
    return (1 + rate) * sp.sqrt(sp.pi) / 2 * gammas


@claim(
    "behaviour-crossing",
    r"With a constant error of the noise prediction the SDE, $\eta = 1$, ends nearer to the mean than the "
    r"ODE iff $\sigma_S/\sqrt c$ is beyond the one root of "
    r"$\operatorname{asinh}\rho = 2\arctan\rho$, which is 9.316.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    def excess(rho: mpmath.mpf) -> mpmath.mpf:
        return mpmath.asinh(rho) - 2 * mpmath.atan(rho)

    root = float(mpmath.findroot(excess, (5, 20), solver="anderson"))
    sides = [float(excess(root * factor)) for factor in (0.1, 0.5, 0.99, 1.01, 2, 100)]
    if [side > 0 for side in sides] != [False, False, False, True, True, True]:
        return Evidence(
            Verdict.refuted, f"the excess of the ODE's error changes sign elsewhere: {sides}"
        )
    return measure(root, 0.0, 9.316, 5e-4, "root of asinh = 2 arctan")


@claim(
    "behaviour-crossing-sign",
    r"$\frac{d}{d\rho}(\operatorname{asinh}\rho - 2\arctan\rho) = \frac{\sqrt{1+\rho^2} - 2}{1+\rho^2}$: "
    r"from 0 at $\rho = 0$ the difference falls up to $\rho = \sqrt3$ and rises after.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    rho = start_ratio
    excess = sp.asinh(rho) - 2 * sp.atan(rho)
    return prove(
        [
            (sp.diff(excess, rho), (sp.sqrt(1 + rho**2) - 2) / (1 + rho**2)),
            (excess.subs(rho, 0), sp.Integer(0)),
            (sp.limit(sp.exp(sp.asinh(rho)) / rho, rho, sp.oo), sp.Integer(2)),
        ],
        "differentiated",
    )


@claim(
    "behaviour-best-eta",
    r"From $\rho = \infty$ a constant error of the noise prediction does least harm to the mean at "
    r"$\eta = 1.703$, $2.987\,\beta\sqrt c$; $\eta = 1$ and $\eta = 3$ both give $\pi$.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    def slope(rate: mpmath.mpf) -> mpmath.mpf:
        """The derivative of the logarithm of the error."""
        digammas = mpmath.digamma(rate / 2) - mpmath.digamma((1 + rate) / 2)
        return 1 / (1 + rate) + digammas / 2

    best = mpmath.findroot(slope, (1, 3), solver="anderson")
    scan = [mpmath.mpf(10) ** (mpmath.mpf(n) / 20) for n in range(-60, 61)]
    if any((slope(rate) > 0) != (rate > best) for rate in scan):
        return Evidence(Verdict.refuted, "the error falls and rises more than once")
    effect = sp.lambdify(eta, _from_infinity(eta), "mpmath")
    for rate, stated, within in ((best, 2.987, 5e-4), (1, math.pi, 1e-12), (3, math.pi, 1e-12)):
        if abs(effect(mpmath.mpf(rate)) - stated) > within:
            return Evidence(Verdict.refuted, f"the error at eta = {rate} is {effect(rate)}")
    return measure(float(best), 0.0, 1.703, 5e-4, "eta of least error, of the errors stated")


@claim(
    "behaviour-start",
    r"On Gaussian data a sampler that starts from $N(0, v_S)$ instead of $N(m, c+v_S)$, exact otherwise, "
    r"ends with the mean off by $-m\,\Phi$ and the variance by $-c\,\Phi^2$, "
    r"$\Phi = \big(\frac{c+v_T}{c+v_S}\big)^{(1+\eta)/2}$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    start, end = c + sp.exp(-2 * lam_s), c + sp.exp(-2 * lam_t)
    noise = end * (
        1 - (end / start) ** eta
    )  # of the exact step: it solves Q' = 2 A Q + g^2, from 0
    equation = 2 * GAUSSIAN.linear(lam_t) * noise + diffusion.subs(lam, lam_t) ** 2
    square = (end / start) ** (1 + eta)
    propagator = GAUSSIAN.propagator(lam_t, lam_s)
    return prove(
        [
            (sp.simplify(sp.diff(noise, lam_t) - equation), sp.Integer(0)),
            (noise.subs(lam_t, lam_s), sp.Integer(0)),
            (
                sp.expand_log(sp.log(propagator**2), force=True),
                sp.expand_log(sp.log(square), force=True),
            ),
            (sp.powsimp(sp.expand(square * (start - c) + noise - end)), -c * square),
        ],
        "by linearity, with the noise of the exact solution",
    )


RATES = (0.0, 0.5, 1.0, 2.0)
SPAN = (50.0, 0.02)
COUNTS = (60, 120)
"""Noise levels and numbers of steps of the runs that are extrapolated."""
_DATA_SET = Gaussian(torch.tensor([1.0, -0.5, 0.0, 2.0]), torch.tensor([0.25, 1.0, 0.25, 4.0]))
_NONE = Bump(0.0, 1.0)


def _extrapolated(figure: Callable[[int], np.ndarray], order: int) -> np.ndarray:
    """A figure as a function of the number of steps, its leading error removed."""
    coarse, fine = figure(COUNTS[0]), figure(COUNTS[1])
    return fine + (fine - coarse) / (2**order - 1)


def _plan(steps: int, rate: float) -> Plan:
    return make_plan("seeds-3", uniform_log_snr(*SPAN, steps), eta=rate)


@claim(
    "behaviour-sampler-mean",
    r"SEEDS-3 with a denoiser wrong near $\sigma = 20$, 1 or 0.1, or by a constant in the noise prediction, "
    r"shifts the mean as stated, to $10^{-4}$ of the shift, at $\eta = 0, 0.5, 1, 2$ (extrapolated from 60 "
    r"and 120 steps).",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    errors = (Bump(0.1, 20.0), Bump(0.1, 1.0), Bump(0.1, 0.1), lambda sigma: -0.1 * sigma)
    wrong = Misfit(_DATA_SET, errors, (_NONE,) * 4)
    differences = []
    for rate in RATES:

        def shift(steps: int, rate: float = rate) -> np.ndarray:
            response = wrong.response(_plan(steps, rate))
            return (response.offset + (response.gain - 1) * _DATA_SET.mean).numpy()

        stated = wrong.mean_errors(*SPAN, rate)
        differences += np.abs(_extrapolated(shift, 3) / stated - 1).tolist()
    return measure_at_most(differences, 1e-4, f"largest of {len(differences)} relative differences")


@claim(
    "behaviour-sampler-variance",
    r"SEEDS-3 with a denoiser whose slope is wrong near $\sigma = 20$, 5, 1 or 0.1 shifts the variance as "
    r"stated, to $10^{-3}$ of the shift, at $\eta = 0, 0.5, 1, 2$, against SEEDS-3 with the exact denoiser "
    r"(extrapolated from 60 and 120 steps).",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    errors = (Bump(0.05, 20.0), Bump(-0.05, 5.0), Bump(0.05, 1.0), Bump(0.05, 0.1))
    wrong = Misfit(_DATA_SET, (_NONE,) * 4, errors)
    differences = []
    for rate in RATES:

        def shift(steps: int, rate: float = rate) -> np.ndarray:
            plan = _plan(steps, rate)
            ends = (wrong.response(plan), plan_response(plan, _DATA_SET))
            start = _DATA_SET.marginal(SPAN[0]).variances
            first, second = (response.variance(start) for response in ends)
            return (first - second).numpy()

        stated = wrong.variance_errors(*SPAN, rate)
        differences += np.abs(_extrapolated(shift, 2) / stated - 1).tolist()
    return measure_at_most(differences, 1e-3, f"largest of {len(differences)} relative differences")


@claim(
    "behaviour-sampler-start",
    r"SEEDS-3 started from $N(0, \sigma_S^2)$ at $\sigma_S = 1$ ends at 0.1 with mean and variance off as "
    r"stated, to $10^{-3}$ of the shift, at $\eta = 0, 0.5, 1, 2$ (extrapolated from 60 and 120 steps).",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    sigma, end = 1.0, 0.1
    data = Gaussian(torch.tensor([1.0, -0.5, 3.0]), torch.tensor([0.5, 1.0, 4.0]))
    exact, differences = data.marginal(end).variances, []
    for rate in RATES:

        def shift(steps: int, rate: float = rate) -> np.ndarray:
            plan = make_plan("seeds-3", uniform_log_snr(sigma, end, steps), eta=rate)
            response = plan_response(plan, data)
            spread = response.variance(sigma**2) - exact
            return torch.stack([response.offset - data.mean, spread]).numpy()

        factor = data.propagator(sigma, end, rate)
        stated = torch.stack([-factor * data.mean, -factor.square() * data.variances]).numpy()
        differences += np.abs(_extrapolated(shift, 2) / stated - 1).ravel().tolist()
    return measure_at_most(differences, 1e-3, f"largest of {len(differences)} relative differences")

"""Chapter "The audit": what rows of a batch tell of a sampler, and the order of ancestral steps."""

import itertools

import sympy as sp
import torch
from torch import Tensor

from proofs_checks.audit.affine import LinearModel, Source, probe
from proofs_checks.audit.grids import even
from proofs_checks.audit.measure import MEANS, VARIANCES, Measurement, grid
from proofs_checks.audit.perturbed import PROBLEM, PerturbedStudy
from proofs_checks.audit.protocol import Target
from proofs_checks.audit.targets import find_target
from proofs_checks.audit.triangular import TriangularStudy, exact
from proofs_checks.ledger import Evidence, Verdict, claim, measure, measure_at_most, prove
from seeds_theory import make_plan
from seeds_theory.exact import DATA, GAUSSIAN, eta, lam_s, lam_t, variance
from seeds_theory.noise import h, interval_lengths, path_values
from toy_models.convergence import plan_response
from toy_models.gaussian import Gaussian

HERE = "this project"

_s, _t, _d, _c = sp.symbols("s t d c", positive=True)
_h = sp.Symbol("h", positive=True)


@claim(
    "audit-gain",
    r"The gain of the SDE's solution on Gaussian data tells $\eta$: "
    r"$\eta = 2 \log \Phi \,/ \log\frac{c+t^2}{c+s^2} - 1$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    gain = GAUSSIAN.propagator(lam_t, lam_s)
    ratio = (variance + sp.exp(-2 * lam_t)) / (variance + sp.exp(-2 * lam_s))
    told = 2 * sp.expand_log(sp.log(gain), force=True) / sp.expand_log(sp.log(ratio), force=True)
    return prove([(sp.simplify(told - 1), eta)], "for symbolic eta, variance and levels")


@claim(
    "audit-split",
    r"On Gaussian data the flow of the ODE from level $s$ to $d$, followed by noise of variance "
    r"$t^2 - d^2$, takes the marginal at $s$ to the marginal at $t$, for every $d \le t$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    levels = {lam_s: -sp.log(_s), lam_t: -sp.log(_d), eta: 0, variance: _c}
    flow = sp.simplify(GAUSSIAN.propagator(lam_t, lam_s).subs(levels))
    after = flow**2 * (_c + _s**2) + _t**2 - _d**2
    return prove([(sp.simplify(after), _c + _t**2)], "for symbolic levels and variance")


@claim(
    "audit-ancestral-eta",
    r"An ancestral step with parameter $\eta_a$ adds noise of variance $2 \eta_a^2 \sigma^2 h + O(h^2)$: "
    r"its SDE has $\eta = \eta_a^2$.",
    source="Song et al. 2021 (DDIM), equation 16, in the frame x / alpha",
    expected=Verdict.proved,
)
def _() -> Evidence:
    root = sp.Symbol("eta_a", positive=True)
    added = root**2 * _t**2 * (1 - _t**2 / _s**2)
    small = added.subs(_t, _s * sp.exp(-_h))
    return prove(
        [(sp.limit(small / _h, _h, 0), 2 * root**2 * _s**2), (small.subs(_h, 0), sp.Integer(0))],
        "the variance in a step of length h in log-SNR",
    )


@claim(
    "audit-clock",
    r"The noises of a stage at $c$ and of the whole step, as increments of a path in the clock $\sigma$, "
    r"are correlated by $\sqrt{c} + O(h)$, as those of the exact solution are.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    node = sp.Symbol("c", positive=True)
    tree = sp.sqrt((1 - sp.exp(-node * _h)) / (1 - sp.exp(-_h)))
    lengths = interval_lengths((node,))
    stage, end = path_values(DATA.noise_rate, (node,))
    square = stage.covariance(end, lengths) ** 2 / (
        stage.covariance(stage, lengths) * end.covariance(end, lengths)
    )
    exact = sp.sqrt(square.subs({eta: 1, h: _h}).doit())
    return prove(
        [(sp.limit(law, _h, 0), sp.sqrt(node)) for law in (tree, exact)],
        "both correlations as h tends to 0",
    )


@claim(
    "audit-exact",
    r"Rows of a batch give the final law of seeds-2 as the response kernels of the sampling loop do.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    sigmas = grid(32)
    found = probe(find_target("seeds-2"), MEANS, VARIANCES, sigmas)
    response = plan_response(make_plan("seeds-2", sigmas), Gaussian(MEANS, VARIANCES))
    start = VARIANCES + sigmas[0] ** 2
    rows = found.gain.square() * start + found.noise_variance
    off = float((rows / response.variance(start) - 1).abs().max())
    return measure_at_most([off], 1e-11, "relative difference of two final variances")


for _name, _options, _order in (
    ("ddim", "?eta=1.0", 1),
    ("edm-heun", "?eta=1.0", 2),
    ("restart", "", 2),
):

    @claim(
        f"audit-ancestral-{_name}",
        rf"{_name}, an ODE step of order {_order} with noise added around it, has weak order {_order}.",
        source=HERE,
        expected=Verdict.measured,
    )
    def _(text: str = _name + _options, order: int = _order) -> Evidence:
        measurement = Measurement(find_target(text), (64, 128, 256, 512))
        found = measurement.weak_curve.order
        return measure(
            found.value, found.uncertainty or 0.0, order, 0.05, "relative W2 error, 5 variances"
        )


def _reseeded(model: LinearModel, x: Tensor, sigmas: Tensor) -> Tensor:
    """Adds two draws of a generator that is seeded anew, where two independent ones were meant."""
    first, second = (
        torch.randn(x.shape, generator=torch.Generator().manual_seed(7), dtype=x.dtype)
        for _ in range(2)
    )
    return x + first + second


@claim(
    "audit-draws",
    r"Two draws from one state of a generator count as one random number: their sum has variance 4, not 2.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    found = probe(Target("reseeded", _reseeded), MEANS, VARIANCES, grid(1), Source.OWN)
    return measure(float(found.noise_variance[0]), 0.0, 4.0, 1e-12, "variance of the sum")


_x, _y, _k, _q, _theta, _phi = sp.symbols("x y k q theta phi", real=True)
_v, _u = sp.symbols("v u", positive=True)
_cov = sp.Symbol("c_xy", real=True)


def _characteristic(variance_of: sp.Expr) -> sp.Expr:
    """E exp(i X) of a Gaussian of mean 0, from its density."""
    density = sp.exp(-(_x**2) / (2 * _v)) / sp.sqrt(2 * sp.pi * _v)
    whole = sp.integrate(density * sp.cos(_x), (_x, -sp.oo, sp.oo))
    return sp.simplify(whole).subs(_v, variance_of)


@claim(
    "audit-curved-sines",
    r"For Gaussian $X, Y$ of mean 0, variances $v, u$ and covariance $c$: "
    r"$\mathbb{E} \sin(kX + \theta) = e^{-k^2 v/2} \sin\theta$, and "
    r"$2 \sin(kX + \theta) \sin(qY + \varphi)$ is a difference of two cosines, of $kX - qY$ and $kX + qY$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    one = sp.expand_trig(sp.sin(_k * _x + _theta)).subs(
        sp.cos(_k * _x), _characteristic(_k**2 * _v)
    )
    one = one.subs(sp.sin(_k * _x), 0)  # odd
    product = (sp.cos(_theta - _phi + _x) - sp.cos(_theta + _phi + _y)) / 2
    both = sp.sin(_theta + (_x + _y) / 2) * sp.sin(_phi + (_y - _x) / 2)
    return prove(
        [
            (one, sp.exp(-(_k**2) * _v / 2) * sp.sin(_theta)),
            (sp.expand_trig(sp.expand(product - both)).simplify(), sp.Integer(0)),
        ],
        "the characteristic function by integration, and the product of sines by angles x and y",
    )


@claim(
    "audit-curved-exact",
    r"The sums of seeds-4s at $\eta = 1$ on the curved problem, extrapolated from 32 and 64 steps, are the "
    r"expectations of the SDE's solution.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    study = TriangularStudy(find_target("seeds-4s"), Source.OWN, (32, 64), even)
    coarse, fine = study.expectations()
    off = abs(fine + (fine - coarse) / 7 - exact(1.0)).max()
    return measure_at_most([float(off)], 1e-7, "largest difference of ten expectations")


@claim(
    "audit-calls-bound",
    r"$e^{\kappa(a-1)h}$, the solution over a step for the estimate $D = a y$, has "
    r"$(\kappa h)^{s+1}/(s+1)!$ as the leading term of its coefficient of $a^{s+1}$, $s = 1, \dots, 6$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    a, kappa = sp.symbols("a kappa", positive=True)
    solution = sp.exp(kappa * (a - 1) * _h)
    identities = []
    for s in range(1, 7):
        missed = sp.diff(solution, a, s + 1).subs(a, 0) / sp.factorial(s + 1)
        leading = sp.limit(missed / _h ** (s + 1), _h, 0)
        identities.append((leading, kappa ** (s + 1) / sp.factorial(s + 1)))
    return prove(identities, "by differentiating in a, for symbolic kappa")


def _flow_midpoint(model: LinearModel, x: Tensor, sigmas: Tensor) -> Tensor:
    """The explicit midpoint rule in the time of x_t = (1 - t) x_0 + t z, two calls a step."""
    times = sigmas / (1 + sigmas)
    y = x * (1 - times[0])

    def velocity(y: Tensor, t: Tensor) -> Tensor:
        return (y - model(y / (1 - t), t / (1 - t) * y.new_ones(len(y)))) / t

    for t, r in itertools.pairwise(times):
        middle = 0.5 * (t + r)
        inner = y + (middle - t) * velocity(y, t)
        y = y + (r - t) * velocity(inner, middle)
    return y / (1 - times[-1])


@claim(
    "audit-accident-gaussian",
    r"The explicit midpoint rule in the time of a rectified flow, two calls a step, shows order 3 on "
    r"Gaussian data of five variances at once.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    found = Measurement(Target("midpoint", _flow_midpoint), (64, 128, 256, 512)).weak_curve.order
    return measure(found.value, found.uncertainty or 0.0, 3, 0.05, "relative W2 error, equal steps")


@claim(
    "audit-accident-curved",
    r"On the curved problem the explicit midpoint rule in the time of a rectified flow has order 2.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    study = TriangularStudy(Target("midpoint", _flow_midpoint), Source.OWN, (16, 32, 64, 128), even)
    found = study.weak_curve.order
    return measure(found.value, found.uncertainty or 0.0, 2, 0.05, "expectations, equal steps")


_eps, _sig2 = sp.symbols("epsilon sigma2", positive=True)


def _third(z: sp.Expr) -> sp.Expr:
    return z**3 - 3 * z


@claim(
    "audit-perturbed-denoiser",
    r"Data of density $N(0, c)\,(1 + \epsilon\,\mathrm{He}_3(x/\sqrt c))$ have, with noise of level "
    r"$\sigma$ and $v = c + \sigma^2$, the density "
    r"$N(0, v)\,(1 + \epsilon (c/v)^{3/2}\,\mathrm{He}_3(x/\sqrt v))$, and the posterior mean "
    r"$\frac cv x + \epsilon\,\frac{3\sigma^2}{\sqrt v}(\frac cv)^{3/2}(\frac{x^2}{v} - 1)$ to first order "
    r"in $\epsilon$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    v = _c + _sig2
    normal = sp.exp(-(_x**2) / (2 * v)) / sp.sqrt(v)
    density = normal * (1 + _eps * (_c / v) ** sp.Rational(3, 2) * _third(_x / sp.sqrt(v)))
    heat = sp.diff(density, _sig2) - sp.diff(density, _x, 2) / 2
    mean = _x + _sig2 * sp.diff(density, _x) / density
    first = sp.diff(mean, _eps).subs(_eps, 0)
    expected = 3 * _sig2 / sp.sqrt(v) * (_c / v) ** sp.Rational(3, 2) * (_x**2 / v - 1)
    return prove(
        [
            (sp.simplify(heat / normal), sp.Integer(0)),
            (sp.simplify(mean.subs(_eps, 0)), _c / v * _x),
            (sp.simplify(first - expected), sp.Integer(0)),
        ],
        "the heat equation in the level squared, and Tweedie's formula, for symbolic variance and level",
    )


@claim(
    "audit-perturbed-start",
    r"$y_1 + \epsilon (c/v)^{3/2}\sqrt v\,(y_1^2/v - 1)$, with $y_1 \sim N(0, v)$, has that density to first "
    r"order; so at every level $\mathbb{E}\,y_2 = 0$ and $\mathbb{E}\,y_1^2 y_2 = 2 c^{3/2}$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    strength = (_c / _v) ** sp.Rational(3, 2)
    moved = strength * sp.sqrt(_v) * (_x**2 / _v - 1)
    normal = sp.exp(-(_x**2) / (2 * _v)) / sp.sqrt(2 * sp.pi * _v)
    change = -sp.diff(moved * normal, _x) / normal

    def mean(value: sp.Expr) -> sp.Expr:
        return sp.simplify(sp.integrate(sp.expand(value) * normal, (_x, -sp.oo, sp.oo)))

    return prove(
        [
            (sp.simplify(change), sp.expand(strength * _third(_x / sp.sqrt(_v)))),
            (mean(moved), sp.Integer(0)),
            (mean(_x**2 * moved), 2 * _c ** sp.Rational(3, 2)),
        ],
        "the density that a small map carries along, and two moments",
    )


def _two_stage_ancestral(model: LinearModel, x: Tensor, sigmas: Tensor) -> Tensor:
    """A midpoint step in log-SNR down to below the next level, and noise up to it: eta 1."""
    for s, t in itertools.pairwise(sigmas):
        down = t * t / s
        middle = (s * down).sqrt()
        inner = model(x, s * x.new_ones(len(x)))
        inner = inner + middle / s * (x - inner)
        estimate = model(inner, middle * x.new_ones(len(x)))
        x = estimate + down / s * (x - estimate) + (t**2 - down**2).sqrt() * torch.randn_like(x)
    return x


for _name, _problem, _order in (
    ("law", "perturbed Gaussian data", 2),
    ("state", "the triangular problem", 1),
):

    @claim(
        f"audit-marginals-{_name}",
        rf"An ancestral midpoint step has weak order {_order} on {_problem}.",
        source=HERE,
        expected=Verdict.measured,
    )
    def _(name: str = _name, problem: str = _problem, order: int = _order) -> Evidence:
        arguments = (Target(name, _two_stage_ancestral), Source.OWN, (16, 32, 64, 128), even)
        study: PerturbedStudy | TriangularStudy
        study = (
            PerturbedStudy(*arguments, PROBLEM) if name == "law" else TriangularStudy(*arguments)
        )
        found = study.weak_curve.order
        return measure(found.value, found.uncertainty or 0.0, order, 0.05, problem)

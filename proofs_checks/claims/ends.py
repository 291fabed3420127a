"""Chapter "The two ends": the first step, from infinite noise, and the last one, to zero."""

import itertools
import math

import numpy as np
import sympy as sp
import torch

from proofs_checks.claims.wrong import CURVES
from proofs_checks.ledger import Evidence, Verdict, claim, measure, measure_at_most, prove
from proofs_checks.path_divergence import gaussian_divergence, information, least_error
from seeds_theory import make_plan, uniform_log_snr
from seeds_theory.exact import GAUSSIAN, eta, lam_s, lam_t, variance
from seeds_theory.methods import SEEDS
from toy_models.convergence import plan_response
from toy_models.gaussian import Gaussian
from toy_models.mixture import GaussianMixture

HERE = "this project"
c = variance
v, v_end = sp.symbols("v v_T", positive=True)
half = sp.Rational(1, 2)

# ------------------------------------------------------------------ the first step


@claim(
    "ends-first-divergence",
    r"On Gaussian data of variance $c$, at $\gamma = 1/v$: the divergence of the exact law from $N(0, "
    r"v)$ is $\frac12\int_0^\gamma (c - m)\,d\gamma = \frac12[\gamma c - \log(1+\gamma c)]$, which "
    r"begins with $\frac14\gamma^2c^2$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    gamma, x = sp.symbols("gamma x", positive=True)
    stated = half * (gamma * c - sp.log(1 + gamma * c))
    divergence = half * ((c + v) / v - 1 - sp.log((c + v) / v))
    excess = half * sp.integrate(c - c / (1 + x * c), (x, 0, gamma))
    leading = sp.series(stated, gamma, 0, 3).removeO()
    pairs = [
        (sp.simplify(divergence - stated.subs(gamma, 1 / v)), sp.Integer(0)),
        (sp.simplify(excess - stated), sp.Integer(0)),
        (leading, gamma**2 * c**2 / 4),
    ]
    return prove(pairs, "closed forms and a series")


@claim(
    "ends-first-variance",
    r"From infinite noise to $\sigma = 2$ on $N(0, 1)$ every method of SEEDS, in both predictions, "
    r"ends with variance 4 where 5 is exact.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    data, found = Gaussian.scalar(1.0), []
    for name, prediction in itertools.product(SEEDS, ("data", "noise")):
        plan = make_plan(name, [math.inf, 2.0], prediction=prediction)
        found.append(float(plan_response(plan, data).variance(1.0)))
    worst = max(found, key=lambda value: abs(value - 4))
    return measure(worst, 0.0, 4.0, 1e-12, "variance farthest from the claim")


@claim(
    "ends-first-forgotten",
    r"If all other steps are exact, the missing $c$ leaves the final variance off by "
    r"$-c\big(\frac{c+v_T}{c+v_1}\big)^{1+\eta}$, for symbolic $\eta$; SEEDS-2 with 500 steps after "
    r"the first one, from $\sigma = 2$ to $0.1$, agrees to $10^{-2}$ of it at $\eta = \frac12$, 1 and "
    r"2.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    start, stop = {lam_s: -sp.log(v) / 2}, {lam_t: -sp.log(v_end) / 2}
    squared = GAUSSIAN.propagator(lam_t, lam_s).subs(start).subs(stop) ** 2
    symbolic = prove([(squared, ((c + v_end) / (c + v)) ** (1 + eta))], "the propagator")
    if symbolic.verdict is not Verdict.proved:
        return symbolic
    data, ratios = Gaussian.scalar(1.0), []
    for rate in (0.5, 1.0, 2.0):
        grid = [math.inf, *uniform_log_snr(2.0, 0.1, 500)]
        found = float(plan_response(make_plan("seeds-2", grid, eta=rate), data).variance(1.0))
        stated = -(((1 + 0.01) / (1 + 4.0)) ** (1 + rate))
        ratios.append((found - 1.01) / stated)
    worst = max(ratios, key=lambda ratio: abs(ratio - 1))
    return measure(worst, 0.0, 1.0, 1e-2, "ratio farthest from 1")


@claim(
    "ends-matched-start",
    r"Started at a finite level from the mean of the data and with the variance $\bar c + v$, $\bar c "
    r"= \operatorname{tr}\operatorname{Cov}/d$, instead of $v$: on Gaussian data in one dimension the "
    r"law is exact, and in five, with variances from $4$ to $10^{-4}$, the divergence is less by "
    r"$\frac12\gamma\operatorname{tr}\operatorname{Cov} - \frac d2\log(1 + \gamma\bar c)$, to "
    r"$10^{-12}$, at $\sigma$ from 0.5 to 80.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    spectrum = np.array([4.0, 1.0, 0.25, 0.01, 1e-4])
    zero, gaps = np.zeros(5), []
    for sigma in (0.5, 2.0, 10.0, 80.0):
        noise, mean = np.full(5, sigma**2), spectrum.mean()
        plain = gaussian_divergence(zero, spectrum + noise, zero, noise)
        matched = gaussian_divergence(zero, spectrum + noise, zero, noise + mean)
        gamma = sigma**-2
        gain = 0.5 * gamma * spectrum.sum() - 2.5 * math.log1p(gamma * mean)
        gaps.append(abs(plain - matched - gain))
        known = 2.5 * math.log1p(gamma * mean) - float(information(spectrum, np.array(gamma)))
        gaps.append(abs(matched - known))
        gaps.append(max(matched - plain, 0.0))
    return measure_at_most(gaps, 1e-12, "largest difference")


@claim(
    "ends-first-mixture",
    r"On a mixture on the line the divergence of the exact law at $\sigma$ from that after the first "
    r"step is $\frac12\int_0^\gamma(m(0) - m)\,d\gamma$ and at most $\frac14\gamma^2R^2m(0)$ for two "
    r"points at distance $R = 1$ from 0, at $\sigma = 1, 2, 4$.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    # Two points at -1 and 1, of weights .3 and .7, with deviations far below the noise.
    points = GaussianMixture.scalar((0.3, 0.7), (-1.0, 1.0), (1e-4, 1e-4))
    mean, total = 0.4, 1 - 0.4**2
    shares = []
    for sigma in (1.0, 2.0, 4.0):
        y = torch.linspace(-12 * sigma, 12 * sigma, 4001, dtype=torch.float64)[:, None]
        exact = points.log_density(y, sigma)
        other = -0.5 * ((y[:, 0] - mean) / sigma) ** 2 - math.log(sigma * math.sqrt(2 * math.pi))
        found = float((exact.exp() * (exact - other)).sum() * (y[1, 0] - y[0, 0]))
        shares.append(found / (0.25 * sigma**-4 * total))
    return measure_at_most(shares, 1.0, "largest share of the bound")


@claim(
    "ends-two-call-start",
    r"The first step of two calls, $y_2 = \mu + \sqrt2\,\sigma_1z_1$, $y_1 = D(y_2, \sqrt2\,\sigma_1) "
    r"+ \sigma_1(z_1+z_2)/\sqrt2$, has on Gaussian data the variance $v\big(1 + \frac x{1+x/2} + "
    r"\frac{x^2}{2(1+x/2)^2}\big)$, $x = c/v$, which is $c + v - \frac{c^3}{4v^2}$ up to $x^4$; on "
    r"$N(0, 1)$ at $\sigma_1 = 2$ it is $404/81$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    x = sp.Symbol("x", positive=True)
    gain = c / (c + 2 * v)
    first, second = gain * sp.sqrt(2 * v) + sp.sqrt(v / 2), sp.sqrt(v / 2)
    found = sp.expand(first**2 + second**2)
    stated = v * (1 + x / (1 + x / 2) + x**2 / (2 * (1 + x / 2) ** 2))
    series = sp.series(stated / v, x, 0, 4).removeO()
    pairs = [
        (sp.simplify(found - stated.subs(x, c / v)), sp.Integer(0)),
        (sp.expand(series - (1 + x - x**3 / 4)), sp.Integer(0)),
        (found.subs({c: 1, v: 4}), sp.Rational(404, 81)),
    ]
    return prove(pairs, "the two rows on the Gaussian denoiser")


@claim(
    "ends-two-call-mean",
    r"On two points $\pm1$ of mean $0.4$ the mean of that step is off by $-\frac18\gamma^2D_1D_2$ as "
    r"$\gamma \to 0$, $D_1 = 0.84$ the variance and $D_2 = -0.672$ the third cumulant of the data: "
    r"ratio 1 within 0.01, extrapolated.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    nodes, masses = np.polynomial.hermite_e.hermegauss(80)
    masses = masses / masses.sum()
    ratios = []
    for gamma in (0.02, 0.01):
        z = gamma / 2 * 0.4 + math.sqrt(gamma / 2) * nodes
        mean = float(masses @ np.tanh(z + math.atanh(0.4)))
        ratios.append((mean - 0.4) / (-(gamma**2) * 0.84 * -0.672 / 8))
    return measure(2 * ratios[1] - ratios[0], 0.0, 1.0, 0.01, "ratio")


# ------------------------------------------------------------------ the last step


@claim(
    "ends-last-gaussian",
    r"On Gaussian data at level $v$: the estimate has the variance $c - m$, $m = \frac{cv}{c+v} \le "
    r"v$, and its $W_2$ distance from the data is that of the state times $\sqrt{c/(c+v)}$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    least = c * v / (c + v)
    estimate = (c / (c + v)) ** 2 * (c + v)
    state_far = sp.sqrt(c + v) - sp.sqrt(c)
    far = sp.sqrt(c) - sp.sqrt(estimate)
    pairs = [
        (sp.simplify(estimate - (c - least)), sp.Integer(0)),
        (sp.simplify(v - least - v**2 / (c + v)), sp.Integer(0)),
        (sp.simplify(far - sp.sqrt(c / (c + v)) * state_far), sp.Integer(0)),
    ]
    return prove(pairs, "closed forms")


def _moments(sigma: float) -> tuple[float, float]:
    """The variance of the estimate of `CURVES` at a level, and the least error, by posterior variances."""
    y = torch.linspace(-4 - 9 * sigma, 4 + 9 * sigma, 6001, dtype=torch.float64)[:, None]
    weights = CURVES.log_density(y, sigma).exp() * (y[1, 0] - y[0, 0])
    estimate = CURVES(y, sigma)[:, 0]
    slope = torch.gradient(estimate, spacing=float(y[1, 0] - y[0, 0]), edge_order=2)[0]
    mean = (weights * estimate).sum()
    return float((weights * (estimate - mean) ** 2).sum()), float(
        (weights * slope).sum() * sigma**2
    )


@claim(
    "ends-last-variance",
    r"On a mixture on the line, at five levels: the variance of the estimate is that of the data less "
    r"$m$, found from the slope of $D$, to $10^{-5}$ of the data's; and $m \le v$.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    gaps = []
    for sigma in (0.05, 0.1, 0.3, 1.0, 3.0):
        spread, least = _moments(sigma)
        gaps.append(abs(spread + least - float(CURVES.covariance)) / 1e-5)
        gaps.append(least / sigma**2)
    return measure_at_most(gaps, 1.0, "largest gap over 1e-5, or share of v")


@claim(
    "ends-last-w2",
    r"On a mixture on the line the exact $W_2$ distance of the law of the estimate from the data is "
    r"below $\sqrt m$, and below that of the state, at $\sigma$ from 0.05 to 1.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    shares, p = [], (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    exact = CURVES.quantile(p)
    for sigma in (0.05, 0.1, 0.3, 1.0):
        state = CURVES.marginal(sigma).quantile(p)
        estimate = CURVES(state[:, None], sigma)[:, 0]  # D rises, so quantiles go to quantiles
        far = float((estimate - exact).square().mean().sqrt())
        shares.append(far / math.sqrt(_moments(sigma)[1]))
        shares.append(far / float((state - exact).square().mean().sqrt()))
    return measure_at_most(shares, 1.0, "largest share")


@claim(
    "ends-subspace",
    r"For Gaussian data of which $n$ of $d$ variances are positive, $\gamma m \le n$ at every level, "
    r"and $\gamma m \to n$ as $\gamma \to \infty$ (within $10^{-6}$ at $\sigma = 10^{-4}$).",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    spectrum = np.array([2.0, 0.5, 0.1, 0.0, 0.0, 0.0, 0.0])
    gamma = np.logspace(-4, 8, 49)
    scaled = gamma * least_error(spectrum, gamma)
    gaps = [float(scaled.max()) / 3, abs(float(scaled[-1]) - 3) / 1e-6]
    return measure_at_most(gaps, 1.0, "largest share")


@claim(
    "ends-whole-run",
    r"Data at $\pm1$ smoothed by $10^{-4}$, SEEDS-1 from infinite noise over 12 steps to $\sigma = "
    r"0.3$ and to zero, with a denoiser that errs by $0.05\tanh y$, its output cut to $[-1, 1]$: the "
    r"exact $W_2$ distance from the data is below $\sqrt{m_T + \epsilon_T^2} + "
    r"2\,(\mathrm{KL}/2)^{1/4}$.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    return measure_at_most([whole_run()], 1.0, "share of the bound")


def whole_run() -> float:
    """The distance over its bound; densities on the line are carried through the steps by quadrature."""
    points = GaussianMixture.scalar((0.3, 0.7), (-1.0, 1.0), (1e-4, 1e-4))
    sigmas = [math.inf, *np.exp(np.linspace(math.log(10.0), math.log(0.3), 12)).tolist()]

    def wrong(y: torch.Tensor, sigma: float) -> torch.Tensor:
        return points(y, sigma) + 0.05 * torch.tanh(y)

    def grid(sigma: float) -> torch.Tensor:
        return torch.linspace(-2 - 8 * sigma, 2 + 8 * sigma, 1601, dtype=torch.float64)[:, None]

    def losses(sigma: float) -> tuple[float, float]:
        """The least error and the mean square of the model's."""
        y = grid(sigma)
        weights = points.log_density(y, sigma).exp() * (y[1, 0] - y[0, 0])
        least = 1 - float((weights * points(y, sigma)[:, 0] ** 2).sum())
        return least, float((weights * (wrong(y, sigma) - points(y, sigma))[:, 0] ** 2).sum())

    plan = make_plan("seeds-1", sigmas)
    density, divergence = None, 0.0
    for step, (start, stop) in zip(plan.steps, itertools.pairwise(sigmas), strict=True):
        (row,) = step.rows
        ends = grid(stop)
        if density is None:
            state = torch.zeros(1, 1, dtype=torch.float64)
            mass = torch.ones(1, dtype=torch.float64)
            estimate = points.mean.reshape(1, 1).to(torch.float64)  # without the model's error
            least, off, low = 1 - 0.4**2, 0.0, 0.0
        else:
            state, mass = grid(start), density * (grid(start)[1, 0] - grid(start)[0, 0])
            estimate = wrong(state, start)
            (least, off), low = losses(start), start**-2
        mean = row.state * state + row.drift[0] * estimate
        kernel = torch.exp(-0.5 * ((ends - mean.T) / row.noise[0]) ** 2)
        density = (kernel / (row.noise[0] * math.sqrt(2 * math.pi))) @ mass
        nodes, heights = np.polynomial.legendre.leggauss(24)
        high = stop**-2
        gammas = low + (high - low) * (1 + nodes) / 2
        inside = [losses(g**-0.5)[0] for g in gammas]
        lost = (high - low) * float((heights / 2 * np.array(inside)).sum())
        divergence += 0.5 * ((high - low) * (least + off) - lost)
    assert density is not None
    y = grid(sigmas[-1])
    output = wrong(y, sigmas[-1])[:, 0].clamp(-1, 1)
    mass = density * (y[1, 0] - y[0, 0])
    # The data have -1 below the quantile 0.3 and 1 above; the output rises with the state.
    level = torch.cumsum(mass, 0) - mass / 2
    target = torch.where(level < 0.3, -1.0, 1.0)
    far = math.sqrt(float((mass * (output - target) ** 2).sum()))
    least, off = losses(sigmas[-1])
    return far / (math.sqrt(least + off) + 2 * (divergence / 2) ** 0.25)


# ------------------------------------------------------------------ constants of the strong theorem


def weight_constant(name: str, prediction: str, step: float) -> float:
    """The sum of a row's weights over h, the largest of the rows, at eta = 1 and sigma_s = 1."""
    plan = make_plan(name, [1.0, math.exp(-step)], prediction=prediction)
    return max(sum(map(abs, row.drift[1:])) for row in plan.steps[0].rows) / step


WEIGHTS = {"seeds-1": 0.0, "seeds-2": 2.0, "seeds-2b": 2.0, "seeds-3": 1.5, "seeds-3b": 1.63}
"""The constants A of the strong theorem at eta = 1 and the default nodes, in units of sigma_S for noise."""


@claim(
    "ends-weights",
    r"At $\eta = 1$ and the default nodes the weights of $F_i - F_1$ in a row add up to at most $A h$ "
    r"with $A = 0, 2, 2, \frac32, 1.63$ for SEEDS-1, -2, -2b, -3 and -3b, in data prediction, and to "
    r"$\sigma_s A h$ in noise prediction, for steps of $10^{-3}$ to 20; and come within 1 per cent as "
    r"$h \to 0$ but for -3b.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    shares, tight = [], []
    for name, prediction in itertools.product(SEEDS, ("data", "noise")):
        limit = WEIGHTS[name]
        for step in np.geomspace(1e-3, 20, 40):
            found = weight_constant(name, prediction, float(step))
            shares.append(found / limit if limit else found)
        if limit and name != "seeds-3b":
            tight.append(weight_constant(name, prediction, 1e-3) / limit)
    if min(tight) < 0.99:
        return measure(min(tight), 0.0, 1.0, 0.01, "least share as h -> 0")
    return measure_at_most(shares, 1.0, "largest share")

"""Chapter "Noise as a policy": eta along the way, and the density of a step."""

import itertools
import math
from dataclasses import replace

import sympy as sp
import torch

from proofs_checks.ledger import Evidence, Verdict, claim, measure, measure_at_most, prove
from proofs_checks.trace import rate, trace, x
from seeds_theory import follow, log_prob, make_plan, rollout, uniform_log_snr
from seeds_theory.chain import chain_of
from seeds_theory.eta_schedule import Eta, EtaWindows
from seeds_theory.exact import DATA, diffusion, eta, lam, lam_s, lam_t
from seeds_theory.formula import step_formula
from seeds_theory.methods import symbolic
from seeds_theory.noise import h
from toy_models import Gaussian
from toy_models.response import probe, weak_errors

HERE = "this project"
along = sp.Function("eta", nonnegative=True)
"""eta as any function of the log-SNR."""

# ---------------------------------------------------------------------------------- eta along the way


@claim(
    "policy-marginals",
    r"For every function $\eta(\lambda) \ge 0$ the reverse SDE has the marginals of the data with noise.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = []
    for dimension in (1, 2, 3):
        state = sp.symbols(f"y:{dimension}", real=True)
        density = sp.Function("p", positive=True)(*state, lam)
        level = sp.exp(-2 * lam)
        here = {eta: along(lam)}
        flux = [
            (
                DATA.linear(lam) * y + DATA.drift(lam) * (y + level * sp.diff(sp.log(density), y))
            ).subs(here)
            * density
            for y in state
        ]
        laplacian = sp.Add(*(sp.diff(density, y, 2) for y in state))
        drift = sp.Add(*(sp.diff(f, y) for f, y in zip(flux, state, strict=True)))
        fokker_planck = -drift + diffusion.subs(here) ** 2 / 2 * laplacian
        identities.append((sp.expand(fokker_planck.doit()), sp.expand(-level * laplacian)))
    return prove(identities, "the Fokker-Planck equation is the heat equation of the noisy data")


@claim(
    "policy-mean",
    r"Over a step the propagator of data prediction is $e^{-(h + H)}$, the weight of a constant estimate is "
    r"$1 - e^{-(h + H)}$, and its noise has the variance $e^{-2\lambda_t}(1 - e^{-2H})$, "
    r"$H = \int \eta\,d\lambda$: those of the constant eta $H/h$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    total = sp.Integral(along(lam), (lam, lam_s, lam_t))
    h = lam_t - lam_s
    propagator = sp.exp(-h - total)
    weight = 1 - propagator
    variance = sp.exp(-2 * lam_t) * (1 - sp.exp(-2 * total))
    here = along(lam_t)
    spread = diffusion.subs(lam, lam_t).subs(eta, here) ** 2
    frozen = {eta: total / h}
    return prove(
        [
            (sp.diff(propagator, lam_t), -(1 + here) * propagator),
            (propagator.subs(lam_t, lam_s).doit(), sp.Integer(1)),
            (sp.diff(weight, lam_t), (1 + here) * (1 - weight)),
            (weight.subs(lam_t, lam_s).doit(), sp.Integer(0)),
            (sp.diff(variance, lam_t), -2 * (1 + here) * variance + spread),
            (variance.subs(lam_t, lam_s).doit(), sp.Integer(0)),
            (sp.log(DATA.propagator(lam_t, lam_s)).expand(force=True).subs(frozen), -h - total),
            (
                sp.exp(-2 * lam_t) * (1 - sp.exp(-2 * eta * h)).subs(frozen),
                variance,
            ),
            (
                sp.integrate(DATA.drift_kernel(lam_t, lam), (lam, lam_s, lam_t))
                .rewrite(sp.exp)
                .simplify()
                .subs(frozen),
                weight,
            ),
        ],
        "the linear equations of mean and variance, for any function eta",
    )


def order_along(name: str, values: Eta, steps: int = 128) -> float:
    """The weak order on Gaussian data between steps and twice as many, from 3 to 0.3: exact."""
    gaussian = Gaussian.scalar(2.0, 0.3)
    errors = []
    for count in (steps, 2 * steps):
        plan = make_plan(name, uniform_log_snr(3.0, 0.3, count), eta=values)
        response = probe(lambda model, x, noise: follow(model, x, plan, noise), gaussian)  # noqa: B023
        errors.append(float(weak_errors(response, gaussian, 3.0, 0.3).norm()))
    return math.log2(errors[0] / errors[1])


def falling(sigma: float) -> float:
    r"""An eta that falls along the way: :math:`\sigma / (1 + \sigma)`."""
    return sigma / (1 + sigma)


WINDOW = EtaWindows(((1.0, 3 * 10**-0.75, 3 * 10**-0.25),))
"""An SDE in the middle half of the steps of `order_along`, an ODE before and after."""

_ORDERS = {"seeds-1": 1, "seeds-2": 2, "seeds-2s": 2, "seeds-3s": 3, "seeds-4s": 3}


def _claim_order(name: str, order: int, kind: str, values: Eta, words: str) -> None:
    @claim(
        f"policy-order-{name}-{kind}",
        rf"On Gaussian data `{name}` keeps the weak order {order} {words}.",
        source=HERE,
        expected=Verdict.measured,
    )
    def _() -> Evidence:
        return measure(order_along(name, values), 0.0, order, 0.05, "slope, 128 to 256 steps")


for _name, _order in _ORDERS.items():
    _claim_order(
        _name, _order, "smooth", falling, r"where $\eta = \sigma/(1 + \sigma)$ along the way"
    )
    _claim_order(
        _name, _order, "window", WINDOW, "where half of its steps are an ODE, around a window"
    )


# ------------------------------------------------------------------------------ the density of a step


@claim(
    "policy-innovations",
    r"With $L L^T = C C^T$, $C$ lower triangular, and $w = C^{-1}(u - \mu)$, the Gaussian density of "
    r"covariance $L L^T$ has the exponent $-\tfrac12 |w|^2$ and the determinant $\prod_j C_{jj}^2$; and the "
    r"divergence of $u_j$ given $u_1, \dots, u_{j-1}$ under other means is $\tfrac12 |w_j - w'_j|^2$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = []
    for count in (1, 2, 3):
        C = sp.zeros(count, count)
        for row, column in itertools.product(range(count), repeat=2):
            if column <= row:
                C[row, column] = sp.Symbol(f"C_{row}{column}", positive=True)
        rest = sp.Matrix(sp.symbols(f"r:{count}", real=True))
        w = C.LUsolve(rest)
        covariance = C * C.T
        square = (rest.T * covariance.LUsolve(rest))[0]
        identities.append((sp.cancel(sp.together(square - (w.T * w)[0])), sp.Integer(0)))
        product = sp.Mul(*(C[j, j] ** 2 for j in range(count)))
        identities.append((sp.expand(covariance.det()), sp.expand(product)))
        # The last state given those before: its mean is what they explain, its deviation C_jj.
        shift = sp.Matrix(sp.symbols(f"s:{count}", real=True))  # of the other model's means
        other = C.LUsolve(rest - shift)
        known = sp.Add(*(C[count - 1, k] * w[k] for k in range(count - 1)))
        known_other = shift[count - 1] + sp.Add(
            *(C[count - 1, k] * other[k] for k in range(count - 1))
        )
        apart = (known - known_other) / C[count - 1, count - 1]
        difference = (w[count - 1] - other[count - 1]) ** 2
        identities.append((sp.cancel(sp.together(apart**2 - difference)), sp.Integer(0)))
    return prove(identities, "Cholesky's factor of one, two and three states")


def integrated(name: str, grid: list[float], model: Gaussian, recorded: Gaussian) -> float:
    """The density of a run of two states under a model, integrated over the first: at the end 0.9 from 1.3.

    recorded : the model that the run was of, which has no part in it.
    """
    plan = make_plan(name, grid)
    inner = torch.linspace(-12, 12, 4001, dtype=torch.float64)[:, None]
    record = rollout(recorded, torch.full_like(inner, 1.3), plan)
    same, last = chain_of(plan).same, len(record.states) - 1
    fixed = {0: torch.full_like(inner, 1.3), last: torch.full_like(inner, 0.9)}
    states = tuple(fixed.get(same[n], inner) for n in range(last + 1))
    density = log_prob(model, replace(record, states=states)).sum(1).exp()
    return float(torch.trapezoid(density, inner[:, 0]))


def _law(name: str, grid: list[float], model: Gaussian) -> float:
    plan = make_plan(name, grid)
    response = probe(lambda denoiser, x, noise: follow(denoiser, x, plan, noise), model)
    mean = response.offset + response.gain * 1.3
    law = torch.distributions.Normal(mean, response.weights.square().sum(0).sqrt())
    return float(law.log_prob(torch.full_like(mean, 0.9)).exp())


@claim(
    "policy-density",
    "On Gaussian data the density of a run, integrated over its inner states, is that of its end: of another "
    "model than the run's too.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    models = Gaussian.scalar(0.5, 0.3), Gaussian.scalar(0.8, -0.2)
    cases: list[tuple[str, list[float]]] = [
        *(("seeds-1", [2.0, 1.0, 0.4]), ("seeds-2", [2.0, 0.4]), ("seeds-2b", [2.0, 0.4])),
        ("seeds-2s", [2.0, 0.4]),
    ]
    errors = [
        abs(integrated(name, grid, model, models[0]) / _law(name, grid, model) - 1)
        for name, grid in cases
        for model in models
    ]
    return measure_at_most(errors, 1e-9, "relative difference, eight cases")


# ------------------------------------------------------------------------------ the price of a change


@claim(
    "policy-price",
    r"A step of length $h$ of any $\eta$, its estimates constant and apart by $\Delta$, has the divergence "
    r"$\tfrac{(1+\eta)^2}{4\eta} e^{2\lambda} \Delta^2 h + O(h^2)$; the factor is least at $\eta = 1$, where "
    r"it is 1; and $\int e^{2\lambda} \Delta^2\,d\lambda$ is the divergence of two shifted Gaussians.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    apart = sp.Symbol("Delta", positive=True)
    (row,) = step_formula(symbolic("seeds-1"), DATA)
    divergence = (row.drift[0].doit() * apart) ** 2 / (2 * row.noise[0].rewrite(sp.exp) ** 2)
    step, length, value = (sp.Symbol(name, positive=True) for name in ("t", "h", "e"))
    per_length = sp.simplify(divergence.subs({h: length, eta: value})) / length
    rate = sp.limit(per_length, length, 0)
    factor = (1 + value) ** 2 / (4 * value)
    width, shift = sp.symbols("c m", positive=True)
    difference = shift / (1 + width * step)  # of the denoisers, at e^(2 lambda) = t
    return prove(
        [
            (sp.simplify(rate), factor * sp.exp(2 * lam_s) * apart**2),
            (sp.simplify(factor - 1), sp.simplify((1 - value) ** 2 / (4 * value))),
            (sp.integrate(difference**2 / 2, (step, 0, sp.oo)), shift**2 / (2 * width)),
        ],
        "the limit of the step, and the integral, in symbols",
    )


# ------------------------------------------------------------------------------ published samplers

_level = sp.Symbol("a", positive=True)


def _times(s: sp.Expr, t: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """The times of a rectified flow at two noise levels."""
    return s / (1 + s), t / (1 + t)


@claim(
    "policy-flow-steps",
    r"The step of the baseline `flow-sde` is Euler-Maruyama in the time of a rectified flow, any diffusion "
    r"$g$, at $\eta = g^2/(2s)$: Flow-SDE's, $\eta = a^2/2$, and Dance's, $\eta = a^2/(2s)$, among them.",
    source="Flow-GRPO, arXiv 2505.05470; DanceGRPO, arXiv 2505.07818",
    expected=Verdict.proved,
)
def _() -> Evidence:
    run = trace("flow-sde", rate)
    s, t = run.sigmas[:2]
    time, then = _times(s, t)
    g = sp.sqrt(2 * s * rate)
    (estimate,), (normal,) = run.D, run.z
    state = (1 - time) * x
    velocity = (state - estimate) / time
    drift = velocity + g**2 / (2 * time) * (state + (1 - time) * velocity)
    moved = (state + drift * (then - time) + g * sp.sqrt(time - then) * normal) / (1 - then)
    ours = run.states[0]
    variances = [(step.diff(normal) ** 2).subs(normal, 0) for step in (ours, moved)]
    of_flow_sde = _level * sp.sqrt(time / (1 - time))
    return prove(
        [
            *((ours.diff(symbol), moved.diff(symbol)) for symbol in (x, estimate)),
            (variances[0], variances[1]),
            ((of_flow_sde**2 / (2 * s)), _level**2 / 2),
        ],
        "every coefficient of the code's step, for symbolic levels",
    )


@claim(
    "policy-kept-noise",
    r"A step that keeps of the noise what new noise of variance $\delta^2$ leaves is SEEDS-1 with "
    r"$\delta^2 = r^2 (1 - e^{-2\eta h})$, $r$ the time at its end: Precise at $\eta = a^2/2$, CPS at "
    r"$\eta = -\log\cos(\pi a/2)/h$.",
    source="Precise, arXiv 2605.23522; CPS, arXiv 2509.05952",
    expected=Verdict.proved,
)
def _() -> Evidence:
    s = sp.exp(-lam_s)
    t = s * sp.exp(-h)
    time, then = _times(s, t)
    estimate = sp.Symbol("D")
    (row,) = step_formula(symbolic("seeds-1"), DATA)
    kept = then * sp.exp(-eta * h)  # the root of r^2 - delta^2
    state = (1 - time) * x
    noise = state + (1 - time) * (state - estimate) / time
    mean = ((1 - then) * estimate + kept * noise) / (1 - then)
    new = then**2 * (1 - sp.exp(-2 * eta * h)) / (1 - then) ** 2
    ratio = then * (1 - time) / (time * (1 - then))
    of_cps = -sp.log(sp.cos(_level * sp.pi / 2)) / h
    return prove(
        [
            (mean.diff(x), row.state),
            (mean.diff(estimate), row.drift[0].doit()),
            (new, row.noise[0] ** 2),
            (ratio ** (_level**2), sp.exp(-2 * (_level**2 / 2) * h)),
            (1 - sp.exp(-2 * of_cps * h), sp.sin(_level * sp.pi / 2) ** 2),
        ],
        "coefficients and variances, for symbolic levels and any eta",
    )

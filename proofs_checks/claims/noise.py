"""Chapter "Stochastic integrals": covariances, joining, the joint laws of the noises of a step."""

import itertools
from functools import partial

import mpmath
import sympy as sp

from proofs_checks.ledger import Evidence, Verdict, claim, measure_at_most, prove
from seeds_theory.exact import DATA, NOISE, SemilinearForm, eta, lam, lam_s, lam_t
from seeds_theory.noise import (
    Functional,
    Moment,
    h,
    joined,
    moment_covariance,
    noise_scale,
    path_averages,
    step_moment,
)
from seeds_theory.phi import NUMERIC

HERE = "this project"
r, q = sp.symbols("r q", real=True, nonzero=True)
d = sp.Symbol("d", positive=True)
x, first, second, third = sp.symbols("x h_1 h_2 h_3", positive=True)
POWERS = (0, 1, 2)


@claim(
    "noise-covariance",
    r"$\mathrm{Cov}(G^r_j, G^q_k) = \binom{j+k}{j} h^{j+k+1} e^{-\rho h}\varphi_{j+k+1}(\rho h)$, "
    r"$\rho = r + q$, for $j, k \le 2$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    # Ito isometry: in the length h it grows by the product of the kernels at h, from 0.
    identities = []
    for j, k in itertools.product(POWERS, repeat=2):
        for other in (q, -r):  # rates of any sign; opposite ones are the case rho = 0
            a, b = Moment(r, j), Moment(other, k)
            covariance = moment_covariance(a, b, h).doit()
            identities.append((sp.diff(covariance, h), a.kernel(h) * b.kernel(h)))
            identities.append((sp.limit(covariance.subs({r: 2, q: 3}), h, 0), sp.Integer(0)))
    return prove(identities, "Ito isometry, differentiated for symbolic real rates and h")


@claim(
    "noise-joining",
    r"A moment over two intervals is $e^{-r h_2}\sum_j \frac{h_2^{k-j}}{(k-j)!}G^r_j(s,m) + G^r_k(m,t)$, "
    r"for $k \le 2$: joining is exact.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = []
    for power in POWERS:
        moment = Moment(r, power)
        terms = joined(moment, second).terms
        earlier = sum(w * m.kernel(x) for m, w in terms.items() if m.interval == 0)
        later = sum(w * m.kernel(x) for m, w in terms.items() if m.interval == 1)
        # At a distance x before the joint, the whole kernel is at the distance x + h_2.
        identities += [(earlier, moment.kernel(x + second)), (later, moment.kernel(x))]
    return prove(identities, "kernel by kernel, for symbolic rates and lengths")


@claim(
    "noise-joining-averages",
    r"$N = \rho N' + N''$, $M = \rho(M' + 2h_2N') + M''$, $J = \rho(J' + 2h_2M' + 2h_2^2N') + J''$ with "
    r"$\rho = e^{-2h_2}$ in units of the state ($\eta = 1$).",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    # In units of the state, an earlier functional carries e^{-lambda} of its own end: e^{h_2} more.
    identities = []
    factors = {"N": {"N": 1}, "M": {"M": 1, "N": 2 * second}}
    factors["J"] = {"J": 1, "M": 2 * second, "N": 2 * second**2}
    averages = path_averages()
    for name, parts in factors.items():
        whole = averages[name].split(second)
        for moment, weight in whole.terms.items():
            if moment.interval == 0:
                key = Moment(moment.rate, moment.power)
                stated = sum(
                    factor * averages[part].terms.get(key, 0) for part, factor in parts.items()
                )
                stated *= sp.exp(-2 * second) * sp.exp(second)
            else:
                stated = averages[name].terms[Moment(moment.rate, moment.power)]
            identities.append((weight.subs(eta, 1), sp.sympify(stated).subs(eta, 1)))
    return prove(identities, "coefficient by coefficient")


def _clock(form: SemilinearForm, clock: sp.Expr, factor: sp.Expr) -> list[tuple[sp.Expr, sp.Expr]]:
    """The kernel is factor(t) times something of u alone, whose square is the clock's speed."""
    kernel = form.noise_kernel(lam_t, lam) / factor.subs(lam, lam_t)
    speed = sp.simplify(kernel**2)
    return [(sp.diff(speed, lam_t), sp.Integer(0)), (speed, sp.simplify(sp.diff(clock, lam)))]


@claim(
    "noise-one-clock-data",
    r"Every data-prediction noise is $e^{-(1+\eta)\lambda_t}\,(B(e^{2\eta\lambda_t}) - "
    r"B(e^{2\eta\lambda_s}))$ for one Brownian motion $B$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = _clock(DATA, sp.exp(2 * eta * lam), sp.exp(-(1 + eta) * lam))
    return prove(identities, "kernels factor, for symbolic eta and times")


@claim(
    "noise-one-clock-noise",
    r"Every noise-prediction noise is an increment of one Brownian motion on the clock "
    r"$\eta\,\sigma^2/\alpha^2$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = _clock(NOISE, -eta * sp.exp(-2 * lam), sp.Integer(1))
    return prove(identities, "kernels factor, for symbolic eta and times")


def _node_identities(
    one: SemilinearForm, two: SemilinearForm, eta_value: sp.Expr = eta
) -> list[tuple[sp.Expr, sp.Expr]]:
    """Joined covariances against Ito's isometry: the integral of the kernels' product."""
    # With the times fixed, the covariance over a first interval of length h_1 grows by the product of
    # the kernels at the step's start; what is left at h_1 = 0 is a covariance over the second alone.
    lengths, start = (first, second), lam_t - first
    times = (lam_t, lam_t + second)
    identities = []
    for i, j in ((0, 0), (0, 1), (1, 1)):
        joint = step_moment(one.noise_rate, lengths, i).covariance(
            step_moment(two.noise_rate, lengths, j), lengths
        )
        scales = noise_scale(times[i]) * noise_scale(times[j])
        stated = (scales * joint).subs(eta, eta_value).doit()
        kernels = one.noise_kernel(times[i], start) * two.noise_kernel(times[j], start)
        growth = sp.powsimp(sp.expand(kernels.subs(eta, eta_value), power_exp=True))
        left = sp.Integer(0)
        if i == 1:
            alone = moment_covariance(Moment(one.noise_rate, 0), Moment(two.noise_rate, 0), second)
            left = (scales * alone).subs(eta, eta_value).doit()
        identities += [(sp.diff(stated, first), growth), (stated.subs(first, 0), left)]
    return identities


def _nodes(form: SemilinearForm) -> Evidence:
    identities = _node_identities(form, form)
    return prove(identities, "Ito isometry, differentiated, for symbolic eta and nodes")


for _form in (DATA, NOISE):
    claim(
        f"noise-nodes-{_form.name}",
        rf"The noises at any two nodes of a step in {_form.name} prediction, joined from their "
        r"intervals, have the covariance of the stochastic integrals.",
        source="exact joint noise; ComfyUI pull request 9633 for data prediction",
        expected=Verdict.proved,
    )(partial(_nodes, _form))


@claim(
    "noise-nodes-joint",
    r"Data- and noise-prediction noises of one path are jointly Gaussian with "
    r"$\mathrm{Cov} = 2\eta\,e^{-\lambda_a-\lambda_b}"
    r"\int e^{-\eta(\lambda_a-u)+(\lambda_b-u)}du$, at any nodes.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    # The rate eta - 1 vanishes at eta = 1, where the integral has another antiderivative.
    identities = []
    for value in (sp.Integer(1), 1 + d, 1 / (1 + d)):
        identities += _node_identities(DATA, NOISE, value) + _node_identities(NOISE, DATA, value)
    return prove(
        identities, "Ito isometry, differentiated at symbolic nodes, for eta = 1, > 1 and < 1"
    )


@claim(
    "noise-recursion",
    r"$\xi_j = \sigma_j\sum_{i\le j} e^{-(\lambda_j-\lambda_i)}"
    r"\sqrt{1-e^{-2(\lambda_i-\lambda_{i-1})}}\,z_i$ "
    r"(data) and $\xi_j = \sigma_j\sum_{i\le j} e^{\lambda_j-\lambda_i}"
    r"\sqrt{e^{2(\lambda_i-\lambda_{i-1})}-1}\,z_i$ (noise) have the exact joint law ($\eta = 1$).",
    source="derived here; ComfyUI",
    expected=Verdict.proved,
)
def _() -> Evidence:
    lengths = (first, second, third)
    identities = []
    for (form, sign), node in itertools.product(((DATA, -1), (NOISE, 1)), range(3)):
        for moment, weight in step_moment(form.noise_rate, lengths, node).terms.items():
            length = lengths[moment.interval]
            rest = sp.Add(*lengths[moment.interval + 1 : node + 1])
            square = weight**2 * moment_covariance(moment, moment, length).doit()
            stated = sp.exp(2 * sign * rest) * sign * (sp.exp(2 * sign * length) - 1)
            identities.append(((2 * eta * square).subs(eta, 1), stated))
    return prove(identities, "squares of the coefficients at three nodes")


@claim(
    "noise-averages",
    r"$M = \int E N_l\,dl$, $M_1 = \int E\,\tau N_l\,dl$ and the double integral $J$ are white-noise moments "
    r"with the kernels $(1+\eta)x$, $(1+\eta)(x - x^2/2h)$, $(1+\eta)^2x^2/2$ times that of $N$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    # The kernel to dW_u of an average over l is an integral over l from u on (stochastic Fubini).
    u, l, k = sp.symbols("u l k", real=True)
    end = lam_s + h
    weight = sp.simplify(DATA.drift_kernel(end, l))
    tau = (l - lam_s) / h

    def noise(time: sp.Expr) -> sp.Expr:
        return DATA.noise_kernel(time, u)

    def integral(integrand: sp.Expr, variable: sp.Symbol, low: sp.Expr, high: sp.Expr) -> sp.Expr:
        return sp.integrate(sp.simplify(sp.expand(integrand)), (variable, low, high))

    inner = integral((1 + eta) * sp.exp(-(1 + eta) * (l - k)) * noise(k), k, u, l)
    direct = {
        "N": noise(end),
        "M": integral(weight * noise(l), l, u, end),
        "M1": integral(weight * tau * noise(l), l, u, end),
        "J": integral(weight * inner, l, u, end),
    }
    identities = []
    for name, functional in path_averages().items():
        kernel = sum(w * moment.kernel(end - u) for moment, w in functional.terms.items())
        stated = noise_scale(end) * kernel
        ratio = sp.simplify((direct[name] - stated) / noise(end))
        identities.append((ratio, sp.Integer(0)))
    return prove(identities, "integrated for symbolic eta and h")


@claim(
    "noise-J",
    r"The double average is no new variable: $J = (1+\eta)\,h\,(M - M_1)$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    averages = path_averages()
    difference = averages["J"] + (-(1 + eta) * h) * (averages["M"] + (-1) * averages["M1"])
    return prove(((w, sp.Integer(0)) for w in difference.terms.values()), "moment by moment")


@claim(
    "noise-small-steps",
    r"The covariances of $N, M, M_1, J$ and of the noises at nodes have a relative error of at most "
    r"$10^{-12}$ at $h = 10^{-8}$.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    tiny = 1e-8
    node = sp.Rational(3, 10)
    lengths = (node * h, (1 - node) * h)
    averages = {name: f.split(lengths[1]) for name, f in path_averages().items()}
    functionals: list[Functional] = [
        *averages.values(),
        *(step_moment(form.noise_rate, lengths, i) for form in (DATA, NOISE) for i in (0, 1)),
    ]
    errors = []
    with mpmath.workdps(60):
        for a, b in itertools.combinations_with_replacement(functionals, 2):
            formula = a.covariance(b, lengths)
            number = sp.lambdify((h, eta), formula, modules=NUMERIC)(tiny, 0.7)
            exact = formula.subs({h: sp.Float(tiny, 60), eta: sp.Float(0.7, 60)}).evalf(50)
            errors.append(abs(float(number / exact - 1)))
    return measure_at_most(errors, 1e-12, f"worst relative error of {len(functionals)} functionals")

"""Chapter "Exact solutions": one frame for every schedule, three semilinear forms, their solutions."""

from functools import partial

import sympy as sp

from proofs_checks.ledger import Evidence, Verdict, claim, prove
from seeds_theory import prediction as pred
from seeds_theory.exact import (
    DATA,
    FORMS,
    GAUSSIAN,
    NOISE,
    F,
    SemilinearForm,
    diffusion,
    eta,
    frozen_step,
    lam,
    lam_s,
    lam_t,
    variance,
)
from seeds_theory.noise import h
from seeds_theory.phi import Phi

ALL = (DATA, NOISE, F, GAUSSIAN)
HERE = "this project"
middle = sp.Symbol("lambda_m", real=True)


@claim(
    "exact-frame",
    r"In the frame $y = x/\alpha$, on the clock $\lambda = \log(\alpha/\sigma)$, the reverse-time SDE of "
    r"every schedule is $dy = (1+\eta)(D - y)\,d\lambda + \sqrt{2\eta}\,e^{-\lambda}\,dW_\lambda$.",
    source="reverse SDE: Anderson (1982), Song et al. (2021); the frame: " + HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    t = sp.Symbol("t", real=True)
    a, s = (sp.Function(name, positive=True)(t) for name in ("alpha", "sigma"))
    x, data = sp.symbols("x D", real=True)
    clock = sp.log(a / s)
    # Forward: dx = f x dt + g dw with these coefficients has mean alpha x_0 and variance sigma^2.
    f = sp.diff(sp.log(a), t)
    g2 = sp.diff(s**2, t) - 2 * f * s**2
    score = (a * data - x) / s**2
    drift = f * x - (1 + eta) / 2 * g2 * score
    frame_drift = drift / a - x / a * sp.diff(sp.log(a), t)
    frame_noise = eta * g2 / a**2  # squared, per unit of t running backwards
    per_clock = sp.diff(clock, t)
    identities = [(frame_noise, -((diffusion.subs(lam, clock)) ** 2) * per_clock)]
    for (
        form
    ) in FORMS.values():  # what the solver integrates: A y + B F, with the output F of the denoiser
        at = {pred.alpha: 1, pred.sigma: s / a}
        skip, out = (e.subs(at) for e in (form.prediction.skip, form.prediction.out))
        output = (data - skip * x / a) / out
        semilinear = form.linear(clock) * x / a + form.drift(clock) * output
        identities.append((frame_drift, semilinear * per_clock))
        identities.append((semilinear, (1 + eta) * (data - x / a)))
    return prove(
        identities, "for symbolic alpha(t) and sigma(t), in the coefficients of every form"
    )


@claim(
    "exact-marginals",
    r"For every $\eta \ge 0$ the SDE has the same marginals: the Fokker-Planck equation with "
    r"$D = y + e^{-2\lambda}\,\partial_y \log p$ does not contain $\eta$.",
    source="Song et al. (2021), Karras et al. (2022)",
    expected=Verdict.proved,
)
def _() -> Evidence:
    y = sp.Symbol("y", real=True)
    p = sp.Function("p", positive=True)(y, lam)
    level = sp.exp(-2 * lam)
    denoiser = y + level * sp.diff(sp.log(p), y)
    flux = (DATA.linear(lam) * y + DATA.drift(lam) * denoiser) * p
    right = -sp.diff(flux, y) + sp.diff(diffusion**2 / 2 * p, y, 2)
    return prove([(right, -level * sp.diff(p, y, 2))], "for an arbitrary density p")


@claim(
    "exact-splittings",
    r"Data, noise and F prediction split one and the same drift: $A y + B F = (1+\eta)(D - y)$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    y, data = sp.symbols("y D", real=True)

    def drift(form: SemilinearForm) -> sp.Expr:
        in_frame = {pred.alpha: 1, pred.sigma: sp.exp(-lam)}
        output = (data - form.prediction.skip * y) / form.prediction.out
        return form.linear(lam) * y + form.drift(lam) * output.subs(in_frame)

    return prove(((drift(form), (1 + eta) * (data - y)) for form in ALL), "substituted")


@claim(
    "exact-propagator",
    r"$\Phi(t,s)$ solves $\partial_t\Phi = A\Phi$, $\Phi(s,s) = 1$, and "
    r"$\Phi(t,m)\Phi(m,s) = \Phi(t,s)$, in all three forms and for Gaussian data.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = []
    for form in ALL:
        phi_ts = form.propagator(lam_t, lam_s)
        # The logarithmic derivative keeps the powers (1 + eta) out of the way.
        identities += [
            (sp.simplify(sp.diff(phi_ts, lam_t) / phi_ts), form.linear(lam_t)),
            (form.propagator(lam_s, lam_s), sp.Integer(1)),
            (
                sp.expand_log(sp.log(phi_ts), force=True),
                sp.expand_log(
                    sp.log(form.propagator(lam_t, middle) * form.propagator(middle, lam_s)),
                    force=True,
                ),
            ),
        ]
    return prove(identities, "for symbolic eta, times, sigma_data and c")


def _solution(form: SemilinearForm) -> Evidence:
    """Differentiate the mild solution with an arbitrary F; the noise kernel by its two properties."""
    y_s = sp.Symbol("y_s", real=True)
    output = sp.Function("F", real=True)
    kernel = form.drift_kernel(lam_t, lam)
    y_t = form.propagator(lam_t, lam_s) * y_s + sp.Integral(
        kernel * output(lam), (lam, lam_s, lam_t)
    )
    linear, drift = form.linear(lam_t), form.drift(lam_t)
    residual = sp.expand(sp.diff(y_t, lam_t) - linear * y_t - drift * output(lam_t))
    integral, rest = sp.Integer(0), sp.Integer(0)
    for term in sp.Add.make_args(residual):
        inner = next(iter(term.atoms(sp.Integral)), None)
        if inner is None:
            rest += term
        else:
            integral += term / inner * inner.function
    noise = form.noise_kernel(lam_t, lam)
    return prove(
        [
            (sp.simplify(rest), sp.Integer(0)),
            (sp.simplify(integral / (kernel * output(lam))), sp.Integer(0)),
            (sp.simplify(sp.diff(noise, lam_t) / noise), linear),
            (sp.simplify(noise.subs(lam, lam_t) / diffusion.subs(lam, lam_t)), sp.Integer(1)),
        ],
        "differentiated with an arbitrary F(l)",
    )


for _form in FORMS.values():
    claim(
        f"exact-solution-{_form.name}",
        rf"$y_t = \Phi y_s + \int \Phi B F\,dl + \int \Phi g\,dW$ solves the SDE in {_form.name} "
        r"prediction, for every $F$ and every $\eta \ge 0$.",
        source="variation of constants; constants as in the authors' code",
        expected=Verdict.proved,
    )(partial(_solution, _form))


@claim(
    "exact-frozen",
    r"The drift integral of a frozen $F$ is $B(t)\,h\,\varphi_1(\zeta h)$ with $\zeta = -(1+\eta)$ for data "
    r"and $\zeta = 1$ for noise prediction.",
    source="exponential Euler; SEEDS Algorithm 2",
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = []
    for form in (DATA, NOISE):
        step = form.drift(lam_t) * h * Phi(1, form.drift_rate * h).doit()
        in_times = step.subs(h, lam_t - lam_s)
        identities += [
            (sp.diff(in_times, lam_s), -form.drift_kernel(lam_t, lam_s)),
            (sp.limit(step, h, 0), sp.Integer(0)),
        ]
    return prove(identities, "differentiated in the lower limit")


@claim(
    "exact-frozen-F",
    r"The drift integral of a frozen $F$ prediction is "
    r"$\sqrt{t^2+\sigma_d^2}\,(\arctan\frac{s}{\sigma_d} - \arctan\frac{t}{\sigma_d})$ for $\eta = 0$ and "
    r"$\frac{2}{\sigma_d}(t^2+\sigma_d^2)\big(\frac{s}{\sqrt{s^2+\sigma_d^2}} - "
    r"\frac{t}{\sqrt{t^2+\sigma_d^2}}\big)$ for $\eta = 1$.",
    source="authors' code, EDM variant",
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = []
    for value in (0, 1):
        step = frozen_step(F, value)
        kernel = F.drift_kernel(lam_t, lam_s).subs(eta, value)
        identities += [
            (sp.simplify(sp.diff(step, lam_s) + kernel), sp.Integer(0)),
            (step.subs(lam_s, lam_t), sp.Integer(0)),
        ]
    return prove(identities, "differentiated in the lower limit")


def _variance_law(
    form: SemilinearForm, stated: sp.Expr, eta_value: sp.Expr = eta
) -> list[tuple[sp.Expr, sp.Expr]]:
    """Q' = 2 A q + g^2 with q = 0 at the start is the variance of the noise."""
    ode = 2 * form.linear(lam_t) * stated + diffusion.subs(lam, lam_t) ** 2
    ode = ode.subs(eta, eta_value)
    return [
        (sp.simplify(sp.diff(stated, lam_t) - ode), sp.Integer(0)),
        (sp.simplify(stated.subs(lam_s, lam_t)), sp.Integer(0)),
    ]


@claim(
    "exact-variance",
    r"With $t = e^{-\lambda_t}$, $s = e^{-\lambda_s}$ the noise of one step has the variance "
    r"$t^2(1-e^{-2\eta h})$ in data and $\eta\,t^2(e^{2h}-1)$ in noise prediction, and "
    r"$(t^2+\sigma_d^2)(s^2-t^2)/(s^2+\sigma_d^2)$ in F prediction ($\eta = 1$).",
    source="SEEDS, authors' code; eta: ComfyUI",
    expected=Verdict.proved,
)
def _() -> Evidence:
    s2, t2, length = sp.exp(-2 * lam_s), sp.exp(-2 * lam_t), lam_t - lam_s
    identities = _variance_law(DATA, t2 * (1 - sp.exp(-2 * eta * length)))
    identities += _variance_law(NOISE, eta * t2 * (sp.exp(2 * length) - 1))
    sd2 = pred.sigma_data**2
    stated = (t2 + sd2) * (s2 - t2) / (s2 + sd2)
    identities += _variance_law(F, stated, sp.Integer(1))
    return prove(identities, "from the variance's own equation")


@claim(
    "exact-variance-preserved",
    r"One exact step preserves the marginals of Gaussian data for every $\eta$: "
    r"$\Phi^2(c+s^2) + q = c+t^2$ with $q = (c+t^2)\big(1 - (\frac{c+t^2}{c+s^2})^\eta\big)$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    start, end = variance + sp.exp(-2 * lam_s), variance + sp.exp(-2 * lam_t)
    q = end * (1 - (end / start) ** eta)
    square = (end / start) ** (1 + eta)  # of the propagator
    phi_ts = GAUSSIAN.propagator(lam_t, lam_s)
    identities = _variance_law(GAUSSIAN, q)
    identities += [
        (sp.expand_log(sp.log(phi_ts**2), force=True), sp.expand_log(sp.log(square), force=True)),
        (sp.powsimp(sp.expand(square * start + q)), end),
    ]
    return prove(identities, "for symbolic c, eta and times")

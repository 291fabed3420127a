"""Chapter "Guidance": what it does to the martingale, to the law of the samples, and to orders."""

import math
from collections.abc import Sequence

import sympy as sp
import torch

from proofs_checks.densities import LEVEL, AnyData
from proofs_checks.ledger import Evidence, Verdict, claim, measure, measure_at_most, prove
from proofs_checks.measured import measure_order
from seeds_theory import make_plan, uniform_log_snr
from seeds_theory.exact import GAUSSIAN, diffusion, eta, lam, variance
from seeds_theory.methods import method
from toy_models.convergence import fit_exact, plan_response
from toy_models.guided import GuidedGaussian

HERE = "this project"
c, C, u = sp.symbols("c C u", positive=True)
w, m = sp.symbols("w m", real=True)
RATE = w / (c + u) + (1 - w) / (C + u)


# ------------------------------------------------------------------ the martingale


@claim(
    "guidance-martingale",
    r"Along the SDE of the guided estimate $D_w = D_\varnothing + w\,(D_c - D_\varnothing)$ at $\eta = 1$ "
    r"its drift is $w(w-1)\,\nabla|D_c - D_\varnothing|^2$, for every pair of data distributions.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    identities = []
    for dimension in (1, 2):
        own, every = AnyData(dimension, "p"), AnyData(dimension, "q")
        gaps = [a - b for a, b in zip(own.denoiser, every.denoiser, strict=True)]
        led = [b + w * gap for b, gap in zip(every.denoiser, gaps, strict=True)]
        squared = sp.Add(*(gap**2 for gap in gaps))
        for y, component in zip(own.state, led, strict=True):
            rate = sp.diff(component, lam) + 2 * sp.Add(
                *((to - z) * sp.diff(component, z) for to, z in zip(led, own.state, strict=True))
            )
            drift = rate + LEVEL * own.laplacian(component)
            stated = w * (w - 1) * sp.diff(squared, y)
            identities.append((every.heat(own.heat(drift)), every.heat(own.heat(stated))))
    return prove(identities, "Ito's formula for two arbitrary densities in one and two dimensions")


# ------------------------------------------------------------------ the law, between Gaussians


@claim(
    "guidance-ode",
    r"Guided by $w$ from $N(0, C)$ towards $N(0, c)$ the ODE ends from pure noise with the variance "
    r"$c^w C^{1-w}$.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    at = {lam: -sp.log(u) / 2}
    pulls = (GAUSSIAN.linear(lam).subs(at).subs(variance, own) for own in (c, C))
    pull = sp.Add(*(share * own for share, own in zip((w, 1 - w), pulls, strict=True)))
    logarithm = w * sp.log(c + u) + (1 - w) * sp.log(C + u)
    from_noise = w * sp.log(1 + c / u) + (1 - w) * sp.log(1 + C / u)
    return prove(
        [
            # d lambda = -du / (2u); twice the rate of y is that of its variance.
            (sp.simplify(pull.subs(eta, 0) / -u), RATE),
            (sp.diff(logarithm, u), RATE),
            (sp.exp(logarithm.subs(u, 0)), c**w * C ** (1 - w)),
            (sp.expand_log(logarithm - sp.log(u) - from_noise, force=True), sp.Integer(0)),
            (sp.limit(from_noise, u, sp.oo), sp.Integer(0)),
        ],
        "the equation of the variance, its value at the end, and that of pure noise, u, at infinity",
    )


@claim(
    "guidance-sde",
    r"Guided likewise by $w = 2$ the SDE at $\eta = 1$ ends with the variance $c\,(C^2 + Cc + c^2)/(3C^2)$: "
    r"neither the ODE's $c^2/C$ nor $cC/(2C-c)$, that of the tilted density.",
    source=HERE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    z, d = c + u, C - c
    spread = z**4 / (C + u) ** 2 * (d**2 / (3 * z**3) + d / z**2 + 1 / z)
    end = c * (C**2 + C * c + c**2) / (3 * C**2)
    ode, tilted = c**2 / C, c * C / (2 * C - c)
    return prove(
        [
            (sp.simplify((diffusion**2 / (-2 * u)).subs({eta: 1, lam: -sp.log(u) / 2})), -sp.S.One),
            (sp.diff(spread, u), 2 * RATE.subs(w, 2) * spread - 1),
            (spread.subs(u, 0), end),
            (sp.limit(spread / u, u, sp.oo), sp.Integer(1)),
            (end - ode, c * (C - c) ** 2 / (3 * C**2)),
            (tilted - end, c * (C - c) ** 2 * (C + c) / (3 * C**2 * (2 * C - c))),
            (1 / RATE.subs({w: 2, u: 0}), tilted),
        ],
        "the equation of the variance, its values at both ends, and the differences",
    )


@claim(
    "guidance-tilted",
    r"Between Gaussians the law of the guided samples tends to the tilted density $\propto p_c^w\,p^{1-w}$ "
    r"as $\eta$ grows, with an error of order $1/\eta$ in mean and variance.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    slopes = []
    for scale in (2.0, 5.0, 0.5):
        data = GuidedGaussian(0.25, 1.0, scale, mean=0.7)
        gaps = [
            [abs(found - limit) for found, limit in zip(law, data.tilted, strict=True)]
            for law in (data.law(strength, (0.0, 1e8), 1e4) for strength in (1e3, 4e3))
        ]
        slopes += [math.log(a / b, 4) for a, b in zip(*gaps, strict=True)]
    worst = max(slopes, key=lambda slope: abs(slope - 1))
    return measure(
        worst, 0.0, 1.0, 0.01, "slope in 1/eta of mean and variance at three scales, the worst"
    )


# ------------------------------------------------------------------ orders


def guided_errors(
    name: str, steps: Sequence[int], strength: float, scale: float = 2.0
) -> list[tuple[float, float]]:
    """Errors of mean and variance of a method's samples under guidance, on grids of so many steps, exact."""
    data = GuidedGaussian(0.25, 1.0, scale, mean=0.7)
    high, low = 10.0, 0.05
    start = (0.0, high**2 + data.every)
    mean, variance = data.law(strength, start, high, low)
    errors = []
    for count in steps:
        plan = make_plan(name, uniform_log_snr(high, low, count), eta=strength)
        response = plan_response(plan, data)
        spread = response.variance(torch.tensor([start[1]], dtype=torch.float64))
        errors.append((float(response.offset) - mean, float(spread) - variance))
    return errors


_METHODS = ("seeds-1", "seeds-2", "seeds-3", "seeds-3s", "seeds-4s")
_STEPS = (40, 80, 160, 320)


@claim(
    "guidance-orders",
    "Between Gaussians, where the guided estimate is affine, mean and variance converge at the weak order "
    "that each method declares for affine estimates, or above.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    missing = []
    for name in _METHODS:
        declared = method(name).orders.gaussian.weak
        errors = guided_errors(name, _STEPS, 1.0)
        fits = [fit_exact(_STEPS, [abs(e) for e in column]) for column in zip(*errors, strict=True)]
        found = [fit.order for fit in fits if fit.order is not None]
        missing.append(math.inf if len(found) < 2 else declared - min(found))
    return measure_at_most(
        missing, 0.05, "what is missing in the lower of two orders, five methods"
    )


@claim(
    "guidance-mean",
    r"SEEDS-1 has the exact mean of the law at $\eta = 1$ without guidance and at order 1 with it.",
    source=HERE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    alone = [abs(mean) for mean, _ in guided_errors("seeds-1", _STEPS, 1.0, scale=1.0)]
    if max(alone) > 1e-12:
        return measure_at_most(alone, 1e-12, "error of the mean without guidance")
    led = [abs(mean) for mean, _ in guided_errors("seeds-1", _STEPS, 1.0)]
    return measure_order([fit_exact(_STEPS, led)], 1.0, "the mean of SEEDS-1 under guidance")

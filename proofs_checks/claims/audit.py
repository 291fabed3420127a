"""Chapter "The audit": what rows of a batch tell of a sampler, and the order of ancestral steps."""

import sympy as sp
import torch
from torch import Tensor

from proofs_checks.audit.affine import LinearModel, Source, probe
from proofs_checks.audit.measure import MEANS, VARIANCES, Measurement, grid
from proofs_checks.audit.protocol import Target
from proofs_checks.audit.targets import find_target
from proofs_checks.ledger import Evidence, Verdict, claim, measure, measure_at_most, prove
from seeds_theory import make_plan
from seeds_theory.exact import GAUSSIAN, eta, lam_s, lam_t, variance
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
    # Data prediction at eta = 1: increments of a path in the clock 1 / sigma^2.
    exact = sp.sqrt((sp.exp(2 * node * _h) - 1) / (sp.exp(2 * _h) - 1))
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

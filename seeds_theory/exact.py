r"""The diffusion SDE and its exact solution, by variation of constants, for every prediction.

The forward process :math:`x_t = \alpha_t x_0 + \sigma_t \varepsilon` has the reverse-time family of SDEs

.. math::  dx = \Big[f x - \tfrac{1+\eta}{2} g^2 \nabla \log p_t(x)\Big] dt + \sqrt{\eta}\, g\, d\bar W,
           \qquad \eta \ge 0,

all with the marginals :math:`p_t` (:math:`\eta = 1`: Anderson's reverse SDE, :math:`\eta = 0`: the
probability-flow ODE). In the frame :math:`y = x/\alpha`, on the clock
:math:`\lambda = \log(\alpha/\sigma)`, every schedule becomes one and the same equation

.. math::  dy = (1+\eta)\,(D(y, \lambda) - y)\,d\lambda + \sqrt{2\eta}\,e^{-\lambda}\,dW_\lambda .

Writing :math:`D = \mathrm{skip}\,y + \mathrm{out}\,F` makes it semilinear in F. A `SemilinearForm` holds
that splitting and what follows from it: propagator, drift kernel, noise kernel.
Claims: ``exact-*``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from seeds_theory import prediction as pred
from seeds_theory.errors import ParameterError
from seeds_theory.extras import optional_imports
from seeds_theory.forms import FORM_NUMBERS, Form
from seeds_theory.prediction import PREDICTIONS, Prediction

with optional_imports():
    import sympy as sp

lam, lam_s, lam_t = sp.symbols("lambda lambda_s lambda_t", real=True)
eta = sp.Symbol("eta", nonnegative=True)
variance = sp.Symbol("c", positive=True)
"""Data variance of a Gaussian model, the parameter of `GAUSSIAN`."""

diffusion = sp.sqrt(2 * eta) * sp.exp(-lam)
r"""The diffusion coefficient :math:`g(\lambda) = \sqrt{2\eta}\,e^{-\lambda}` of the frame's SDE."""


@dataclass(frozen=True)
class SemilinearForm:
    r"""The frame's SDE as :math:`dy = (A y + B F)\,d\lambda + g\,dW`, and its exact solution

    .. math::  y_t = \Phi(t,s)\,y_s + \int_s^t \Phi(t,l) B(l)\,F\,dl + \int_s^t \Phi(t,l) g(l)\,dW_l .

    All methods return sympy expressions; times are log-SNRs.
    """

    prediction: Prediction

    @property
    def name(self) -> str:
        """The name of its prediction."""
        return self.prediction.name

    def _in_frame(self, expression: sp.Expr, time: sp.Expr) -> sp.Expr:
        return expression.subs({pred.alpha: 1, pred.sigma: sp.exp(-time)})

    def linear(self, time: sp.Expr) -> sp.Expr:
        r"""The coefficient of y: :math:`A = (1+\eta)(\mathrm{skip} - 1)`."""
        return (1 + eta) * sp.simplify(self._in_frame(self.prediction.skip, time) - 1)

    def drift(self, time: sp.Expr) -> sp.Expr:
        r"""The coefficient of F: :math:`B = (1+\eta)\,\mathrm{out}`."""
        return (1 + eta) * self._in_frame(self.prediction.out, time)

    @cached_property
    def _fundamental(self) -> sp.Expr:
        # A dlambda = -A dsigma/sigma: in sigma the exponents are logarithms of polynomials.
        rate = sp.cancel((1 - self.prediction.skip.subs(pred.alpha, 1)) / pred.sigma)
        return sp.exp(sp.integrate(rate, pred.sigma))

    def propagator(self, t: sp.Expr, s: sp.Expr) -> sp.Expr:
        r""":math:`\Phi(t, s) = \exp \int_s^t A(l)\,dl`."""
        ratio = self._in_frame(self._fundamental, t) / self._in_frame(self._fundamental, s)
        return sp.powdenest(sp.powsimp(ratio) ** (1 + eta), force=True)

    def drift_kernel(self, t: sp.Expr, time: sp.Expr) -> sp.Expr:
        r""":math:`\Phi(t, l)\,B(l)`: what F at time l contributes to the solution at t."""
        return self.propagator(t, time) * self.drift(time)

    def noise_kernel(self, t: sp.Expr, time: sp.Expr) -> sp.Expr:
        r""":math:`\Phi(t, l)\,g(l)`: what :math:`dW_l` contributes to the solution at t."""
        return self.propagator(t, time) * diffusion.subs(lam, time)

    @cached_property
    def drift_rate(self) -> sp.Expr:
        r"""The :math:`\zeta` of a drift kernel :math:`B(t)\,e^{\zeta (t-l)}`."""
        return self._rate(self.drift_kernel(lam_t, lam))

    @cached_property
    def noise_rate(self) -> sp.Expr:
        r"""The r of a noise kernel :math:`g(t)\,e^{-r(t-l)}`."""
        return -self._rate(self.noise_kernel(lam_t, lam))

    def _rate(self, kernel: sp.Expr) -> sp.Expr:
        rate = sp.simplify(-sp.diff(kernel, lam) / kernel)
        if rate.has(lam):
            raise ParameterError(
                f"the {self.name!r} form has no exponential kernel in the log-SNR, which "
                "phi-function tableaux need: use 'data' or 'noise'"
            )
        return rate

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """The symbols beside alpha, sigma and eta: sigma_data, or the data variance c; or none."""
        symbols = self.prediction.skip.free_symbols - {pred.alpha, pred.sigma, eta}
        return tuple(sorted(symbols, key=str))

    @property
    def numbers(self) -> Form:
        """Its numbers: those emitted ahead of time for the forms of this module, emitted now for others."""
        return FORM_NUMBERS.get(self.name) or _emitted_now(self)

    def numeric_propagator(self) -> Any:
        """`propagator` as a function ``(t, s, eta, parameter)`` of numpy arrays."""
        return self.numbers.propagator

    def numeric_noise_kernel(self) -> Any:
        """`noise_kernel` likewise."""
        return self.numbers.noise_kernel


@cache
def _emitted_now(form: SemilinearForm) -> Form:
    from seeds_theory.emit.library import form_text

    parameter = str(form.parameters[0]) if form.parameters else None
    return Form(form.name, parameter, form_text(form))


DATA = SemilinearForm(PREDICTIONS["data"])
NOISE = SemilinearForm(PREDICTIONS["noise"])
F = SemilinearForm(PREDICTIONS["F"])
GAUSSIAN = SemilinearForm(
    Prediction(
        "gaussian",
        variance / (variance + pred.sigma**2),
        pred.sigma**2 / (variance + pred.sigma**2),
        "the mean of the data",
    )
)
r"""The exact solution for data :math:`N(m, c)`: its denoiser is :math:`\mathrm{skip}\,y + \mathrm{out}\,m`,
semilinear with the constant F = m. The propagator is that of F prediction with sigma_data^2 = c."""


def splitting(rate: sp.Expr) -> SemilinearForm:
    r"""The splitting with the linear part :math:`-(1 + r)\,y`: its noise kernel is :math:`g(t)\,e^{-r(t-l)}`.

    r is eta for `DATA` and -1 for `NOISE`. With r = 0 the noise is that of the plain Brownian motion
    in log-SNR, :math:`g(t)\,(W_t - W_s)`.
    """
    skip = sp.simplify(1 - (1 + rate) / (1 + eta))
    return SemilinearForm(Prediction(f"rate {rate}", skip, sp.Integer(1), "D - skip y"))


INCREMENTS = splitting(sp.Integer(0))
CLOCK = splitting(3 * eta)
r"""The noise of `DATA` is a Brownian motion in the clock :math:`e^{2\eta\lambda}`; this is its integral in
that clock, weighted with it."""

FORMS: dict[str, SemilinearForm] = {form.name: form for form in (DATA, NOISE, F)}
"""The three splittings by the name of the prediction they integrate."""


def frozen_step(form: SemilinearForm, eta_value: int) -> sp.Expr:
    r"""The drift integral :math:`\int_s^t \Phi(t,l) B(l)\,dl` of a frozen F prediction, in closed form.

    With :math:`\sigma_s = e^{-\lambda_s}` and :math:`\sigma_d` = sigma_data, for eta in {0, 1}:
    the step that an exponential Euler method takes on EDM's own network output.
    """
    if form is not F or eta_value not in (0, 1):
        raise ParameterError(
            "the closed form is for F prediction and eta in {0, 1}; got "
            f"{form.name!r} and eta = {eta_value}"
        )
    s, t, sd = sp.exp(-lam_s), sp.exp(-lam_t), pred.sigma_data
    root_s, root_t = sp.sqrt(s**2 + sd**2), sp.sqrt(t**2 + sd**2)
    if eta_value == 0:
        return root_t * (sp.atan(s / sd) - sp.atan(t / sd))
    return (2 / sd) * root_t**2 * (s / root_s - t / root_t)

r"""What a network predicts, as one datum: the denoiser is ``skip * x + out * output``.

At a noise level :math:`x = \alpha x_0 + \sigma \varepsilon` every parametrisation in use is an affine map
from the network's output :math:`F` to the estimate :math:`D \approx E[x_0 \mid x]`,

.. math::  D(x) = \mathrm{skip}(\alpha, \sigma)\, x + \mathrm{out}(\alpha, \sigma)\, F(x),

so a `Prediction` is the pair (skip, out). Solvers integrate F (`seeds_theory.exact`), network
wrappers recover D (`seeds_theory.denoiser`); both read the same two expressions.
"""

from __future__ import annotations

from dataclasses import dataclass

from seeds_theory.extras import optional_imports
from seeds_theory.forms import require_prediction, skip_and_out

with optional_imports():
    import sympy as sp

alpha, sigma = sp.symbols("alpha sigma", nonnegative=True)
sigma_data = sp.Symbol("sigma_data", positive=True)


@dataclass(frozen=True)
class Prediction:
    r"""One parametrisation: :math:`D = \mathrm{skip}\,x + \mathrm{out}\,F`.

    Parameters
    ----------
    name : how users call it.
    skip, out : sympy expressions in `alpha`, `sigma` and, for "F", `sigma_data`.
    meaning : the output F in words and symbols, for tables.
    """

    name: str
    skip: sp.Expr
    out: sp.Expr
    meaning: str

    def coefficients(
        self, alpha_value: float, sigma_value: float, sigma_data_value: float = 1.0
    ) -> tuple[float, float]:
        """(skip, out) as floats at one noise level, of a prediction in `PREDICTIONS`; see `skip_and_out`."""
        return skip_and_out(self.name, alpha_value, sigma_value, sigma_data_value)


_scale = sp.sqrt(sigma**2 + sigma_data**2)

PREDICTIONS: dict[str, Prediction] = {
    p.name: p
    for p in (
        Prediction("data", sp.Integer(0), sp.Integer(1), "x_0"),
        Prediction("noise", 1 / alpha, -sigma / alpha, r"\varepsilon"),
        Prediction("score", 1 / alpha, sigma**2 / alpha, r"\nabla \log p(x)"),
        Prediction(
            "v",
            alpha / (alpha**2 + sigma**2),
            -sigma / (alpha**2 + sigma**2),
            r"\alpha \varepsilon - \sigma x_0",
        ),
        Prediction("flow", 1 / (alpha + sigma), -sigma / (alpha + sigma), r"\varepsilon - x_0"),
        Prediction(
            "F",
            sigma_data**2 / _scale**2,
            sigma * sigma_data / _scale,
            r"(D - c_{\mathrm{skip}} x) / c_{\mathrm{out}}",
        ),
    )
}
"""Every parametrisation by name. "F" is EDM's preconditioned output, in its frame alpha = 1."""


def prediction(name: str) -> Prediction:
    """The `Prediction` of that name; an unknown name raises `UnknownNameError` listing them."""
    require_prediction(name)
    return PREDICTIONS[name]

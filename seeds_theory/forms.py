r"""Predictions and semilinear forms as numbers: what runs use of the mathematics.

The formulas are those of `seeds_theory.prediction` and `seeds_theory.exact`; their code was emitted
(`seeds_theory.emitted`). A `Form` is known by its name, so that what holds one can be pickled and compared.
"""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from seeds_theory.errors import ParameterError, unknown

PREDICTION_NAMES = ("data", "noise", "score", "v", "flow", "F")
"""What a network may predict: "F" is EDM's preconditioned output, in its frame alpha = 1."""


DIFFUSERS_NAMES = {
    "epsilon": "noise",
    "sample": "data",
    "v_prediction": "v",
    "flow_prediction": "flow",
}
"""diffusers' names of predictions."""


def require_prediction(name: str) -> None:
    """Raise UnknownNameError for a name that is not in `PREDICTION_NAMES`."""
    if name not in PREDICTION_NAMES:
        remark = " (x0 is 'data', eps 'noise', the velocity of rectified flow 'flow')"
        raise unknown("prediction", name, PREDICTION_NAMES, remark)


def skip_and_out(
    prediction: str, alpha: float, sigma: float, sigma_data: float = 1.0
) -> tuple[float, float]:
    """The coefficients of the denoiser, D = skip x + out F, at one noise level.

    Raises
    ------
    UnknownNameError : no such prediction.
    ParameterError : where the output determines no D, as a noise prediction at alpha = 0.
    """
    require_prediction(prediction)
    try:
        skip, out = _emitted("predictions", prediction)(alpha, sigma, sigma_data)
    except ZeroDivisionError:
        raise ParameterError(
            f"a {prediction!r} prediction says nothing about the data at alpha = {alpha:g}, sigma = "
            f"{sigma:g}: start at a finite log-SNR, or use an 'x0', 'v' or 'flow' prediction"
        ) from None
    return float(skip), float(out)


FACTORS = 3
"""Up to how many moments of one stretch the code of their joint law was emitted."""


def _emitted(module: str, name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(
        importlib.import_module(f"seeds_theory.emitted.{module}"), name
    )
    return function


@dataclass(frozen=True)
class Form:
    r"""The numbers of a `seeds_theory.exact.SemilinearForm`.

    Parameters
    ----------
    name : of the form.
    parameter : what it depends on beside eta: sigma_data, or the variance c of Gaussian data; or None.
    text : its emitted functions, for a form whose code is not in `seeds_theory.emitted`.
    """

    name: str
    parameter: str | None = None
    text: str | None = None

    @property
    def propagator(self) -> Callable[..., Any]:
        r""":math:`\Phi(t, s)` as a function ``(t, s, eta, parameter)`` of log-SNRs, numbers or arrays."""
        return self._function("propagator")

    @property
    def noise_kernel(self) -> Callable[..., Any]:
        r""":math:`\Phi(t, s)\,g(s)` likewise."""
        return self._function("noise_kernel")

    def rate(self, eta: float) -> float:
        r"""The r of a noise kernel :math:`g(t)\,e^{-r(t-s)}`; a form that has a parameter has none."""
        return float(self._function("rate")(eta))

    def moment_factor(self, count: int, length: float, eta: float) -> np.ndarray:
        """`seeds_theory.noise.moment_factor` of its noise: (count, count)."""
        return np.array(_moment_factor(count)(self.rate(eta), length), dtype=float)

    def deviation(self, sigma_next: float, length: float, eta: float) -> float:
        """The standard deviation of its noise at a noise level after a stretch of that length in log-SNR."""
        return math.sqrt(2 * eta) * sigma_next * float(self.moment_factor(1, length, eta)[0, 0])

    def _function(self, what: str) -> Callable[..., Any]:
        name = f"{identifier(self.name)}_{what}"
        if self.text is None:
            return _emitted("forms", name)
        from seeds_theory.emit.compiled import compiled

        return compiled(self.text, name)


def identifier(name: str) -> str:
    """A name as one of Python's: "rate 3*eta" is rate_3_eta."""
    return re.sub(r"\W+", "_", name)


@cache
def _moment_factor(count: int) -> Callable[..., Any]:
    name = f"factor_{count}"
    if count <= FACTORS:
        return _emitted("moments", name)
    from seeds_theory.emit.compiled import compiled
    from seeds_theory.emit.library import factor_text

    return compiled(factor_text(count), name)


FORM_NUMBERS = {
    name: Form(name, parameter)
    for name, parameter in (
        ("data", None),
        ("noise", None),
        ("F", "sigma_data"),
        ("gaussian", "c"),
        ("rate 0", None),
        ("rate 3*eta", None),
    )
}
"""The forms whose code was emitted ahead of time, by name."""

DATA, NOISE = FORM_NUMBERS["data"], FORM_NUMBERS["noise"]
GAUSSIAN, F = FORM_NUMBERS["gaussian"], FORM_NUMBERS["F"]
INCREMENTS, CLOCK = FORM_NUMBERS["rate 0"], FORM_NUMBERS["rate 3*eta"]


def numbers_of(form: Any) -> Form:
    """A form's numbers, for a form in numbers or in symbols."""
    return form if isinstance(form, Form) else form.numbers

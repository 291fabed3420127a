r"""A denoiser that is wrong by a stated amount on Gaussian data, and what that does to the samples.

With data :math:`N(m, c)` and :math:`v = \sigma^2`, the model returns

.. math::  \hat D = m + \frac{c}{c+v}(y - m) + b(\lambda) + \gamma(\lambda)\,(y - m) .

The SDE of the frame is then solved exactly, so that what is left is the model's error alone: mean and
variance at the end are off by

.. math::  e = \int (1+\eta)\,\Phi\,b\,dl, \qquad
           \delta = \int 2(1+\eta)\,\gamma\,\Phi^2 e^{2(1+\eta)\int_l^T \gamma}\,(c + v_l)\,dl,

with the exact propagator :math:`\Phi(T, l) = ((c+v_T)/(c+v_l))^{(1+\eta)/2}`. Claims: ``behaviour-*``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from seeds_theory.errors import ParameterError
from seeds_theory.exact import eta
from seeds_theory.loop import follow
from seeds_theory.plan import Plan
from toy_models.gaussian import Gaussian
from toy_models.response import Response, probe

ratio = sp.Symbol("R", positive=True)
r"""How far a noise level is above the end: :math:`R = (c+v)/(c+v_T)`."""
start_ratio = sp.Symbol("rho", positive=True)
r"""The first noise level over the data's standard deviation, :math:`\rho = \sigma_S/\sqrt c`."""

window_mean = (1 + eta) * ratio ** (-(1 + eta) / 2)
"""What an error b of the denoiser at the level R, per unit of log-SNR, adds to the final mean."""
window_variance = 2 * (1 + eta) * ratio ** (-eta)
r"""What an error :math:`\gamma` there adds to the final variance, relative to :math:`c + v_T`."""


def noise_error(rate: sp.Expr = eta) -> sp.Expr:
    r"""The final mean's error per :math:`\beta\sqrt c`, if the noise prediction is off by a constant.

    The integral :math:`(1+\eta)\int_0^\rho (1+x^2)^{-(1+\eta)/2}\,dx`, as :math:`v_T \to 0`.
    """
    half, square = sp.Rational(1, 2), start_ratio**2
    function = sp.hyper([half, (1 + rate) / 2], [3 * half], -square)
    return (1 + rate) * start_ratio * function


@dataclass(frozen=True)
class Bump:
    r"""An error near one noise level: height over :math:`\cosh^2`, as wide as `width` in log-SNR."""

    height: float
    level: float
    width: float = 0.4

    def _distance(self, sigma: float | np.ndarray) -> float | np.ndarray:
        return np.log(self.level / sigma) / self.width

    def __call__(self, sigma: float | np.ndarray) -> float | np.ndarray:
        """The error at a noise level."""
        return self.height / np.cosh(self._distance(sigma)) ** 2

    def between(self, sigma: float | np.ndarray, sigma_next: float) -> float | np.ndarray:
        """Its integral in log-SNR from one noise level to a lower one."""
        ends = np.tanh(self._distance(sigma_next)) - np.tanh(self._distance(sigma))
        return self.height * self.width * ends


Profile = Callable[[float | np.ndarray], float | np.ndarray]
"""An error of the denoiser as a function of the noise level."""


@dataclass(frozen=True)
class Misfit:
    r"""The exact denoiser of Gaussian data plus an error in each coordinate; a `Denoiser` itself.

    Parameters
    ----------
    gaussian : the data, with a diagonal covariance.
    bias : for each coordinate its b, as a function of the noise level.
    slope : for each coordinate its :math:`\gamma`.
    """

    gaussian: Gaussian
    bias: Sequence[Profile]
    slope: Sequence[Bump]

    def __post_init__(self) -> None:
        d = self.gaussian.dimension
        if self.gaussian.basis is not None or not len(self.bias) == len(self.slope) == d:
            raise ParameterError(
                "a misfit has a bias and a slope for each coordinate of diagonal Gaussian data; got "
                f"{len(self.bias)} and {len(self.slope)} for d = {d}"
            )

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """The wrong estimate of the data for x (batch, d)."""
        bias, slope = (
            torch.tensor([float(error(sigma)) for error in errors], dtype=x.dtype, device=x.device)
            for errors in (self.bias, self.slope)
        )
        return self.gaussian(x, sigma) + bias + slope * (x - self.gaussian.mean.to(x))

    def response(self, plan: Plan) -> Response:
        """The response of the sampling loop with this denoiser."""
        return probe(lambda _, x, noise: follow(self, x, plan, noise), self.gaussian)

    def mean_errors(self, sigma: float, sigma_next: float, rate: float) -> np.ndarray:
        r"""The error of the final mean (d,) that b makes by itself, at :math:`\eta` = rate."""
        levels, weights = _quadrature(sigma, sigma_next)
        return np.array(
            [
                (weights * (1 + rate) * root ** (1 + rate) * error(levels)).sum()
                for error, root in zip(self.bias, self._roots(levels, sigma_next), strict=True)
            ]
        )

    def variance_errors(self, sigma: float, sigma_next: float, rate: float) -> np.ndarray:
        r"""The error of the final variance (d,) that :math:`\gamma` makes, started from the exact one."""
        levels, weights = _quadrature(sigma, sigma_next)
        gains = 2 * (1 + rate)
        return np.array(
            [
                (
                    weights
                    * gains
                    * error(levels)
                    * root ** (2 * rate)
                    * np.exp(gains * error.between(levels, sigma_next))
                    * (c + sigma_next**2)
                ).sum()
                for error, root, c in zip(
                    self.slope,
                    self._roots(levels, sigma_next),
                    self.gaussian.variances.tolist(),
                    strict=True,
                )
            ]
        )

    def _roots(self, levels: np.ndarray, sigma_next: float) -> list[np.ndarray]:
        """The propagator of the ODE from each level to the end, for each coordinate: Phi at eta = 0."""
        return [
            np.sqrt((c + sigma_next**2) / (c + levels**2)) for c in self.gaussian.variances.tolist()
        ]


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


def _quadrature(sigma: float, sigma_next: float) -> tuple[np.ndarray, np.ndarray]:
    """Noise levels and weights of an integral in log-SNR, in pieces of length 0.1 at most."""
    start, stop = -np.log(sigma), -np.log(sigma_next)
    edges = np.linspace(start, stop, 1 + int(np.ceil((stop - start) / 0.1)))
    half = 0.5 * np.diff(edges)[:, None]
    times = edges[:-1, None] + half * (1 + _NODES)
    return np.exp(-times).ravel(), (half * _WEIGHTS).ravel()

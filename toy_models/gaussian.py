r"""Gaussian data: the model on which everything about a sampler is known exactly.

Data :math:`N(m, C)` at noise level :math:`\sigma` has the marginal :math:`N(m, C + \sigma^2)`, and the
denoiser :math:`D(y) = m + C (C + \sigma^2)^{-1} (y - m)` is affine. In the eigenbasis of C the reverse
SDE falls into scalar equations, each solved by the form `seeds_theory.exact.GAUSSIAN`:

.. math::  y_t = m + \Phi(t,s)(y_s - m) + N(s,t), \qquad
           \Phi = \Big(\frac{c + \sigma_t^2}{c + \sigma_s^2}\Big)^{(1+\eta)/2}.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from seeds_theory.brownian import BrownianPath
from seeds_theory.errors import ParameterError
from seeds_theory.forms import GAUSSIAN


class Gaussian:
    """A normal distribution over R^d with its exact diffusion model; it is itself the denoiser.

    Parameters
    ----------
    mean : (d,).
    variances : (d,), the eigenvalues of the covariance, >= 0.
    basis : (d, d), eigenvectors in its columns; None if the covariance is diagonal.

    Raises
    ------
    ParameterError : a variance negative or not finite, shapes that do not fit, a basis not orthogonal.
    """

    def __init__(self, mean: Tensor, variances: Tensor, basis: Tensor | None = None) -> None:
        self.mean, self.variances = (
            torch.as_tensor(v, dtype=torch.float64) for v in (mean, variances)
        )
        self.basis = None if basis is None else torch.as_tensor(basis, dtype=torch.float64)
        if self.mean.ndim != 1 or self.mean.shape != self.variances.shape:
            raise ParameterError(
                f"mean and variances are vectors of one length; got {tuple(self.mean.shape)} and "
                f"{tuple(self.variances.shape)}"
            )
        if not (self.mean.isfinite().all() and self.variances.isfinite().all()):
            raise ParameterError("mean and variances are finite; got NaN or infinity")
        if (self.variances < 0).any():
            raise ParameterError(f"variances are >= 0; got {float(self.variances.min()):g}")
        if self.basis is not None:
            self._require_orthogonal(self.basis)

    def _require_orthogonal(self, basis: Tensor) -> None:
        d = self.dimension
        gram = basis.mT @ basis if basis.shape == (d, d) else torch.full((d, d), math.nan)
        if not torch.allclose(gram, torch.eye(d, dtype=torch.float64), rtol=0, atol=1e-9):
            raise ParameterError(
                f"the basis is an orthogonal ({d}, {d}) matrix; got shape {tuple(basis.shape)}: "
                "use Gaussian.from_covariance"
            )

    @classmethod
    def from_covariance(cls, mean: Tensor, covariance: Tensor) -> Gaussian:
        """From a symmetric positive semi-definite covariance (d, d), by its eigenbasis.

        Eigenvalues negative by rounding (1e-12 of the largest) become 0.
        """
        matrix = torch.as_tensor(covariance, dtype=torch.float64)
        square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] > 0
        if not square or not matrix.isfinite().all():
            raise ParameterError(
                f"a covariance is a finite square matrix; got shape {tuple(matrix.shape)}"
            )
        size = float(matrix.abs().max())
        if float((matrix - matrix.mT).abs().max()) > 1e-12 * size:
            raise ParameterError(
                "a covariance is symmetric: use (C + C.T) / 2 if rounding broke it"
            )
        variances, basis = torch.linalg.eigh(matrix)
        if float(variances.min()) < -1e-12 * size * len(matrix):
            raise ParameterError(
                "a covariance is positive semi-definite; got the eigenvalue "
                f"{float(variances.min()):.3g}"
            )
        return cls(mean, variances.clamp(min=0), basis)

    @classmethod
    def scalar(cls, variance: float, mean: float = 0.0) -> Gaussian:
        """One-dimensional data N(mean, variance)."""
        if not (math.isfinite(variance) and variance > 0):
            raise ParameterError(f"a variance is positive and finite; got {variance}")
        return cls(*(torch.tensor([value], dtype=torch.float64) for value in (mean, variance)))

    @property
    def dimension(self) -> int:
        """The d of R^d."""
        return len(self.mean)

    @property
    def covariance(self) -> Tensor:
        """The covariance matrix (d, d)."""
        if self.basis is None:
            return torch.diag(self.variances)
        return (self.basis * self.variances) @ self.basis.mT

    def in_eigenbasis(self) -> Gaussian:
        """The same problem in eigen-coordinates: diagonal, the mean rotated with it."""
        return Gaussian(self.to_eigen(self.mean), self.variances)

    def to_eigen(self, x: Tensor) -> Tensor:
        """Coordinates in the eigenbasis, of x (..., d)."""
        return x if self.basis is None else x @ self.basis.to(x)

    def from_eigen(self, x: Tensor) -> Tensor:
        """Back from eigen-coordinates."""
        return x if self.basis is None else x @ self.basis.mT.to(x)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """The exact denoiser E[x_0 | x] at noise level sigma; x is (batch, d)."""
        mean = self.mean.to(x)
        if math.isinf(sigma):
            return mean.expand_as(x).clone()
        if sigma == 0:
            return x.clone()
        gain = (self.variances / (self.variances + sigma**2)).to(x)
        return mean + self.from_eigen(gain * self.to_eigen(x - mean))

    def marginal(self, sigma: float) -> Gaussian:
        """The exact law at noise level sigma."""
        return Gaussian(self.mean, self.variances + sigma**2, self.basis)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw (count, d) in float64."""
        z = torch.randn((count, self.dimension), generator=generator, dtype=torch.float64)
        return self.mean + self.from_eigen(self.variances.sqrt() * z)

    def propagator(self, sigma: float, sigma_next: float, eta: float) -> Tensor:
        """The factor Phi of the reverse SDE's exact solution, per eigen-coordinate: (d,)."""
        times = -np.log(sigma_next), -np.log(sigma)
        return torch.as_tensor(GAUSSIAN.propagator(*times, eta, self.variances.numpy()))

    def transition(
        self, x: Tensor, sigma: float, sigma_next: float, eta: float
    ) -> tuple[Tensor, Tensor]:
        """The exact law of the state at sigma_next given x (batch, d) at sigma.

        Returns its mean (batch, d) and its variances (d,) in eigen-coordinates.
        """
        mean = self.mean.to(x)
        factor = self.propagator(sigma, sigma_next, eta)
        moved = mean + self.from_eigen(factor.to(x) * self.to_eigen(x - mean))
        # (c + t^2) (1 - ((c + t^2)/(c + s^2))^eta): the marginal's variance is preserved.
        end = self.variances + sigma_next**2
        shrink = torch.log1p((sigma_next**2 - sigma**2) / (self.variances + sigma**2))
        return moved, -end * torch.expm1(eta * shrink)

    def path_solution(
        self, x: Tensor, path: BrownianPath, sigma: float, sigma_next: float
    ) -> Tensor:
        """The exact solution at sigma_next from x (batch, d) at sigma, driven by this very path.

        The covariance is diagonal, and the path carries the form `GAUSSIAN` with the parameter
        ``self.variances.numpy()``. For any other covariance, work on ``in_eigenbasis()``.
        """
        if self.basis is not None:
            raise ParameterError(
                "a path solution needs a diagonal covariance, as the path has one clock a "
                "coordinate: use in_eigenbasis() for the sampler and for the solution"
            )
        mean = self.mean.to(x)
        factor = self.propagator(sigma, sigma_next, path.one_eta).to(x)
        return mean + factor * (x - mean) + path.noise(GAUSSIAN, sigma, sigma_next)


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    r"""The W2 distance of two Gaussians over R^d, the formula of the FID.

    With factors :math:`A = L L^T`, :math:`B = M M^T` it is the least Frobenius distance of L and M U
    over rotations U, reached by the polar factor of :math:`M^T L`: a distance of factors, with no
    subtraction of traces, so that it is accurate also where the laws nearly agree.
    """
    factors = [
        g.variances.sqrt().diag() if g.basis is None else g.basis * g.variances.sqrt()
        for g in (first, second)
    ]
    left, _, right = torch.linalg.svd(factors[1].mT @ factors[0])
    spread = (factors[0] - factors[1] @ (left @ right)).square().sum()
    return float((spread + (first.mean - second.mean).square().sum()).sqrt())

r"""Gaussian mixtures: the exact denoiser of curved, multimodal data, in any dimension.

Component k with weight :math:`w_k` has the denoiser :math:`D_k` of its own Gaussian; Bayes' rule weighs
them by the responsibilities :math:`r_k(y) \propto w_k\,N(y; m_k, C_k + \sigma^2)`, so
:math:`D = \sum_k r_k D_k`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from seeds_theory.errors import ParameterError
from toy_models.gaussian import Gaussian


class GaussianMixture:
    """A mixture of `Gaussian` components over R^d; it is itself the denoiser.

    Parameters
    ----------
    weights : positive, normalised here.
    components : Gaussians of one dimension.
    """

    def __init__(self, weights: Sequence[float], components: Sequence[Gaussian]) -> None:
        values = torch.as_tensor(weights, dtype=torch.float64)
        if not components or values.shape != (len(components),):
            raise ParameterError(
                f"one weight per component; got {values.numel()} weights, {len(components)} components"
            )
        if not (values.isfinite().all() and (values > 0).all()):
            raise ParameterError(f"weights are positive and finite; got {values.tolist()}")
        dimensions = {component.dimension for component in components}
        if len(dimensions) > 1:
            raise ParameterError(f"components share one dimension; got {sorted(dimensions)}")
        self.weights = values / values.sum()
        self.components = tuple(components)
        self._means = torch.stack([c.mean for c in components])
        self._variances = torch.stack([c.variances for c in components])
        d = self.dimension
        eye = torch.eye(d, dtype=torch.float64)
        rotated = any(c.basis is not None for c in components)
        bases = [eye if c.basis is None else c.basis for c in components]
        self._bases = torch.stack(bases) if rotated else None

    @classmethod
    def scalar(
        cls, weights: Sequence[float], means: Sequence[float], deviations: Sequence[float]
    ) -> GaussianMixture:
        """A one-dimensional mixture."""
        if len(means) != len(deviations) or min(deviations, default=1.0) <= 0:
            raise ParameterError(
                f"one positive deviation for each mean; got {list(means)} and {list(deviations)}"
            )
        pairs = zip(means, deviations, strict=True)
        return cls(weights, [Gaussian.scalar(sd**2, mean) for mean, sd in pairs])

    @property
    def dimension(self) -> int:
        """The d of R^d."""
        return self.components[0].dimension

    @property
    def mean(self) -> Tensor:
        """The mean of the data, (d,)."""
        return self.weights @ self._means

    @property
    def covariance(self) -> Tensor:
        """The covariance of the data, (d, d)."""
        within = sum(w * c.covariance for w, c in zip(self.weights, self.components, strict=True))
        centred = self._means - self.mean
        return within + (centred.mT * self.weights) @ centred

    # Components come first, (components, batch, d): sums over them are then plain vector additions.

    def _offsets(self, x: Tensor) -> Tensor:
        """X minus each mean, in each eigenbasis: (components, batch, d)."""
        offsets = x - self._means[:, None, :].to(x)
        return offsets if self._bases is None else offsets @ self._bases.to(x)

    def _log_joint(self, offsets: Tensor, sigma: float) -> Tensor:
        """The log-density of each component times its weight, up to (2 pi)^(-d/2): (components, batch)."""
        total = self._variances + sigma**2
        constant = (self.weights.log() - 0.5 * total.log().sum(-1)).to(offsets)
        scaled = offsets * (0.5 / total).sqrt()[:, None, :].to(offsets)
        return constant[:, None] - scaled.square().sum(-1)

    def responsibilities(self, x: Tensor, sigma: float) -> Tensor:
        """The posterior weights of the components given x (batch, d): (batch, components)."""
        return torch.softmax(self._log_joint(self._offsets(x), sigma), dim=0).mT

    def log_density(self, x: Tensor, sigma: float = 0.0) -> Tensor:
        """The log-density of the marginal at noise level sigma, at x (batch, d): (batch,)."""
        log_joint = self._log_joint(self._offsets(x), sigma)
        return torch.logsumexp(log_joint, dim=0) - 0.5 * self.dimension * math.log(2 * math.pi)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """The exact denoiser E[x_0 | x] at noise level sigma; x is (batch, d)."""
        if math.isinf(sigma):
            return self.mean.to(x).expand_as(x).clone()
        if sigma == 0:
            return x.clone()
        offsets = self._offsets(x)
        weights = torch.softmax(self._log_joint(offsets, sigma), dim=0)
        gains = (self._variances / (self._variances + sigma**2))[:, None, :].to(x)
        estimates = gains * offsets
        if self._bases is not None:
            estimates = estimates @ self._bases.mT.to(x)
        estimates += self._means[:, None, :].to(x)
        return (estimates.mul_(weights[..., None])).sum(0)

    def at_levels(self, x: Tensor, sigmas: Tensor) -> Tensor:
        """The exact denoiser of states (batch, d) that have a noise level > 0 each: sigmas (batch,)."""
        offsets, noise = self._offsets(x), sigmas.to(x).square()[:, None]
        total = self._variances[:, None, :].to(x) + noise
        log_joint = -0.5 * (total.log() + offsets.square() / total).sum(-1)
        weights = torch.softmax(self.weights.log().to(x)[:, None] + log_joint, dim=0)
        shrunk = offsets * noise / total  # x minus each component's estimate, in its eigenbasis
        if self._bases is not None:
            shrunk = shrunk @ self._bases.mT.to(x)
        return x - (weights[..., None] * shrunk).sum(0)

    def marginal(self, sigma: float) -> GaussianMixture:
        """The exact law at noise level sigma."""
        return GaussianMixture(
            self.weights.tolist(), [component.marginal(sigma) for component in self.components]
        )

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw (count, d) in float64."""
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        z = torch.randn((count, self.dimension), generator=generator, dtype=torch.float64)
        scaled = self._variances[chosen].sqrt() * z
        if self._bases is not None:
            scaled = torch.einsum("be,bde->bd", scaled, self._bases[chosen])
        return self._means[chosen] + scaled

    def transition(self, x: Tensor, sigma: float, sigma_next: float) -> GaussianMixture:
        """The exact law at sigma_next given ONE state x (d,) at sigma, along the reverse SDE (eta = 1).

        Time reversal conditions on the component: a mixture with the responsibilities as weights and
        each component's own Gaussian transition. For other eta no closed form is known.
        """
        state = x.to(torch.float64)[None]
        weights = self.responsibilities(state, sigma)[0].clamp(min=torch.finfo(torch.float64).tiny)
        moved = []
        for component in self.components:
            mean, variances = component.transition(state, sigma, sigma_next, eta=1.0)
            moved.append(Gaussian(mean[0], variances, component.basis))
        return GaussianMixture(weights.tolist(), moved)

    def along(self, direction: Tensor) -> GaussianMixture:
        """The law of the data's coordinate along a direction (d,), a mixture on the line."""
        if self._bases is None:
            squares = self._variances @ direction.square()
        else:
            squares = (self._variances * (direction @ self._bases).square()).sum(-1)
        return GaussianMixture.scalar(
            self.weights.tolist(), (self._means @ direction).tolist(), squares.sqrt().tolist()
        )

    def distribution_function(self, x: Tensor) -> Tensor:
        """P(X <= x) of one-dimensional data, for x of any shape."""
        if self.dimension != 1:
            raise ParameterError(f"a distribution function needs d = 1; got d = {self.dimension}")
        z = (x[..., None] - self._means[:, 0].to(x)) / self._variances[:, 0].sqrt().to(x)
        return (self.weights.to(x) * torch.special.ndtr(z)).sum(-1)

    def quantile(self, p: Tensor) -> Tensor:
        """The inverse of `distribution_function`, by bisection to rounding."""
        spread = 12 * self._variances.max().sqrt()
        low = torch.full_like(p, float(self._means.min() - spread))
        high = torch.full_like(p, float(self._means.max() + spread))
        for _ in range(90):
            middle = 0.5 * (low + high)
            below = self.distribution_function(middle) < p
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return 0.5 * (low + high)


CURVED = GaussianMixture.scalar((0.4, 0.35, 0.25), (-1.0, 0.2, 1.2), (0.5, 0.4, 0.5))
"""Three overlapping components on the line: the curved data on which orders are measured."""

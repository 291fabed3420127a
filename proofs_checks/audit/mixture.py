"""The error of the law on a mixture, for samplers that are not affine: by sampling, with its standard error.

Thresholding and clamps leave data alone that lie inside them, and bend others: the law is compared on a
mixture that lies inside [-1, 1], and on the same one four times as wide. The initial states are exact
samples, and each is coupled with the final state that the exact flow takes it to, a monotone map on the
line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from proofs_checks.audit.draws import SeededNormals
from proofs_checks.audit.measure import SIGMA_MAX, SIGMA_MIN, grid
from proofs_checks.audit.protocol import SEED, Model, Target, call, level_of
from seeds_theory.sources import seeded_generator
from toy_models.mixture import GaussianMixture
from toy_models.paths import squared_shift

GROUPS, SIZE, COSTLY_SIZE = 16, 512, 32
STEPS = 256

_WIDE = 4.0


def _mixture(scale: float) -> GaussianMixture:
    means, deviations = (-0.5, 0.1, 0.55), (0.12, 0.1, 0.12)
    return GaussianMixture.scalar(
        (0.4, 0.35, 0.25), [scale * m for m in means], [scale * d for d in deviations]
    )


INSIDE, OUTSIDE = _mixture(1.0), _mixture(_WIDE)
"""Of [-1, 1]: the first lies in it, but for 1e-4 of its mass."""


@dataclass(frozen=True)
class LawError:
    """W2 distance of the final law to the exact one, in deviations of the data, and its standard error."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.2g} ± {self.error:.1g}"

    @property
    def vanishes(self) -> bool:
        """Whether it is not told apart from the error of a good sampler at this number of steps, 2 %."""
        return self.value < 0.02 + 4 * self.error

    def to_json(self) -> dict[str, Any]:
        """The record in a report."""
        return {"w2": self.value, "standard_error": self.error}


@dataclass(frozen=True)
class MixtureStudy:
    """The error of the law on data inside [-1, 1] and on data four times as wide."""

    inside: LawError
    outside: LawError

    def to_json(self) -> dict[str, Any]:
        """The record in a report."""
        return {"inside": self.inside.to_json(), "outside": self.outside.to_json()}


def law_error(target: Target, mixture: GaussianMixture, seed: int = 0) -> LawError:
    """The error on one mixture, of samples in one batch.

    Raises
    ------
    SamplerFailure : from `call`.
    """
    size = COSTLY_SIZE if target.costly else SIZE
    marginal, final = mixture.marginal(SIGMA_MAX), mixture.marginal(SIGMA_MIN)
    start = marginal.sample(GROUPS * size, seeded_generator(seed, 1))
    exact = final.quantile(marginal.distribution_function(start[:, 0])).reshape(GROUPS, size)
    levels = torch.tensor(grid(STEPS), dtype=torch.float64)
    noise = SeededNormals(True, SEED, 2)
    end = call(target, denoiser(mixture), start[..., None, None], levels, noise).double()
    end = end.reshape(GROUPS, size)
    shift = end.sort(dim=1).values - exact.sort(dim=1).values
    found = squared_shift(shift[:, None].numpy())
    deviation = float(final.covariance[0, 0] ** 0.5)
    return LawError(found.errors[0] / deviation, found.standard_errors[0] / deviation)


def denoiser(mixture: GaussianMixture) -> Model:
    """The exact denoiser of data on the line, for each number of a state."""

    def denoise(x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        return mixture(x.reshape(-1, 1), level_of(sigma)).reshape(x.shape).to(x)

    return denoise


def mixture_study(target: Target) -> MixtureStudy:
    """Both errors."""
    return MixtureStudy(law_error(target, INSIDE), law_error(target, OUTSIDE))

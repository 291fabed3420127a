"""Models whose diffusion is known exactly, and the errors of samplers on them.

Models: `gaussian`, `mixture`, and `images` (imported by itself, as `toy_models.images`). Errors:
`response` (exact, for affine samplers on Gaussian data) and `paths` (Monte Carlo on coupled paths).
`convergence` makes studies of both; `order` is the command `seeds-order`. A study of steps that are chosen on
the way: `bridge`, `adaptive`, `work_precision`.
"""

from toy_models.convergence import Fit, Study, figure, gaussian_study, table
from toy_models.gaussian import Gaussian, frechet_distance
from toy_models.mixture import GaussianMixture
from toy_models.paths import CoupledPaths, mixture_study
from toy_models.response import (
    NotAffineError,
    Response,
    least_strong_errors,
    probe,
    strong_errors,
    weak_errors,
)

__all__ = [
    "CoupledPaths",
    "Fit",
    "Gaussian",
    "GaussianMixture",
    "NotAffineError",
    "Response",
    "Study",
    "figure",
    "frechet_distance",
    "gaussian_study",
    "least_strong_errors",
    "mixture_study",
    "probe",
    "strong_errors",
    "table",
    "weak_errors",
]

"""Models whose diffusion is known exactly, and the errors of samplers on them.

Models: `gaussian`, `mixture`, `images`. Errors: `response` (exact, affine samplers on Gaussian data),
`paths` (Monte Carlo on coupled paths). `convergence` makes studies of both; `order` is `seeds-order`.
"""

from toy_models.convergence import Fit, Study, figure, gaussian_study, table
from toy_models.gaussian import Gaussian, frechet_distance
from toy_models.images import as_images, fashion_mnist
from toy_models.mixture import GaussianMixture
from toy_models.paths import CoupledPaths, mixture_study
from toy_models.response import NotAffineError, Response, probe, strong_errors, weak_errors

__all__ = [
    "CoupledPaths",
    "Fit",
    "Gaussian",
    "GaussianMixture",
    "NotAffineError",
    "Response",
    "Study",
    "as_images",
    "fashion_mnist",
    "figure",
    "frechet_distance",
    "gaussian_study",
    "mixture_study",
    "probe",
    "strong_errors",
    "table",
    "weak_errors",
]

"""The data that `seeds-order` measures orders on, by their names."""

from __future__ import annotations

from collections.abc import Sequence

from toy_models.convergence import Study, gaussian_study
from toy_models.gaussian import Gaussian
from toy_models.images import fashion_mnist
from toy_models.mixture import CURVED
from toy_models.paths import mixture_study


def study_on(
    target: str,
    name: str,
    steps: Sequence[int],
    *,
    variance: float,
    sigma_max: float,
    sigma_min: float,
    eta: float,
    prediction: str,
) -> Study:
    """The study of a sampler on one of these data.

    Parameters
    ----------
    target : "gaussian", one-dimensional of that variance; "mixture", `CURVED`, by Monte Carlo on coupled
        paths; "images", a Gaussian fitted to Fashion-MNIST.
    name, steps, sigma_max, sigma_min, eta, prediction : as of `gaussian_study`.

    Raises
    ------
    SeedsError : as of `gaussian_study` and `mixture_study`.
    """
    ends = {"sigma_max": sigma_max, "sigma_min": sigma_min, "eta": eta, "prediction": prediction}
    if target == "mixture":
        return mixture_study(name, CURVED, steps, progress=True, **ends)  # type: ignore[arg-type]
    data = Gaussian.scalar(variance) if target == "gaussian" else fashion_mnist()
    return gaussian_study(name, data, steps, target=target, **ends)  # type: ignore[arg-type]

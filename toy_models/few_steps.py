r"""Tuning a sampler for few model calls: its grid's two ends, by the exact error of its law.

On Gaussian data the law of a sampler is known without sampling (`toy_models.response`), in milliseconds and
as a smooth function of all its numbers. What is minimised is the distance between laws,

.. math::  \frac{W_2^2}{\mathrm{tr}\,C} = \frac{\sum_k (s_k - \sqrt{c_k})^2 + g_k^2 c_k}{\sum_k c_k},

from pure noise at the first noise level to clean data; :math:`g_k` is the gain from start to end, and the
mean of the data is as far from 0 as their standard deviation, in every direction. Everything that counts at
few calls is in it: the wrong start, the steps, the last step. The objective is its geometric mean over power
laws of the eigenvalues, :math:`c_k = k^{-a}`.

Two numbers are hardly fitted to a method's peculiarities; forty are (the chapter "Few steps" shows what
happens). And curved data have errors that no Gaussian shows: so the settings of the package are searched on
mixtures too, `toy_models.few_steps_study`, and judged on other ones.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import ParameterError, SeedsError
from seeds_theory.extras import optional_imports
from seeds_theory.settings import Setting
from seeds_theory.solver import Solver
from toy_models.gaussian import Gaussian
from toy_models.response import probe

with optional_imports():
    from scipy.optimize import minimize


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of a covariance, the largest 1, each with how often it occurs."""

    variances: Tensor
    counts: Tensor


def power_law(exponent: float, dimension: int = 1000, points: int = 16) -> Spectrum:
    r"""The spectrum :math:`c_k = k^{-a}`, k = 1, ..., dimension; large k in groups, by their means."""
    edges = np.unique(np.round(np.geomspace(1, dimension + 1, points + 1)).astype(int))
    groups = [np.arange(*pair, dtype=float) for pair in itertools.pairwise(edges)]
    return Spectrum(
        torch.tensor([(group**-exponent).mean() for group in groups], dtype=torch.float64),
        torch.tensor([len(group) for group in groups], dtype=torch.float64),
    )


def spectrum_of(variances: Tensor, points: int = 24) -> Spectrum:
    """The spectrum of any covariance, over its largest eigenvalue, in groups of about equal logarithm."""
    scaled = (variances / variances.max()).sort(descending=True).values.clamp(min=1e-12)
    depth = scaled.log() / scaled.min().log().clamp(max=-1e-9)  # 0 for the largest, 1 for the least
    groups = (depth * points).floor().clamp(max=points - 1)
    values = [scaled[groups == group] for group in groups.unique()]
    return Spectrum(
        torch.stack([v.mean() for v in values]),
        torch.tensor([len(v) for v in values], dtype=torch.float64),
    )


TRAINING: tuple[Spectrum, ...] = tuple(power_law(exponent) for exponent in (1.0, 1.5, 2.0, 3.0))
"""What settings are tuned on."""


def law_errors(
    sampler: Solver,
    sigmas: np.ndarray,
    spectra: Sequence[Spectrum],
    model: Callable[[Gaussian], Denoiser] | None = None,
) -> list[float]:
    """The module's relative squared W2 distance on each spectrum, exact, for a grid that ends at 0.

    model : makes a wrong denoiser of the exact one; it acts on each eigen-coordinate by itself.
    """
    variances = torch.cat([spectrum.variances for spectrum in spectra])
    data = Gaussian(torch.zeros_like(variances), variances)
    denoiser = model(data) if model else data
    response = probe(lambda _, x, noise: sampler(denoiser, x, sigmas, noise), data)
    spread = response.variance(float(sigmas[0]) ** 2).sqrt()
    mean = response.gain.square() * variances + response.offset.square()
    squares = (spread - variances.sqrt()).square() + mean
    parts = squares.split([len(spectrum.variances) for spectrum in spectra])
    return [
        float((s.counts * square).sum() / (s.counts * s.variances).sum())
        for s, square in zip(spectra, parts, strict=True)
    ]


def objective(setting: Setting, spectra: Sequence[Spectrum] = TRAINING) -> float:
    """The mean of the logarithms of `law_errors`."""
    return float(np.log(law_errors(setting.sampler, setting.sigmas(), spectra)).mean())


HIGHEST, LOWEST = (1.0, 100.0), (1e-4, 0.5)
"""Where the two ends of a grid may be, over the width: networks know no other levels."""


def steps_within(solver: Solver, nfe: int) -> int:
    """The most steps of a grid to 0 that take no more model calls; 0 if two steps take more."""

    def calls(steps: int) -> int:
        return solver.nfe([*np.geomspace(1.0, 0.01, steps).tolist(), 0.0])

    return max((steps for steps in range(2, nfe + 1) if calls(steps) <= nfe), default=0)


def at_eta(name: str, options: dict[str, Any], eta: float) -> dict[str, Any]:
    """The options of a sampler at that eta; raises ParameterError if it has another one only."""
    baseline = Solver(name, options).baseline
    if baseline is None or baseline.only_eta is None:
        return {**options, "eta": eta}
    if eta != baseline.only_eta:
        raise ParameterError(f"{name!r} has eta = {baseline.only_eta:g} only; got --eta {eta:g}")
    return options


def tune(
    solver: str,
    nfe: int,
    options: dict[str, Any] | None = None,
    spectra: Sequence[Spectrum] = TRAINING,
) -> Setting:
    """The two ends of the grid for a sampler and a number of model calls, by Nelder and Mead's method.

    Raises
    ------
    SeedsError : the solver is not known, or takes more calls than that.
    """
    start = Setting(solver, 2, 8.0, 0.005, options or {})
    steps = steps_within(start.sampler, nfe)
    if steps == 0:
        raise SeedsError(f"{solver!r} takes more than {nfe} model calls for two steps: allow more")

    def at(ends: np.ndarray) -> Setting:
        high, low = (
            float(np.clip(math.exp(end), *bounds))
            for end, bounds in zip(ends, (HIGHEST, LOWEST), strict=True)
        )
        return replace(start, steps=steps, sigma_max=high, sigma_min=low)

    def value(ends: np.ndarray) -> float:
        return objective(at(ends), spectra)

    found = minimize(
        value,
        np.log([start.sigma_max, start.sigma_min]),
        method="Nelder-Mead",
        bounds=np.log([HIGHEST, LOWEST]),
        options={"xatol": 1e-3, "fatol": 1e-3, "maxfev": 400},
    )
    return at(found.x)

r"""A convergence study as an object: errors against steps, fitted orders, a table, a plot, JSON.

Orders are fitted with the first correction included, :math:`\log e = a - p \log n + b/n`, on the last
three usable points: on exact errors this removes the drift that a plain slope shows before it settles.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from seeds_theory import Denoiser, NoiseSource, follow, make_plan, uniform_log_snr
from seeds_theory.baselines import BASELINES, Baseline, Declared
from seeds_theory.errors import ParameterError
from seeds_theory.extras import optional_imports
from seeds_theory.plan import Plan
from toy_models.gaussian import Gaussian
from toy_models.plots import ErrorCurve, error_panels
from toy_models.response import LinearDenoiser, Response, Sampler, probe, strong_errors, weak_errors

if TYPE_CHECKING:
    from seeds_theory.tableau import Tableau

with optional_imports():
    from matplotlib.figure import Figure
    from rich.table import Table

_SETTLED = 0.05  # an order whose last change is smaller, or that is this near, is taken as it is

ROUNDING_FLOOR = 1e-11
"""Errors below this carry too few correct digits (they are good to 1e-13 absolute) to show an order."""


@dataclass(frozen=True)
class Fit:
    """A fitted order p, its uncertainty, and the steps it was fitted on (the asymptotic range used).

    order and uncertainty are None where the errors show no order: too few points above rounding.
    On exact errors the uncertainty is the change of p when the window moves up by one point; on
    Monte-Carlo errors it is the half-width of the 95 % confidence interval.
    """

    order: float | None
    uncertainty: float | None
    steps: tuple[int, ...]

    def __str__(self) -> str:
        if self.order is None:
            return "-"
        spread = "" if self.uncertainty is None else f" ± {self.uncertainty:.2f}"
        return f"{self.order:.2f}{spread}"


@dataclass(frozen=True)
class OnGrid:
    """A method or baseline on one grid: its name and declared orders, its model calls, and how to run it."""

    name: str
    declared: Declared
    nfe: int
    run: Sampler


@dataclass(frozen=True)
class _Plan:
    """A plan as a sampler, which can be pickled and compared as the plan can."""

    plan: Plan

    def __call__(self, denoiser: Denoiser, x: Tensor, noise: NoiseSource) -> Tensor:
        return follow(denoiser, x, self.plan, noise)


@dataclass(frozen=True)
class _Loop:
    """A baseline on a grid likewise."""

    baseline: Baseline
    sigmas: tuple[float, ...]
    eta: float

    def __call__(self, denoiser: Denoiser, x: Tensor, noise: NoiseSource) -> Tensor:
        return self.baseline(denoiser, x, self.sigmas, noise, eta=self.eta)


def on_grid(
    method: str | Tableau | Baseline, sigmas: np.ndarray, *, eta: float, prediction: str = "data"
) -> OnGrid:
    """A method, as of `make_plan`, or a baseline, by its name or itself.

    Raises
    ------
    ParameterError : a prediction other than "data" for a baseline, which has no choice; and as of both.
    """
    if isinstance(method, str):
        method = BASELINES.get(method, method)
    if isinstance(method, Baseline):
        baseline = method
        if prediction != "data":
            raise ParameterError(f"a baseline has no choice of prediction; got {prediction!r}")
        return OnGrid(
            baseline.name,
            baseline.declared,
            baseline.nfe(sigmas, eta=eta),
            _Loop(baseline, tuple(np.asarray(sigmas).tolist()), eta),
        )
    plan = make_plan(method, sigmas, eta=eta, prediction=prediction)
    return OnGrid(
        plan.method,
        Declared.of(plan.orders),
        plan.nfe,
        _Plan(plan),
    )


@dataclass(frozen=True)
class Study:
    """One method or baseline on one problem.

    prediction : what a method integrates; "data" for a baseline, which has no choice.
    steps, nfe, strong, strong_se, weak, weak_se : a value per grid. strong is the RMS distance to the
    exact solution on the same path, weak the W2 distance to the exact law, both at sigma_min; their
    standard errors are 0 where the errors are computed and not sampled. weak may be empty.
    """

    method: str
    declared: Declared
    prediction: str
    eta: float
    target: str
    steps: tuple[int, ...]
    nfe: tuple[int, ...]
    strong: tuple[float, ...]
    strong_se: tuple[float, ...]
    weak: tuple[float, ...]
    weak_se: tuple[float, ...]
    strong_fit: Fit
    weak_fit: Fit
    exact: bool

    @property
    def remarks(self) -> tuple[str, ...]:
        """Where a fitted order is not the declared one, or has not settled, and what to do about it."""
        orders = self.declared.gaussian if self.exact else self.declared
        declared = {"strong": orders.strong, "weak": orders.weak}
        if self.eta == 0:
            declared = dict.fromkeys(declared, orders.ode)
        found = []
        for kind, fit in (("strong", self.strong_fit), ("weak", self.weak_fit)):
            order = declared[kind]
            if fit.order is None or order is None:
                continue
            name, doubt = f"{self.method}, {self.prediction}: {kind} order", fit.uncertainty or 0.0
            if self.exact and doubt > _SETTLED:
                found.append(f"{name} has not settled (± {doubt:.2f}): take more steps")
            elif abs(fit.order - order) > _SETTLED + doubt:
                found.append(
                    f"{name} is {fit.order:.2f}, declared {order:g}: leading errors may cancel "
                    "at these ends and this variance (claim orders-telescoping); vary them, or refine"
                )
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """The record that `seeds-order --json` writes."""
        return {
            "method": self.method,
            "prediction": self.prediction,
            "eta": self.eta,
            "target": self.target,
            "steps": list(self.steps),
            "nfe": list(self.nfe),
            "strong": list(self.strong),
            "strong_se": list(self.strong_se),
            "weak": list(self.weak),
            "weak_se": list(self.weak_se),
            "strong_order": self.strong_fit.order,
            "strong_order_uncertainty": self.strong_fit.uncertainty,
            "strong_order_steps": list(self.strong_fit.steps),
            "weak_order": self.weak_fit.order,
            "weak_order_uncertainty": self.weak_fit.uncertainty,
            "weak_order_steps": list(self.weak_fit.steps),
            "exact": self.exact,
            "remarks": list(self.remarks),
        }


def gaussian_study(
    method: str | Tableau,
    gaussian: Gaussian,
    steps: Sequence[int],
    *,
    sigma_max: float,
    sigma_min: float,
    eta: float = 1.0,
    prediction: str = "data",
    target: str = "gaussian",
) -> Study:
    """The exact errors of a method or baseline on Gaussian data, uniform steps in log-SNR, no sampling."""
    require_steps(steps)
    diagonal = gaussian.in_eigenbasis()
    ends = (sigma_max, sigma_min)
    samplers = [
        on_grid(method, uniform_log_snr(*ends, n), eta=eta, prediction=prediction) for n in steps
    ]
    responses = [probe(sampler.run, diagonal) for sampler in samplers]
    strong = [float(strong_errors(response, diagonal, *ends, eta).norm()) for response in responses]
    weak = [float(weak_errors(response, diagonal, *ends).norm()) for response in responses]
    exactly = (0.0,) * len(steps)
    return Study(
        method=samplers[0].name,
        declared=samplers[0].declared,
        prediction=prediction,
        eta=eta,
        target=target,
        steps=tuple(steps),
        nfe=tuple(sampler.nfe for sampler in samplers),
        strong=tuple(strong),
        strong_se=exactly,
        weak=tuple(weak),
        weak_se=exactly,
        strong_fit=fit_exact(steps, strong),
        weak_fit=fit_exact(steps, weak),
        exact=True,
    )


def plan_response(plan: Plan, gaussian: LinearDenoiser) -> Response:
    """The response of the sampling loop on a plan."""
    return probe(lambda denoiser, x, noise: follow(denoiser, x, plan, noise), gaussian)


def require_steps(steps: Sequence[int]) -> None:
    """Step counts are positive and strictly increasing."""
    if not steps or min(steps) < 1 or any(b <= a for a, b in itertools.pairwise(steps)):
        raise ParameterError(
            f"step counts are positive and increasing, as 8,16,32; got {','.join(map(str, steps))}"
        )


def fit_exact(steps: Sequence[int], errors: Sequence[float]) -> Fit:
    """The order shown by exact errors: see the module's formula. Two points give the plain slope."""
    usable = [(n, e) for n, e in zip(steps, errors, strict=True) if e > ROUNDING_FLOOR]
    if len(usable) < 2 or not all(math.isfinite(e) for _, e in usable):
        return Fit(None, None, ())
    window = usable[-3:]
    order = _order(window)
    spread = abs(order - _order(usable[-4:-1])) if len(usable) > 3 else None
    return Fit(order, spread, tuple(n for n, _ in window))


def _order(points: Sequence[tuple[int, float]]) -> float:
    columns = order_model([n for n, _ in points])[:, : len(points)]
    return float(np.linalg.solve(columns, np.log([e for _, e in points]))[1])


def order_model(steps: Sequence[int]) -> np.ndarray:
    """The columns that multiply a, p and b in the module's formula, (points, 3)."""
    n = np.asarray(steps, dtype=float)
    return np.stack([np.ones_like(n), -np.log(n), 1 / n], axis=1)


def table(studies: Sequence[Study]) -> Table:
    """The studies as a table for a terminal: errors by steps, and the fitted orders."""
    result = Table()
    for heading in ("method", "prediction", "steps", "NFE", "strong error", "weak error"):
        result.add_column(
            heading, justify="left" if heading in ("method", "prediction") else "right"
        )
    for study in studies:
        for i, n in enumerate(study.steps):
            strong = _with_error(study.strong[i], study.strong_se[i])
            weak = _with_error(study.weak[i], study.weak_se[i]) if study.weak else "-"
            names = (study.method, study.prediction) if i == 0 else ("", "")
            result.add_row(*names, str(n), str(study.nfe[i]), strong, weak)
        fits = (study.strong_fit, study.weak_fit)
        result.add_row("", "", "", "order", *map(str, fits))
        ranges = (f"{fit.steps[0]} to {fit.steps[-1]}" if fit.steps else "-" for fit in fits)
        result.add_row("", "", "", "on steps", *ranges, end_section=True)
    return result


def _with_error(value: float, error: float) -> str:
    return f"{value:.3e}" + (f" ± {error:.1e}" if error else "")


def figure(studies: Sequence[Study]) -> Figure:
    """Strong and weak errors against model calls, log-log, with the fitted orders in the legend."""
    panels = {}
    for kind in ("strong", "weak"):
        panels[f"{kind} error"] = [
            ErrorCurve(
                f"{study.method}, {study.prediction}: {getattr(study, f'{kind}_fit')}",
                study.nfe,
                getattr(study, kind),
                getattr(study, f"{kind}_se"),
            )
            for study in studies
            if getattr(study, kind)
        ]
    return error_panels(panels)

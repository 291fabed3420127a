"""DPM-Solvers and Lawson's methods are tableaux; Lawson's are also Runge-Kutta in other variables."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
import sympy as sp
import torch
from torch import Tensor

from proofs_checks.published import lawson_2
from seeds_theory.baselines.dpm_solver import (
    DPM_SOLVER_2,
    DPM_SOLVER_3,
    DPM_SOLVER_PP_2S,
    SDE_DPM_SOLVER_PP_1,
    SDE_DPM_SOLVER_PP_2S,
)
from seeds_theory.baselines.lawson import LAWSON_2, LAWSON_EULER, LAWSON_RK4
from seeds_theory.loop import follow
from seeds_theory.plan import make_plan
from seeds_theory.sources import InjectedNoise
from seeds_theory.tableau import Orders, Tableau, z
from toy_models.mixture import GaussianMixture

GRID = [9.0, 3.0, 2.9999, 1.0, 0.2, 0.1, 0.0]
MODEL = GaussianMixture.scalar([0.3, 0.7], [-1.0, 1.2], [0.4, 0.6])
X = torch.linspace(-20, 20, 7, dtype=torch.float64)[:, None]
Z = torch.randn(10, 7, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
LAWSON_1 = Tableau(
    "lawson-1", (), (), (), Orders(Fraction(1), 1, 1), "Lawson (1967)", row_sums=(sp.exp(z),)
)


def close(found: Tensor, expected: Tensor) -> bool:
    return float((found - expected).abs().max()) <= 1e-12 * float(expected.abs().max())


@pytest.mark.parametrize(
    ("baseline", "options", "method", "prediction", "etas"),
    [
        (DPM_SOLVER_2, {}, "seeds-2", "noise", [0.0]),
        (DPM_SOLVER_2, {"r1": 0.7}, "seeds-2@0.7", "noise", [0.0]),
        (DPM_SOLVER_2, {"r1": 1}, "seeds-2@1", "noise", [0.0]),
        (DPM_SOLVER_3, {}, "seeds-3", "noise", [0.0]),
        (DPM_SOLVER_3, {"r1": 0.25, "r2": 0.5}, "seeds-3@0.25,0.5", "noise", [0.0]),
        (DPM_SOLVER_PP_2S, {}, "seeds-2", "data", [0.0]),
        (SDE_DPM_SOLVER_PP_1, {}, "seeds-1", "data", [0.0, 0.5, 1.0, 2.0]),
        (SDE_DPM_SOLVER_PP_2S, {}, "seeds-2", "data", [0.0, 0.5, 1.0, 2.0]),
        (SDE_DPM_SOLVER_PP_2S, {"r": 0.7}, "seeds-2@0.7", "data", [0.5, 1.0]),
        (SDE_DPM_SOLVER_PP_2S, {"r": 1.0}, "seeds-2@1", "data", [0.0, 1.0]),
        (LAWSON_EULER, {}, LAWSON_1, "data", [0.0, 0.5, 1.0]),
        (LAWSON_2, {}, lawson_2(sp.Rational(1, 2)), "data", [0.0, 0.5, 1.0]),
        (LAWSON_2, {"c": 0.7}, lawson_2(sp.Rational(7, 10)), "data", [0.5, 1.0]),
        (LAWSON_2, {"c": 1.0}, lawson_2(sp.Integer(1)), "data", [0.0, 1.0]),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_they_are_tableaux(baseline, options, method, prediction, etas) -> None:
    for eta in etas:
        plan = make_plan(method, GRID, eta=eta, prediction=prediction)
        expected = follow(MODEL, X, plan, InjectedNoise(Z))
        found = baseline(MODEL, X, GRID, InjectedNoise(Z[: plan.normals]), eta=eta, **options)
        assert close(found, expected)


def lawson_ode(v: Tensor, lam: float) -> Tensor:
    """The ODE of v = e^lambda x."""
    return math.exp(lam) * MODEL(math.exp(-lam) * v, math.exp(-lam))


def test_lawson_rk4_is_the_classical_method_in_lawsons_variable() -> None:
    v = X / GRID[0]
    for s, t in itertools.pairwise(GRID[:-1]):
        start, stop = -math.log(s), -math.log(t)
        h, middle = stop - start, (start + stop) / 2
        k_1 = lawson_ode(v, start)
        k_2 = lawson_ode(v + h / 2 * k_1, middle)
        k_3 = lawson_ode(v + h / 2 * k_2, middle)
        k_4 = lawson_ode(v + h * k_3, stop)
        v = v + h / 6 * (k_1 + 2 * k_2 + 2 * k_3 + k_4)
    assert close(LAWSON_RK4(MODEL, X, GRID[:-1]), v * GRID[-2])

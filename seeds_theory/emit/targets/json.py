"""A plan as JSON: the numbers of every step on given levels, in the form of ``plan.schema.json``.

Numbers are written so that they are read back as the same doubles. Infinity, which JSON has not, is "inf".
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seeds_theory.emit import description
from seeds_theory.emit.method import MethodProgram
from seeds_theory.errors import ParameterError
from seeds_theory.plan import Plan, Step, make_plan
from seeds_theory.row import Row

SCHEMA = Path(__file__).with_name("plan.schema.json")
"""What the file looks like, as JSON Schema (draft 2020-12)."""


def files(
    method: MethodProgram, sigmas: Sequence[float] | None = None, eta: float = 1.0
) -> dict[str, str]:
    """One file, of the name of the method.

    Parameters
    ----------
    sigmas, eta : of the plan, as for `seeds_theory.make_plan`.

    Raises
    ------
    ParameterError : there are no sigmas, or eta is out of range.
    GridError : no sampler can follow these sigmas.
    """
    if sigmas is None:
        raise ParameterError("a plan has noise levels: --sigmas 10,3,1,0")
    plan = make_plan(method.name, sigmas, eta=eta, prediction=method.prediction)
    text = json.dumps(_document(method, plan), indent=1, allow_nan=False)
    return {f"{description.identifier(method)}.json": f"{text}\n"}


def _document(method: MethodProgram, plan: Plan) -> dict[str, Any]:
    declared = method.tableau.orders
    return {
        "about": list(description.origin()),
        "method": method.name,
        "prediction": method.prediction,
        "eta": plan.eta,
        "formula": list(description.formula(method)),
        "orders": {
            "strong": float(declared.strong),
            "weak": declared.weak,
            "ode": declared.ode,
        },
        "source": description.reference(method),
        "claims": list(method.claims),
        "sigmas": list(map(_number, plan.sigmas)),
        "initial_scale": plan.initial_scale,
        "steps": [_step(step) for step in plan.steps],
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "sigma": _number(step.sigma),
        "sigma_next": step.sigma_next,
        "integrands": [{"skip": skip, "out": out} for skip, out in step.integrands],
        "intervals": [
            {"from": _number(i.sigma), "to": i.sigma_next, "power": i.degree}
            for i in step.intervals
        ],
        "rows": [_row(row) for row in step.rows],
    }


def _row(row: Row[float]) -> dict[str, Any]:
    return {
        "sigma": row.sigma,
        "state": row.state,
        "drift": list(row.drift),
        "noise": list(row.noise),
    }


def _number(value: float) -> float | str:
    return "inf" if value == math.inf else value

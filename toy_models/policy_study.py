"""The record of the book's chapter on policies: laws at equal calls, training, and wrong densities.

Made anew by ``python -m toy_models.policy_study book/policy.json``, in a few minutes on one core.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from toy_models.policy_gradient import LogProb, at_once, train
from toy_models.policy_laws import (
    BROAD,
    CONTENDERS,
    NARROW,
    Contender,
    floor,
    member,
    on_images,
    on_the_line,
    published,
    windowed,
)
from toy_models.policy_training import (
    Outcome,
    belonging,
    bound,
    forgotten_factor,
    of_another_step,
    outcome,
    price,
    scatter,
)

CALLS, SHIFTS = (6, 10, 20, 30), (1.0, 3.0)
"""Model calls, and shifts of the flow's grid; the second is that of Stable Diffusion 3."""

TRAINED_CALLS, COPIES = 10, 5
"""Model calls of the policies that are trained, and how many are trained of each."""

SMALL_BATCH = 4
"""Runs of an update where noise is to exceed the signal: fewer than any policy's `Scatter.noise`."""

COUNT, GROUPS = 6000, 5
"""Runs of a group on the line, and groups."""

TRAINED: tuple[Contender, ...] = (
    *(published(name) for name in ("flow-sde", "dance-sde", "precise", "cps")),
    published("flow-sde", math.sqrt(2)),
    *(member(name, 1.0) for name in ("seeds-2", "seeds-3", "seeds-2m")),
    windowed("seeds-2m", 0.3, math.inf),
    windowed("seeds-2m", 1.0, math.inf),
)
"""What is trained."""


def laws(contenders: Sequence[Contender] = CONTENDERS, count: int = COUNT) -> list[dict[str, Any]]:
    """W2 of each at each number of calls, on each grid and each kind of data."""
    rows = []
    for contender in contenders:
        for shift in SHIFTS:
            for calls in CALLS:
                sampler = contender.within(calls, shift)
                found = {
                    "broad": on_the_line(*sampler, BROAD, count, GROUPS),
                    "narrow": on_the_line(*sampler, NARROW, count, GROUPS),
                    "images": on_images(*sampler),
                }
                place = {"sampler": contender.label, "shift": shift, "calls": calls}
                rows.append(place | {data: asdict(value) for data, value in found.items()})
    return rows


def floors() -> dict[str, Any]:
    """W2 of as many exact samples, on the line."""
    number = COUNT * GROUPS
    return {
        name: asdict(floor(law, number)) for name, law in (("broad", BROAD), ("narrow", NARROW))
    }


def training(contender: Contender, copies: int = COPIES, updates: int = 120) -> dict[str, Any]:
    """What one sampler comes to as a policy: at the weight 1, in small batches, at a weight of its own."""
    solver, grid = contender.within(TRAINED_CALLS)
    plan = solver.on(grid)
    cost = price(BROAD, plan)

    def trained(**options: Any) -> dict[str, Any]:
        model = train(BROAD, plan, copies=copies, updates=updates, **options)
        return summary(outcome(model, BROAD, plan))

    return {
        "sampler": contender.label,
        "steps": len(grid) - 1,
        "price": asdict(cost),
        "bound": asdict(bound(BROAD, plan)),
        "scatter": asdict(scatter(BROAD, plan)),
        "trained": trained(),
        "small batches": trained(batch=SMALL_BATCH),
        "own weight": trained(beta=1 / cost.price),
    }


def densities(copies: int = COPIES, updates: int = 120) -> list[dict[str, Any]]:
    """Training with the right density of a sampler's steps, and with a wrong one."""
    cps, grid = published("cps").within(TRAINED_CALLS)
    staged, coarse = member("seeds-2", 1.0).within(TRAINED_CALLS)
    single = published("flow-sde", math.sqrt(2)).solver(coarse)
    cases: list[tuple[str, Any, str, LogProb]] = [
        ("`cps`", cps.on(grid), "its own", at_once),
        ("`cps`", cps.on(grid), "without the factor", forgotten_factor(0.8, grid)),
        ("`seeds-2`", staged.on(coarse), "its own", at_once),
        ("`seeds-2`", staged.on(coarse), "that of `flow-sde`", of_another_step(single.on(coarse))),
    ]
    rows = []
    for sampler, plan, name, density in cases:
        model = train(BROAD, plan, density=density, copies=copies, updates=updates)
        rows.append(
            {
                "sampler": sampler,
                "density": name,
                "belonging": asdict(belonging(BROAD, plan, density)),
                "trained": summary(outcome(model, BROAD, plan)),
            }
        )
    return rows


def summary(found: Outcome) -> dict[str, tuple[float, float]]:
    """Means over the copies, and their standard errors."""
    values = {
        "distance": found.distance,
        "reward": found.reward,
        "divergence": found.divergence,
        "value": found.value(),
        "held value": found.held_value(),
    }
    return {
        name: (float(each.mean()), float(each.std()) / math.sqrt(len(each)))
        for name, each in values.items()
    }


def main(out: Annotated[Path, typer.Argument(help="The JSON file to write.")]) -> None:
    """Compare samplers of reinforcement learning with members of the family."""
    record: dict[str, Any] = {}
    makers: dict[str, Callable[[], Any]] = {
        "densities": densities,
        "laws": laws,
        "training": trainings,
        "floors": floors,
    }
    for name, make in makers.items():
        record[name] = rounded(make())
        out.write_text(json.dumps(record, indent=1) + "\n")


def trainings() -> list[dict[str, Any]]:
    """`training` of all that is trained."""
    return [training(contender) for contender in TRAINED]


def rounded(value: Any) -> Any:
    """Numbers to five digits: more would change with the machine."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    typer.run(main)

"""The settings of `seeds_theory.settings` on a checkpoint: each on its own grid, scored as in a benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from gpu_runs.benchmarks.bench import Bench, Resources
from gpu_runs.benchmarks.plans import Cell, Curve, Plan
from gpu_runs.benchmarks.results import Row
from seeds_theory.settings import Setting


def as_plan(setting: Setting, width: float, highest: float, plan: Plan) -> Plan:
    """The plan with a setting's curve and grid instead of its own."""
    noisy = setting.noisy
    noise = (
        f"eta {setting.eta:g}" if noisy is None else f"noise in {noisy} of {setting.steps} steps"
    )
    name = f"{setting.solver}, {noise}, tuned"
    return replace(
        plan,
        curves=(
            Curve(name, setting.solver, dict(setting.sampler.options), steps=(setting.steps,)),
        ),
        grid="logsnr" if setting.rho is None else f"rho={setting.rho:g}",
        sigma_min=width * setting.sigma_min,
        sigma_max=min(width * setting.sigma_max, highest),
    )


def rows(
    settings: Sequence[Setting], width: float, highest: float, plan: Plan, resources: Resources
) -> Iterator[Row]:
    """One block of images of each setting, scored.

    width : the standard deviation of the data along their first principal axis, as the network sees them.
    highest : a bound on the first noise level.
    """
    bench = Bench(plan, resources)
    for setting in settings:
        bench.plan = own = as_plan(setting, width, highest, plan)
        yield bench.row(Cell(own.curves[0], setting.steps, setting.nfe, 0))

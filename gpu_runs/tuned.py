"""The settings of `seeds_theory.settings` on a checkpoint: each on its own grid, scored as in a benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gpu_runs.benchmark import Bench, Resources
from gpu_runs.plans import Cell, Curve, Plan
from gpu_runs.results import Row
from seeds_theory.settings import Setting


def as_plan(setting: Setting, width: float, plan: Plan) -> Plan:
    """A plan's network, reference and images, with a setting's curve and grid."""
    name = f"{setting.solver}, eta {setting.eta:g}, tuned"
    return Plan(
        (Curve(name, setting.solver, setting.options, steps=(setting.steps,)),),
        network=plan.network,
        reference=plan.reference,
        features=plan.features,
        images=plan.images,
        grid="logsnr",
        sigma_min=width * setting.sigma_min,
        sigma_max=width * setting.sigma_max,
        labels=plan.labels,
    )


def rows(
    settings: Sequence[Setting], width: float, plan: Plan, resources: Resources
) -> Iterator[Row]:
    """One block of images of each setting, scored.

    width : the standard deviation of the data along their first principal axis, as the network sees them.
    """
    for setting in settings:
        own = as_plan(setting, width, plan)
        yield Bench(own, resources).row(Cell(own.curves[0], setting.steps, setting.nfe, 0))

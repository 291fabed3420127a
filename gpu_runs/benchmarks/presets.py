"""Public checkpoints with their published settings and scores: a plan by name.

The checkpoints and the reference statistics are not part of this project; a user has the files. Beside the
published cell each preset has a table of our own, of the same checkpoint and as many images.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from gpu_runs.benchmarks.plans import Plan, parse_plan, read_plan
from gpu_runs.names import INCEPTION, presets_file, require_plan_name

_IMAGES, _RUNS = 50000, 3  # the published scores are the best of three runs of so many images


@dataclass(frozen=True)
class Preset:
    """A public checkpoint: what it is, its published table of one cell, and a table of our own.

    seeds : the FID of SEEDS on record for it, None where there is none.
    """

    name: str
    about: str
    published: Plan
    ours: Plan
    seeds: float | None = None


@cache
def presets() -> dict[str, Preset]:
    """The public checkpoints by name."""
    content = presets_file()
    return {
        name: _preset(name, entry, content["methods"])
        for name, entry in content["checkpoints"].items()
    }


def _preset(name: str, entry: dict[str, Any], methods: list[dict[str, Any]]) -> Preset:
    common = {
        "network": f"{name}.pkl",
        "reference": entry["reference"],
        "features": INCEPTION,
        "images": _IMAGES,
        "precision": entry.get("precision", "fp32"),
    }
    churn = entry.get("churn", {})
    published: dict[str, Any] = {
        "method": "seeds-3",
        "label": "SEEDS-3",
        "eta": 1.0,
        "nfe": entry["nfe"],
    }
    if "published" in entry:
        published = {
            "method": "edm-heun",
            "label": "EDM, as published",
            "steps": [entry["steps"]],
            **{key: entry[key] for key in ("published", "recalled")},
            **churn,
        }
    stochastic = {"method": "edm-heun", "label": "EDM, stochastic"}
    stochastic |= entry.get("churn_elsewhere", churn) or {"eta": 1.0}
    return Preset(
        name,
        entry["about"],
        parse_plan({**common, "blocks": _RUNS, "methods": [published]}, name),
        parse_plan({**common, "nfe": entry["nfe"], "methods": [*methods, stochastic]}, name),
        entry.get("seeds"),
    )


def find_plan(plan: str, *, ours: bool = False) -> Plan:
    """The plan in a TOML file or of a preset, the published one or ours.

    Raises
    ------
    UnknownNameError : neither a .toml file nor a preset.
    SeedsError : as of `read_plan`.
    """
    require_plan_name(plan, ours=ours)
    known = presets()
    if plan not in known:
        return read_plan(plan)
    return known[plan].ours if ours else known[plan].published

"""What can be named on a command line, known without importing what the names stand for."""

from __future__ import annotations

import math
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal

from seeds_theory.errors import unknown

FASHION_MNIST = "fashion-mnist"
INCEPTION = "inception"

FEATURES = (FASHION_MNIST, INCEPTION)
"""The names of features; other ones are a file."""

SPLITS: dict[str, Literal["train", "test"]] = {
    FASHION_MNIST: "train",
    f"{FASHION_MNIST}-test": "test",
}
"""What Fashion-MNIST's training and test images are called."""

PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
"""Precisions of the network; tf32 is float32 with shorter products, on NVIDIA GPUs."""

STATES = ("float64", "float32")
"""Types of the solver's state."""

CONVENTIONS = ("edm",)
"""Other programs whose seeds can be meant."""
DTYPES = ("float32", "bfloat16", "float16")
"""Types of the networks of a pipeline."""

GRIDS = ("edm", "rho=NUMBER", "logsnr")
"""What a grid is called; edm is rho=7."""

SELF_TESTS = (
    "environment",
    "noise",
    "products",
    "network",
    "ddpmpp",
    "methods",
    "repeats",
    "graph",
    "compile",
    "png",
    "speed",
    "several",
    "resume",
)
"""The checks of `seeds-selftest`, in the order in which they are made."""


def require_type_names(precision: str, state: str) -> None:
    """Both are known; raises UnknownNameError, which lists what is."""
    for what, name, known in (("precision", precision, PRECISIONS), ("state", state, STATES)):
        if name not in known:
            raise unknown(what, name, known)


def require_convention(name: str | None) -> None:
    """It is None or a known program's; raises UnknownNameError."""
    if name is not None and name not in CONVENTIONS:
        raise unknown("convention of seeds", name, CONVENTIONS)


def grid_exponent(grid: str) -> float | None:
    """The rho of a grid, whose levels have equal steps in sigma^(1/rho); None for logsnr.

    Raises
    ------
    UnknownNameError : no name of a grid.
    """
    if grid == "logsnr":
        return None
    kind, _, number = ("rho=7" if grid == "edm" else grid).partition("=")
    try:
        rho = float(number)
    except ValueError:
        rho = math.nan
    if kind != "rho" or math.isnan(rho):
        raise unknown("grid", grid, GRIDS)
    return rho


@cache
def presets_file() -> dict[str, Any]:
    """The content of ``presets.toml``: public checkpoints with their published settings and scores."""
    return tomllib.loads(Path(__file__).with_name("presets.toml").read_text(encoding="utf-8"))


def preset_names() -> tuple[str, ...]:
    """The names of these checkpoints."""
    return tuple(presets_file()["checkpoints"])


def require_plan_name(plan: str, *, ours: bool = False) -> None:
    """It is a .toml file or names a preset; with ours, it names a preset.

    Raises
    ------
    UnknownNameError : it does not; lists the presets.
    """
    known = preset_names()
    if plan not in known and (ours or not plan.endswith(".toml")):
        what = "--ours is for one of these" if ours else "a plan is one of these or a .toml file"
        raise unknown("preset", plan, known, f"; {what}")

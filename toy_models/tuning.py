"""What `seeds-tune` does beside tuning one sampler: all candidates, all comparisons, on several processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seeds_theory.errors import ParameterError
from seeds_theory.processes import in_processes
from seeds_theory.settings import KINDS, Setting
from seeds_theory.solver import Solver
from toy_models.few_steps import steps_within
from toy_models.few_steps_study import (
    CALLS,
    CANDIDATES,
    COMPARED,
    HELD_OUT,
    Comparison,
    Problem,
    Trial,
    compare,
    peers,
    trials_of,
)


def search_all(
    calls: Sequence[int] | None = None, *, jobs: int = 1, progress: bool = False
) -> list[Trial]:
    """Search a grid for every candidate and these numbers of model calls, by default `CALLS`."""
    tasks = [(candidate, sorted(calls or CALLS)) for candidate in CANDIDATES]
    found = in_processes(_trials, tasks, jobs=jobs, label="searching", progress=progress)
    return [trial for trials in found for trial in trials]


def _trials(task: tuple[Setting, list[int]]) -> list[Trial]:
    return trials_of(*task)


def compare_all(
    calls: Sequence[int] | None = None,
    count: int = 10_000,
    *,
    jobs: int = 1,
    progress: bool = False,
) -> list[Comparison]:
    """Compare the settings with samplers as published, on the mixtures that nothing was tuned on.

    calls : by default `COMPARED`. count : of samples.
    """
    tasks = [
        (problem, name, kind, nfe, count)
        for problem in HELD_OUT
        for nfe in calls or COMPARED
        for kind, names in (
            ("tuned", KINDS),
            ("stochastic", peers(stochastic=True)),
            ("deterministic", peers(stochastic=False)),
            ("exact", ("samples of the data",)),
        )
        for name in names
        if kind in ("tuned", "exact") or steps_within(Solver(name), nfe)
    ]
    return in_processes(_compare, tasks, jobs=jobs, label="sampling", progress=progress)


def _compare(task: tuple[Problem, str, str, int, int]) -> Comparison:
    return compare(*task)


def read_spectrum(file: Path) -> Tensor:
    """The eigenvalues in an .npy file, (d,), float64, not negative.

    Raises
    ------
    ParameterError : no such file, or no row of finite numbers >= 0 with one above 0.
    """
    if not file.exists():
        raise ParameterError(f"there is no file {file}")
    try:
        values = np.load(file, allow_pickle=False) if file.is_file() else None
    except (OSError, ValueError, EOFError):
        values = None
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise ParameterError(f"{file} is no .npy file of numbers")
    if values.ndim != 1:
        raise ParameterError(f"a spectrum is one row of eigenvalues; got shape {values.shape}")
    if not np.isfinite(values).all() or not (values >= -1e-9 * np.abs(values).max(initial=0)).all():
        raise ParameterError(
            f"eigenvalues are finite and >= 0; got {values.min(initial=0):g} in {file}"
        )
    if not values.any():
        raise ParameterError(f"{file} has no eigenvalue above 0")
    return torch.as_tensor(values, dtype=torch.float64).clamp(min=0)


def as_options(setting: Setting, width: float, highest: float = math.inf) -> str:
    """A setting, for data of that width, as options of seeds-generate."""
    high, *_, low, _ = setting.sigmas(width, highest)
    options = dict(setting.sampler.options)
    eta = options.pop("eta", None)
    written = "" if eta is None else f" --eta {eta_text(eta)}"
    grid = "logsnr" if setting.rho is None else f"rho={setting.rho:g}"
    return (
        f"--method {setting.solver}{written} --grid {grid} --steps {setting.steps} "
        f"--sigma-max {high:.4g} --sigma-min {low:.4g}"
        + "".join(f" --option {name}={value}" for name, value in options.items())
    )


def eta_text(eta: float | Sequence[float]) -> str:
    """A number, or one for each step, as commands take it."""
    return f"{eta:g}" if isinstance(eta, int | float) else ",".join(f"{one:g}" for one in eta)

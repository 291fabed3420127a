"""What `seeds-tune` does beside tuning one sampler: all candidates, all comparisons, on several processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seeds_theory.errors import ParameterError
from seeds_theory.processes import in_processes
from seeds_theory.settings import Setting
from toy_models.few_steps_study import (
    CALLS,
    CANDIDATES,
    DETERMINISTIC_PEERS,
    HELD_OUT,
    STOCHASTIC_PEERS,
    Comparison,
    Problem,
    Trial,
    choose,
    compare,
    trial,
)


def tune_all(
    calls: Sequence[int] | None = None, *, jobs: int = 1, progress: bool = False
) -> list[Trial]:
    """Tune every candidate for these numbers of model calls, by default `CALLS`."""
    tasks = [
        (name, options, nfe, eta)
        for nfe in calls or CALLS
        for eta, candidates in CANDIDATES.items()
        for name, options in candidates
    ]
    return in_processes(_trial, tasks, jobs=jobs, label="tuning", progress=progress)


def _trial(task: tuple[str, dict[str, Any], int, float]) -> Trial:
    return trial(*task)


def choose_each(trials: Sequence[Trial]) -> list[Trial]:
    """The one that `choose` takes, for each number of model calls, of the SDE and of the ODE."""
    groups: dict[tuple[int, float], list[Trial]] = {}
    for result in trials:
        groups.setdefault((result.nfe, result.setting.eta), []).append(result)
    return [choose(group) for group in groups.values()]


def compare_all(
    calls: Sequence[int] | None = None,
    count: int = 200_000,
    *,
    jobs: int = 1,
    progress: bool = False,
) -> list[Comparison]:
    """Compare the settings with samplers as published, on the mixtures that nothing was tuned on.

    calls : by default `CALLS`. count : of samples on the first mixture; a quarter on the others.
    """
    tasks = [
        (problem, name, kind, nfe, count if problem is HELD_OUT[0] else count // 4)
        for problem in HELD_OUT
        for nfe in calls or CALLS
        for kind, names in (
            ("tuned", ("eta = 1", "eta = 0")),
            ("stochastic", STOCHASTIC_PEERS),
            ("deterministic", DETERMINISTIC_PEERS),
            ("exact", ("samples of the data",)),
        )
        for name in names
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
    eta = f" --eta {setting.options['eta']:g}" if "eta" in setting.options else ""
    own = (f" --option {k}={v}" for k, v in setting.options.items() if k != "eta")
    return (
        f"--method {setting.solver}{eta} --grid logsnr --steps {setting.steps} "
        f"--sigma-max {high:.4g} --sigma-min {low:.4g}" + "".join(own)
    )

"""Samples in one line: a grid, seeds, batches, around any sampler of the library."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import ParameterError
from seeds_theory.eta_schedule import Eta
from seeds_theory.grids import require_grid, rho_grid
from seeds_theory.loop import Callback
from seeds_theory.progress import with_bar
from seeds_theory.seeds_range import batches
from seeds_theory.solver import Solver
from seeds_theory.sources import SeededNoise, require_seeds

EDM: dict[str, Any] = {"sigma_max": 80.0, "sigma_min": 0.002, "steps": 20}
"""The grid of a run that states no other: EDM's."""


def sample(
    denoiser: Denoiser | Callable[[Tensor, float, Any], Tensor],
    method: str | Solver = "seeds-3",
    *,
    shape: Sequence[int],
    seeds: Sequence[int],
    steps: int | None = None,
    eta: Eta | None = None,
    sigma_max: float | None = None,
    sigma_min: float | None = None,
    sigmas: Sequence[float] | np.ndarray | None = None,
    batch: int | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    condition: Any = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Tensor:
    """Draw one sample for each seed, from pure noise to the data.

    >>> images = sample(model, method="seeds-3", steps=20, shape=(3, 32, 32), seeds=range(64))

    Parameters
    ----------
    denoiser : ``D(x, sigma)``, an estimate of the data for x at that noise level, shaped like x.
    method : the name of a method or baseline (`seeds_theory.solver.SOLVERS`), or a `Solver` with options.
    shape : of one sample, without the batch.
    seeds : one integer per sample; a seed gives the same sample in any batch.
    steps, sigma_max, sigma_min : of EDM's grid, by default 20 from 80 to 0.002; the last one is to level 0.
    eta : 1 for the reverse SDE, 0 for the ODE; by default the sampler's own. Or one for each step, windows of
        noise levels as ``"1:0.3-5"``, or a function of the level, as in `make_plan`.
    sigmas : a grid instead of these three, descending; the first level may be infinite.
    batch : most samples at a time; by default all.
    dtype, device : of the states. A seed has the same numbers in each, drawn in single precision on the CPU.
    condition : something for each sample, as labels or prompts: a tensor, array or list with one entry for
        each seed, or a dictionary of such. The denoiser is then called as ``D(x, sigma, condition)``, with
        the part that belongs to the batch.
    callback : called after each step of each batch with a `StepInfo`, whose ``denoised`` is a preview.
    progress : show a progress bar of the batches, or of the steps if there is one batch.

    Returns
    -------
    The samples, ``(len(seeds), *shape)``.

    Raises
    ------
    UnknownNameError, ParameterError, GridError, DenoiserError, NoiseError : each names the rule.
    """
    solver = method if isinstance(method, Solver) else Solver(method)
    options = {"steps": steps, "sigma_max": sigma_max, "sigma_min": sigma_min}
    given = {name: value for name, value in options.items() if value is not None}
    if sigmas is not None and given:
        raise ParameterError(f"sigmas are the whole grid: leave out {', '.join(given)}")
    grid = rho_grid(**(EDM | given), to_zero=True) if sigmas is None else sigmas
    highest = float(require_grid(grid, repeats=True)[0])
    scale = highest if math.isfinite(highest) else 1.0  # a state at an infinite level is unit noise
    chosen = require_seeds(seeds)
    size = len(chosen) if batch is None else batch
    if not isinstance(size, numbers.Integral) or size < 1:
        raise ParameterError(f"a batch has one sample or more, a whole number; got {batch!r}")
    parts = batches(chosen, int(size))
    show = progress and len(parts) > 1
    samples = []
    require_one_each(condition, len(chosen))
    first = 0
    for part in with_bar(parts, show=show, desc=solver.name, unit="batch"):
        noise, rows = SeededNoise(part), slice(first, first + len(part))
        first += len(part)
        start = noise.initial(shape, dtype).to(device) * scale
        samples.append(
            solver(
                denoiser
                if condition is None
                else _conditioned(denoiser, _of_rows(condition, rows)),
                start,
                grid,
                noise,
                eta=eta,
                callback=callback,
                progress=progress and len(parts) == 1,
            )
        )
    return torch.cat(samples)


def _conditioned(denoiser: Callable[[Tensor, float, Any], Tensor], condition: Any) -> Denoiser:
    """The denoiser ``D(x, sigma)`` under that condition."""

    def denoise(x: Tensor, sigma: float) -> Tensor:
        return denoiser(x, sigma, condition)

    return denoise


def _of_rows(condition: Any, rows: slice) -> Any:
    """The part of a condition that belongs to these samples."""
    if isinstance(condition, Mapping):
        return {name: _of_rows(value, rows) for name, value in condition.items()}
    return None if condition is None else condition[rows]


def require_one_each(condition: Any, count: int | None = None) -> int:
    """How many samples a condition is for: one entry each, of every part of a dictionary.

    count : that number, where it is known.

    Raises
    ------
    ParameterError : it is for another number, for one that its parts disagree on, or has no entries.
    """
    parts = list(_parts(condition))
    for part in parts:
        sized = hasattr(part, "__getitem__") and not isinstance(part, str)
        try:
            length = len(part) if sized else -1
        except TypeError:  # a tensor without dimensions
            length = -1
        count = length if count is None else count
        if length != count or length < 0:
            given = f"{length} entries" if length >= 0 else f"a {type(part).__name__}"
            raise ParameterError(
                f"a condition has one entry for each of {count} samples; got {given}: put what is the same "
                "for all into the denoiser"
            )
    if count is None:
        raise ParameterError("a condition has one entry for each sample; got none")
    return count


def _parts(condition: Any) -> Iterator[Any]:
    """What is cut: the values of dictionaries, and of those in them, that are not None."""
    if isinstance(condition, Mapping):
        for value in condition.values():
            yield from _parts(value)
    elif condition is not None:
        yield condition

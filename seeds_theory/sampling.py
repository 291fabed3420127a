"""Samples in one line: a grid, seeds, batches, around any sampler of the library."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import ParameterError
from seeds_theory.grids import require_grid, rho_grid
from seeds_theory.loop import Callback
from seeds_theory.solver import Solver
from seeds_theory.sources import SeededNoise


def sample(
    denoiser: Denoiser,
    method: str | Solver = "seeds-3",
    *,
    shape: Sequence[int],
    seeds: Sequence[int],
    steps: int = 20,
    eta: float | None = None,
    sigma_max: float = 80.0,
    sigma_min: float = 0.002,
    sigmas: Sequence[float] | np.ndarray | None = None,
    batch: int | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
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
    steps : of EDM's grid from sigma_max to sigma_min, the last one to noise level 0.
    eta : 1 for the reverse SDE, 0 for the ODE; by default the sampler's own.
    sigmas : a grid instead, descending; the first level may be infinite.
    batch : most samples at a time; by default all.
    dtype, device : of the states.
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
    grid = rho_grid(sigma_max, sigma_min, steps, to_zero=True) if sigmas is None else sigmas
    highest = float(require_grid(grid, repeats=True)[0])
    scale = highest if math.isfinite(highest) else 1.0  # a state at an infinite level is unit noise
    chosen = SeededNoise(seeds).seeds
    size = len(chosen) if batch is None else batch
    if not isinstance(size, numbers.Integral) or size < 1:
        raise ParameterError(f"a batch has one sample or more, a whole number; got {batch!r}")
    batches = [chosen[first : first + size] for first in range(0, len(chosen), size)]
    bar = tqdm(batches, desc=solver.name, unit="batch", disable=not progress or len(batches) == 1)
    samples = []
    for part in bar:
        noise = SeededNoise(part)
        start = noise.initial(shape, dtype).to(device) * scale
        samples.append(
            solver(
                denoiser,
                start,
                grid,
                noise,
                eta=eta,
                callback=callback,
                progress=progress and len(batches) == 1,
            )
        )
    return torch.cat(samples)

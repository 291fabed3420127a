"""What a method costs besides the network: time of its own per step, images per second, memory.

The time of its own is measured with a network that returns the same tensor at once, at the checkpoint's
shapes, without noise and with the noise of seeded generators. It includes the coefficients of the grid,
which are computed anew in each run.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from rich.table import Table
from torch import Tensor
from torch.utils.benchmark import Timer

from gpu_runs.benchmarks.plans import most_steps
from gpu_runs.checkpoints.own_network import Network
from gpu_runs.generation.sampler import STATE_TYPES, Generation, GridWarning, ImageSampler
from gpu_runs.machine.device import arithmetic
from seeds_theory.errors import ParameterError
from seeds_theory.sources import NoiseSource, SeededNoise, silent

_MOST_IMAGES = 2**16
_LONG_ENOUGH = 0.1  # seconds; a shorter run is repeated until it has taken that


@dataclass(frozen=True)
class Cost:
    """Of one method, on one batch; times in microseconds.

    solver, noise : per step; the noise is what its generators add. network : per call.
    share : of solver and noise in the time of a run. images_per_second : of whole runs.
    peak_bytes : most memory on the GPU, the network's weights included; None on a CPU.
    """

    method: str
    steps: int
    nfe: int
    solver: float
    noise: float
    network: float
    share: float
    images_per_second: float
    peak_bytes: int | None


def measure(
    network: Network,
    method: str,
    options: dict[str, Any] | None = None,
    *,
    nfe: int = 20,
    batch: int = 16,
    precision: str = "fp32",
    state: str = "float64",
) -> Cost:
    """The cost of a method at the most steps with no more than `nfe` network calls, on batches.

    Raises
    ------
    ParameterError : no run has so few calls, or a batch without images or of more than 65536.
    SeedsError : the method or an option, as of `ImageSampler`.
    """
    if not 1 <= batch <= _MOST_IMAGES:
        raise ParameterError(f"a batch has one image or more, {_MOST_IMAGES} at most; got {batch}")

    def settings(steps: int) -> Generation:
        return Generation(method, steps, options or {}, precision=precision, state=state)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GridWarning)
        steps = most_steps(network, settings, nfe)
        if not steps:
            raise ParameterError(f"{method}: no run has {nfe} network calls or fewer; allow more")
        sampler = ImageSampler(network, settings(steps))
    seeds = list(range(batch))
    highest, labels = float(sampler.sigmas[0]), sampler.one_hot(seeds)
    shape = (batch, *network.state_shape)
    x = highest * torch.randn(shape, dtype=STATE_TYPES[state], device=sampler.device)
    estimate = torch.zeros_like(x)
    generators = SeededNoise(seeds)

    def run(source: NoiseSource) -> Tensor:
        return sampler.solver(lambda x, sigma: estimate, x, sampler.sigmas, source)

    # The network's own kernels are chosen in its first calls, which the timer leaves out.
    with arithmetic(tf32=precision == "tf32"), torch.inference_mode():
        call = _seconds(lambda: sampler.network(x, highest, labels))
    bare = _seconds(lambda: run(silent))
    own = max(bare, _seconds(lambda: run(generators)))
    cuda = sampler.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(sampler.device)
    whole = _seconds(lambda: sampler(seeds))
    return Cost(
        method,
        len(sampler.sigmas) - 1,
        sampler.nfe,
        solver=1e6 * bare / (len(sampler.sigmas) - 1),
        noise=1e6 * (own - bare) / (len(sampler.sigmas) - 1),
        network=1e6 * call,
        share=own / (own + sampler.nfe * call),
        images_per_second=batch / whole,
        peak_bytes=torch.cuda.max_memory_allocated(sampler.device) if cuda else None,
    )


def _seconds(work: Callable[[], object]) -> float:
    """The median time of a call, on as many threads as now; with the GPU's part of it."""
    timer = Timer("work()", globals={"work": work}, num_threads=torch.get_num_threads())
    return timer.blocked_autorange(min_run_time=_LONG_ENOUGH).median


def table(costs: list[Cost]) -> Table:
    """The costs as a table; memory where it was measured."""
    times = "solver µs/step", "noise µs/step", "network µs/call", "not network", "images/s"
    on_gpu = any(cost.peak_bytes is not None for cost in costs)
    drawn = Table()
    drawn.add_column("method", no_wrap=True)
    for heading in ("NFE", *times, *(["peak MiB"] if on_gpu else [])):
        drawn.add_column(heading, justify="right")
    for cost in costs:
        drawn.add_row(
            cost.method,
            str(cost.nfe),
            f"{cost.solver:.0f}",
            f"{cost.noise:.0f}",
            f"{cost.network:.0f}",
            f"{cost.share:.1%}",
            f"{cost.images_per_second:.3g}",
            *([f"{(cost.peak_bytes or 0) / 2**20:.0f}"] if on_gpu else []),
        )
    return drawn

"""Monte-Carlo throughput against a plain loop: `pytest tests/benchmarks`.

Both follow coupled paths of SEEDS-1 at several step sizes on the same mixture: same normals, same model
calls. A ratio in one process is stated; absolute times mean little on a shared machine.
"""

import itertools

import torch

from seeds_theory import BrownianPath, follow, make_plan, path_points, uniform_log_snr
from toy_models.mixture import CURVED

STEPS = (16, 32, 64, 128)
BATCH = 8192


def library(x: torch.Tensor) -> list[torch.Tensor]:
    plans = [make_plan("seeds-1", uniform_log_snr(4.0, 0.5, n)) for n in STEPS]
    path = BrownianPath(path_points(plans), 1.0, x)
    return [follow(CURVED, x, plan, path) for plan in plans]


def plain(x: torch.Tensor) -> list[torch.Tensor]:
    """The loop that one would write by hand for this one method, at eta = 1."""
    fine = torch.as_tensor(uniform_log_snr(4.0, 0.5, STEPS[-1]))
    clock = fine**-2
    increments = torch.randn(STEPS[-1], *x.shape, dtype=x.dtype)
    increments *= (clock[1:] - clock[:-1]).sqrt()[:, None, None]
    ends = []
    for n in STEPS:
        stride = STEPS[-1] // n
        sigmas = fine[::stride].tolist()
        y = x
        for i, (s, t) in enumerate(itertools.pairwise(sigmas)):
            decay = (t / s) ** 2
            noise = increments[i * stride : (i + 1) * stride].sum(0)
            y = decay * y + (1 - decay) * CURVED(y, s) + t**2 * noise
        ends.append(y)
    return ends


def test_both_loops_compute_the_same_law():
    x = CURVED.marginal(4.0).sample(20_000, torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    for ours, theirs in zip(library(x), plain(x), strict=True):
        spread = 4 * 2**0.5 * float(ours.std()) / len(x) ** 0.5
        assert abs(float(ours.mean() - theirs.mean())) < spread


def test_the_library_keeps_four_fifths_of_the_plain_loops_throughput(compare):
    """What one pays for a general loop and coupled paths."""
    x = CURVED.marginal(4.0).sample(BATCH)
    ratio = compare(
        lambda: library(x),
        lambda: plain(x),
        ours="seeds-1 on a BrownianPath",
        peer="plain loop",
        shape=f"{BATCH} numbers",
        noise="one path",
    )
    assert ratio < 1 / 0.8

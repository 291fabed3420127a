"""SD.Next's FlowMatchDPMSolverMultistepScheduler on N(1, 1/4) data: the deviation of the end.

Run with the folder modules/schedulers of a checkout of vladmandic/sdnext on the path. The scheduler asks
SD.Next's installer for torchsde; with a stand-in for it nothing is installed.
"""

import sys
from types import SimpleNamespace

import torch

sys.modules["installer"] = SimpleNamespace(install=lambda *names, **options: None)
from scheduler_dpm_flowmatch import FlowMatchDPMSolverMultistepScheduler  # noqa: E402


def velocity(x, t):
    """Noise less data, expected at x = (1 - t) data + t noise."""
    gain = (1 - t) / 4 / ((1 - t) ** 2 / 4 + t**2)
    return (x - (1 + gain * (x - (1 - t)))) / t


def run(kind, steps, ratio=0.5):
    """The end, and that of Euler's method on the same levels from the same noise."""
    torch.manual_seed(0)
    scheduler = FlowMatchDPMSolverMultistepScheduler(
        algorithm_type=kind, midpoint_ratio=ratio, use_noise_sampler=False
    )
    scheduler.set_timesteps(steps)
    x = torch.randn(1, 1, 300, 300, dtype=torch.float64)
    x = euler = (x - x.mean()) / x.std()
    for index, t in enumerate(scheduler.timesteps):
        level, below = scheduler.sigmas[index : index + 2]
        euler = euler + (below - level) * velocity(euler, level)
        x = scheduler.step(velocity(x, level), t, x).prev_sample
    return x, euler


for kind in ("dpmsolver++2M", "dpmsolver2", "dpmsolver2A", "dpmsolver++2S", "dpmsolver++sde"):
    deviations = (f"{float(run(kind, steps)[0].std()):.3f}" for steps in (20, 40, 80, 160))
    print(f"{kind}:", *deviations, "at 20, 40, 80, 160 steps")
x, euler = run("dpmsolver2", 20)
print(f"dpmsolver2 is off from Euler by {float((x - euler).abs().max()):.0e}")
(x, _), (other, _) = run("dpmsolver++2S", 20, 0.4), run("dpmsolver++2S", 20, 0.6)
print(f"dpmsolver++2S: midpoint ratios 0.4 and 0.6 differ by {float((x - other).abs().max()):.0e}")

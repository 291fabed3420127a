"""PhysicsNeMo's churn on N(0, 1) data: the variance of the end over that of the exact law there.

Run with a checkout of NVIDIA/physicsnemo on the path.
"""

import torch
from physicsnemo.diffusion.noise_schedulers import (
    EDMNoiseScheduler,
    VENoiseScheduler,
    VPNoiseScheduler,
)
from physicsnemo.diffusion.samplers import sample

RUNS = [
    ("edm", EDMNoiseScheduler(), 5.0, 0.5),
    ("ve", VENoiseScheduler(), 5.0, 0.5),
    ("vp", VPNoiseScheduler(), 0.5, 0.1),
    ("vp", VPNoiseScheduler(), 0.9, 0.1),
]
STEPS, SAMPLES = 200, 20_000


def variance(scheduler, t):
    """Of the states at a time, as that of the data is 1."""
    return scheduler.alpha(t) ** 2 + scheduler.sigma(t) ** 2


for name, scheduler, start, stop in RUNS:
    times = torch.linspace(start, stop, STEPS + 1, dtype=torch.float64)

    def estimate(x, t, scheduler=scheduler):
        """E[x_0 | x], exact."""
        return scheduler.alpha(t[0]) / variance(scheduler, t[0]) * x

    settings = {
        "denoiser": scheduler.get_denoiser(x0_predictor=estimate),
        "noise_scheduler": scheduler,
        "num_steps": STEPS,
        "time_steps": times,
    }
    of_schedule = {
        "sigma_fn": scheduler.sigma,
        "sigma_inv_fn": scheduler.sigma_inv,
        "diffusion_fn": scheduler.diffusion,
    }
    for solver in ("edm_stochastic_euler", "edm_stochastic_heun"):
        found = []
        for churn in (0.0, 1.0):
            torch.manual_seed(0)
            x = torch.randn(SAMPLES, 1, dtype=torch.float64) * variance(scheduler, times[0]).sqrt()
            options = {"S_churn": churn, "num_steps": STEPS, **of_schedule}
            end = sample(xN=x, solver=solver, solver_options=options, **settings)
            found.append(float(end.var() / variance(scheduler, times[-1])))
        print(f"{name} {start} to {stop}, {solver}: {found[0]:.3f}, with churn {found[1]:.3f}")

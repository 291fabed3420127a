"""SDE mode of order 3: the third step of any run."""

import torch
from diffusers import EDMDPMSolverMultistepScheduler

options = {"algorithm_type": "sde-dpmsolver++", "solver_order": 3}
scheduler = EDMDPMSolverMultistepScheduler(**options)
scheduler.set_timesteps(20)
x = torch.randn(1, 3, 8, 8)
done = 0
try:
    for t in scheduler.timesteps:
        x = scheduler.step(torch.zeros_like(x), t, x).prev_sample
        done += 1
    print(f"{done} steps done")
except Exception as error:
    print(f"after {done} steps: {type(error).__name__}: {error}")

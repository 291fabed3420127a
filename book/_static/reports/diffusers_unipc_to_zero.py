"""The default configuration, with final level 0, and two options."""

import torch
from diffusers import UniPCMultistepScheduler

for options in ({}, {"solver_type": "bh1"}, {"predict_x0": False}):
    scheduler = UniPCMultistepScheduler(**options)
    scheduler.set_timesteps(20)
    x = torch.ones(1, 3, 8, 8)
    for t in scheduler.timesteps:
        x = scheduler.step(0.5 * x, t, x).prev_sample
    print(options, f"NaN in {float(x.isnan().float().mean()):.0%} of the numbers")

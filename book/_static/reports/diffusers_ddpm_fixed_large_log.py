"""DDPMScheduler with variance_type="fixed_large_log": the first step."""

import torch
from diffusers import DDPMScheduler

scheduler = DDPMScheduler(variance_type="fixed_large_log")
scheduler.set_timesteps(50)
x = torch.randn(1, 3, 8, 8)
x = scheduler.step(torch.randn_like(x), scheduler.timesteps[0], x).prev_sample
print(f"NaN in {float(x.isnan().float().mean()):.0%} of the numbers")

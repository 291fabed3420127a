"""FlowMatchEulerDiscreteScheduler.step: what s_churn changes."""

import torch
from diffusers import FlowMatchEulerDiscreteScheduler

ends = []
for churn in (0.0, 40.0):
    scheduler = FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(20)
    torch.manual_seed(0)
    x = torch.randn(1, 3, 8, 8)
    for t in scheduler.timesteps:
        x = scheduler.step(x, t, x, s_churn=churn, s_noise=2.0).prev_sample
    ends.append(x)
print(f"largest difference: {float((ends[0] - ends[1]).abs().max())}")

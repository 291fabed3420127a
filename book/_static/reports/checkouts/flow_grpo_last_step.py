"""flow_grpo: noise of the last step of sampling, with an exact network of data that are one point.

Run with the folder flow_grpo/diffusers_patch of a checkout of yifan123/flow_grpo on the path.
"""

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from sd3_sde_with_logprob import sde_step_with_logprob

for steps in (10, 28, 40):
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)  # as Stable Diffusion 3
    scheduler.set_timesteps(steps)
    torch.manual_seed(0)
    x = torch.randn(1, 16, 64, 64)
    for index, t in enumerate(scheduler.timesteps):
        velocity = x / scheduler.sigmas[index]  # the data are all 0
        x, _, mean, _ = sde_step_with_logprob(scheduler, velocity, t[None], x, noise_level=0.7)
    print(f"{steps} steps: deviation of the samples {x.std():.3f}, of the means {mean.std():.1e}")

"""FlowMatchHeunDiscreteScheduler: standard deviations on N(0, 1) data, exactly 1."""

import torch
from diffusers import FlowMatchHeunDiscreteScheduler

torch.manual_seed(0)
for churn in (0.0, 4.0):
    deviations = []
    for steps in (25, 100, 400):
        scheduler = FlowMatchHeunDiscreteScheduler()
        scheduler.set_timesteps(steps)
        x = torch.randn(20_000, 1)
        for t in scheduler.timesteps:
            # The time at which the network is called: the step's start, then its end.
            time = t / scheduler.config.num_train_timesteps
            velocity = (2 * time - 1) / ((1 - time) ** 2 + time**2) * x
            x = scheduler.step(velocity, t, x, s_churn=churn).prev_sample
        deviations.append(f"{float(x.std()):.3f}")
    print(f"s_churn {churn:g}:", *deviations, "at 25, 100, 400 steps")

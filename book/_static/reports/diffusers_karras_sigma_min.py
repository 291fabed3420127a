"""DPMSolverMultistepScheduler of order 3 on Karras levels that end at sigma_min."""

import torch
from diffusers import DPMSolverMultistepScheduler

for order in (2, 3):
    scheduler = DPMSolverMultistepScheduler(
        solver_order=order, use_karras_sigmas=True, final_sigmas_type="sigma_min"
    )
    scheduler.set_timesteps(20)
    x = torch.ones(1, 3, 8, 8)
    for t in scheduler.timesteps:
        x = scheduler.step(0.5 * x, t, x).prev_sample
    last = [round(float(sigma), 4) for sigma in scheduler.sigmas[-3:]]
    share = float(x.isnan().float().mean())
    print(f"order {order}: levels end {last}, NaN in {share:.0%}")

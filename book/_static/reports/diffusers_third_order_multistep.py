"""Order 3 on an estimate that is quadratic in lambda = log(alpha/sigma)."""

import torch
from diffusers import DPMSolverMultistepScheduler

scheduler = DPMSolverMultistepScheduler(
    solver_order=3, prediction_type="sample", final_sigmas_type="sigma_min"
)
scheduler.set_timesteps(20)
scheduler.sigmas = scheduler.sigmas.double()
sigma_vp = scheduler.sigmas * (1 + scheduler.sigmas**2).rsqrt()
l = -scheduler.sigmas.log()
x = torch.zeros(1, 1, dtype=torch.float64)
for i, t in enumerate(scheduler.timesteps):
    start, x = x, scheduler.step((l[i] ** 2).view(1, 1), t, x).prev_sample
    # The exact step: x_t = sigma_t (x_s / sigma_s + integral of exp(l) D(l) dl).
    square = [(l[j] ** 2 - 2 * l[j] + 2) * l[j].exp() for j in (i, i + 1)]
    line = [(2 * l[i] * (l[j] - 1) - l[i] ** 2) * l[j].exp() for j in (i, i + 1)]
    scaled = start / sigma_vp[i]
    ends = [sigma_vp[i + 1] * (scaled + f[1] - f[0]) for f in (square, line)]
    if i in (5, 10, 15):  # what D'' adds to the step, over what it must add
        print(f"step {i}: {float((x - ends[1]) / (ends[0] - ends[1])):.3f}")

"""SDE mode: standard deviations on N(0, 1) data, exactly 1."""

import torch
from diffusers import DPMSolverMultistepScheduler, DPMSolverSinglestepScheduler

torch.manual_seed(0)
for name, scheduler_class in (
    ("singlestep", DPMSolverSinglestepScheduler),
    ("multistep", DPMSolverMultistepScheduler),
):
    for order in (1, 2):
        off = []
        for calls in (16, 32, 64):
            scheduler = scheduler_class(
                solver_order=order,
                algorithm_type="sde-dpmsolver++",
                prediction_type="sample",
                final_sigmas_type="sigma_min",
                use_karras_sigmas=True,
            )
            scheduler.set_timesteps(calls)
            x = torch.randn(30_000, 1)
            for i, t in enumerate(scheduler.timesteps):
                alpha = (1 + scheduler.sigmas[i] ** 2).rsqrt()
                x = scheduler.step(alpha * x, t, x).prev_sample
            off.append(f"{float(x.std()) - 1:+.1%}")
        print(f"{name} {order}:", *off, "at 16, 32, 64 model calls")

"""Wan's FlowDPMSolverMultistepScheduler, sde-dpmsolver++ of order 3, on three steps and more.

Run with the folder wan/utils of a checkout of Wan-Video/Wan2.1 on the path.
"""

import torch
from fm_solvers import FlowDPMSolverMultistepScheduler

for order in (2, 3):
    scheduler = FlowDPMSolverMultistepScheduler(
        algorithm_type="sde-dpmsolver++", solver_order=order, final_sigmas_type="zero"
    )
    scheduler.set_timesteps(20)
    x = torch.randn(1, 1, 4, 4)
    try:
        for t in scheduler.timesteps:
            x = scheduler.step(x, t, x).prev_sample
        print(f"order {order}: {scheduler.step_index} steps")
    except UnboundLocalError as error:
        print(f"order {order}: step {scheduler.step_index} raises: {error}")

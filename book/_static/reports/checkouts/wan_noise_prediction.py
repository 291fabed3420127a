"""Wan's two schedulers with noise prediction: the noise that they compute, given an exact network.

Run with the folder wan/utils of a checkout of Wan-Video/Wan2.1 on the path.
"""

import torch
from fm_solvers import FlowDPMSolverMultistepScheduler
from fm_solvers_unipc import FlowUniPCMultistepScheduler

torch.manual_seed(0)
data, noise = torch.randn(2, 1, 1, 4, 4)
unipc = FlowUniPCMultistepScheduler(predict_x0=False)
unipc.set_timesteps(10)
dpm = FlowDPMSolverMultistepScheduler(algorithm_type="dpmsolver", final_sigmas_type="sigma_min")
for scheduler in (unipc, dpm):
    name = type(scheduler).__name__
    scheduler.set_begin_index(0)
    scheduler._init_step_index(scheduler.timesteps[0])
    scheduler._step_index = len(scheduler.sigmas) // 2
    t = scheduler.sigmas[scheduler.step_index]
    state, velocity = (1 - t) * data + t * noise, noise - data
    found = scheduler.convert_model_output(velocity, sample=state)
    print(f"{name} at t = {t:.2f}")
    print(f"  off from the noise by {(found - noise).abs().max():.2f},", end=" ")
    print(f"with the other sign by {(state + (1 - t) * velocity - noise).abs().max():.0e}")
try:
    dpm.set_timesteps(10)
except AttributeError as error:
    print("set_timesteps:", error)

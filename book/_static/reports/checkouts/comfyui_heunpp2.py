"""heunpp2 of ComfyUI on N(0, 1) data: relative error of the end state. Run in ComfyUI's folder."""

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = True
from comfy.k_diffusion.sampling import sample_heun, sample_heunpp2  # noqa: E402


def model(x, sigma):
    """E[x_0 | x]."""
    return x / (1 + sigma.reshape(-1, 1, 1, 1) ** 2)


first, last = 10.0, 0.01
exact = ((1 + last**2) / (1 + first**2)) ** 0.5
x = torch.ones(1, 1, 1, 1, dtype=torch.float64)
for sample, calls in ((sample_heun, 2), (sample_heunpp2, 3)):
    errors = []
    for steps in (32, 64, 128):
        sigmas = torch.logspace(1, -2, steps + 1, dtype=torch.float64)
        end = float(sample(model, x, sigmas, disable=True))
        errors.append(f"{end / exact - 1:+.1e}")
    print(f"{sample.__name__}, {calls} calls a step:", *errors, "at 32, 64, 128 steps")

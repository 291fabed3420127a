"""er_sde of ComfyUI on N(0, 1) data: relative error of the mean of the end state.

The mean is the end without the noise. In the exact one log m grows by the integral of
(log f)' sigma^2 / (1 + sigma^2), where f is the noise scale. Run in ComfyUI's folder.
"""

import itertools
import math
from types import SimpleNamespace

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = True
from comfy.k_diffusion.sampling import sample_er_sde  # noqa: E402
from comfy.model_sampling import EPS, ModelSamplingDiscrete  # noqa: E402

sampling = type("Sampling", (ModelSamplingDiscrete, EPS), {})()


class Model:
    """The denoiser, with what a sampler reads of a model."""

    inner_model = SimpleNamespace(
        inner_model=SimpleNamespace(model_sampling=sampling),
        model_patcher=SimpleNamespace(get_model_object=lambda name: sampling),
    )

    def __call__(self, x, sigma):
        """E[x_0 | x]."""
        return x / (1 + sigma.reshape(-1, 1, 1, 1) ** 2)


u = torch.linspace(math.log(0.01), math.log(10), 200_001, dtype=torch.float64)  # log sigma
growth = (0.3 * u).exp().exp()
slope = 1 + 0.3 * (0.3 * u).exp() * growth / (growth + 10)  # of log f in log sigma
exact = math.exp(-torch.trapezoid(slope * torch.sigmoid(2 * u), u))

x = torch.ones(1, 1, 1, 1, dtype=torch.float64)
errors = []
for steps in (32, 64, 128, 256, 512, 1024):
    sigmas = torch.logspace(1, -2, steps + 1, dtype=torch.float64)
    end = sample_er_sde(
        Model(), x, sigmas, disable=True, noise_sampler=lambda *_: torch.zeros_like(x)
    )
    errors.append(abs(float(end) / exact - 1))
print("errors", *(f"{error:.1e}" for error in errors), "at 32, 64, ..., 1024 steps")
print("orders", *(f"{math.log2(a / b):.2f}" for a, b in itertools.pairwise(errors)))

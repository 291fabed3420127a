"""RES4LYF's noise mode "hard" on pixels N(0, 1), eta = 0.5: the variance of the end over the exact one.

The mean over an image's pixels is taken out, as it gets no noise. Run in ComfyUI's folder, with the folder
custom_nodes on the path.
"""

from types import SimpleNamespace

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = True
from comfy.model_sampling import EPS, ModelSamplingDiscrete  # noqa: E402
from RES4LYF.beta.rk_sampler_beta import sample_rk_beta  # noqa: E402

sampling = type("Sampling", (ModelSamplingDiscrete, EPS), {})()


class Model:
    """The denoiser, with what the sampler reads of a model."""

    inner_model = SimpleNamespace(
        inner_model=SimpleNamespace(
            model_sampling=sampling, device="cpu", diffusion_model=SimpleNamespace()
        )
    )

    def __call__(self, x, sigma, **options):
        """E[x_0 | x]."""
        return x / (1 + sigma.reshape(-1, 1, 1, 1) ** 2)


torch.manual_seed(0)
print(f"(1 + sqrt(1 - eta^2)) / 2 = {(1 + 0.75**0.5) / 2:.3f}")
for name in ("ddim", "res_2m"):
    found = []
    for steps in (64, 256, 1024):
        sigmas = torch.logspace(1, -2, steps + 1, dtype=torch.float64)
        x = 101**0.5 * torch.randn(100, 1, 32, 32, dtype=torch.float64)
        end = sample_rk_beta(
            Model(),
            x,
            sigmas,
            extra_args={"model_options": {"transformer_options": {}}},
            disable=True,
            rk_type=name,
            eta=0.5,
            eta_substep=0.0,
            noise_seed=1,
            extra_options="work_dtype=float64",
            BONGMATH=False,
        )
        rest = end - end.mean((2, 3), keepdim=True)
        found.append(f"{float((rest**2).mean()) * 1024 / 1023 / (1 + 0.01**2):.3f}")
    print(f"{name}:", *found, "at 64, 256, 1024 steps")

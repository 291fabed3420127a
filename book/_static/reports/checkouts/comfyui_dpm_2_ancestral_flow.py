"""dpm_2_ancestral of ComfyUI for a rectified flow, with eta = 0. Run in ComfyUI's folder."""

from types import SimpleNamespace

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = True
from comfy.k_diffusion.sampling import sample_dpm_2_ancestral, sample_dpmpp_2s_ancestral  # noqa: E402
from comfy.model_sampling import CONST  # noqa: E402

sampling = CONST()


class Model:
    """The denoiser of N(0, 1) data at x_t = (1 - t) x_0 + t noise, with what a sampler reads of a model."""

    inner_model = SimpleNamespace(
        inner_model=SimpleNamespace(model_sampling=sampling),
        model_patcher=SimpleNamespace(get_model_object=lambda name: sampling),
    )

    def __call__(self, x, t):
        """E[x_0 | x_t]."""
        t = t.reshape(-1, 1, 1, 1)
        return (1 - t) / ((1 - t) ** 2 + t**2) * x


x = torch.ones(1, 1, 1, 1)
for steps in (20, 30, 50):
    levels = torch.linspace(0.95, 0.05, steps + 1)
    for sample in (sample_dpm_2_ancestral, sample_dpmpp_2s_ancestral):
        end = float(sample(Model(), x, levels, disable=True, eta=0.0))
        print(f"{steps} steps, {sample.__name__}, eta 0: {end:.4f}")

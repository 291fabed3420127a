"""dpmpp_2s_ancestral of ComfyUI and its _cfg_pp twin without guidance, eta = 0, N(0, 1) data.

Relative error of the end state. Run in ComfyUI's folder.
"""

from types import SimpleNamespace

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = True
from comfy.k_diffusion.sampling import (  # noqa: E402
    sample_dpmpp_2s_ancestral,
    sample_dpmpp_2s_ancestral_cfg_pp,
)


class Model:
    """The denoiser, with what a sampler reads of a model. Without guidance both estimates are the same."""

    inner_model = SimpleNamespace(inner_model=SimpleNamespace(model_sampling=None))

    def __call__(self, x, sigma, model_options=None):
        """E[x_0 | x]."""
        estimate = x / (1 + sigma.reshape(-1, 1, 1, 1) ** 2)
        for function in (model_options or {}).get("sampler_post_cfg_function", ()):
            estimate = function({"denoised": estimate, "uncond_denoised": estimate})
        return estimate


exact = ((1 + 0.01**2) / (1 + 10**2)) ** 0.5
x = torch.ones(1, 1, 1, 1, dtype=torch.float64)
for sample in (sample_dpmpp_2s_ancestral, sample_dpmpp_2s_ancestral_cfg_pp):
    errors = []
    for steps in (32, 64, 128, 256):
        sigmas = torch.logspace(1, -2, steps + 1, dtype=torch.float64)
        end = float(sample(Model(), x, sigmas, disable=True, eta=0.0))
        errors.append(f"{end / exact - 1:+.1e}")
    print(f"{sample.__name__}:", *errors, "at 32, 64, 128, 256 steps")

"""RES4LYF's noise: the deviation of a channel's mean over its 64 pixels, data N(0, 1) a pixel.

Run in ComfyUI's folder, with the folder custom_nodes on the path.
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
sigmas = torch.logspace(1, -2, 31, dtype=torch.float64)
for eta in (0.0, 0.25, 0.5):
    x = 101**0.5 * torch.randn(2000, 1, 8, 8, dtype=torch.float64)
    end = sample_rk_beta(
        Model(),
        x,
        sigmas,
        extra_args={"model_options": {"transformer_options": {}}},
        disable=True,
        rk_type="res_2m",
        eta=eta,
        eta_substep=0.0,
        noise_seed=1,
        extra_options="work_dtype=float64",
        BONGMATH=False,
    )
    mean = end.mean((2, 3), keepdim=True)
    across, along = 8 * float(mean.std()), (64 / 63) ** 0.5 * float((end - mean).std())
    print(f"eta {eta}: mean {across:.3f}, other directions {along:.3f}, exact 1")

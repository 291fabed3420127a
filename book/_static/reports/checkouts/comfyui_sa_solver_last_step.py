"""sa_solver of ComfyUI on levels that do not end at 0: the state returned. Run in ComfyUI's folder."""

from types import SimpleNamespace

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = True
from comfy.k_diffusion.sampling import sample_sa_solver  # noqa: E402
from comfy.model_sampling import EPS, ModelSamplingDiscrete  # noqa: E402

sampling = type("Sampling", (ModelSamplingDiscrete, EPS), {})()


class Model:
    """The denoiser of data at 0, with what a sampler reads of a model: states are noise alone."""

    inner_model = SimpleNamespace(
        model_patcher=SimpleNamespace(get_model_object=lambda name: sampling)
    )

    def __call__(self, x, sigma):
        """E[x_0 | x] = 0."""
        return 0 * x


x = 10 * torch.ones(1, 1, 1, 1, dtype=torch.float64)
for last in (1.0, 0.5, 0.1):
    sigmas = torch.tensor([10.0, 6.0, 4.0, 2.0, last], dtype=torch.float64)
    end = sample_sa_solver(Model(), x, sigmas, disable=True, tau_func=lambda sigma: 0.0)
    print(f"from 10 to {last:g}: {float(end):.4f}, exact {last:.4f}")

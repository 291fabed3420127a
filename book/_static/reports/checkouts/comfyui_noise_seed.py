"""The first noise of an ancestral sampler of ComfyUI, on the processor. Run in ComfyUI's folder."""

from types import SimpleNamespace

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = True
from comfy.k_diffusion.sampling import sample_euler_ancestral  # noqa: E402
from comfy.sample import prepare_noise  # noqa: E402

seed, shape = 7, (1, 4, 8, 8)
initial = prepare_noise(torch.zeros(shape), seed)


class Model:
    """The denoiser of data at 0, with what a sampler reads of a model."""

    inner_model = SimpleNamespace(inner_model=SimpleNamespace(model_sampling=None))

    def __call__(self, x, sigma, seed):
        """E[x_0 | x] = 0."""
        return 0 * x


sigmas = torch.tensor([10.0, 5.0])
end = sample_euler_ancestral(Model(), 10 * initial, sigmas, extra_args={"seed": seed}, disable=True)
print(
    f"deviation after one step from 10 to 5: {float(end.std()):.3f}, exact {5 * float(initial.std()):.3f}"
)
both = torch.stack([end.flatten(), initial.flatten()])
print(f"correlation with the initial noise: {float(torch.corrcoef(both)[0, 1]):.4f}, exact 0.5")

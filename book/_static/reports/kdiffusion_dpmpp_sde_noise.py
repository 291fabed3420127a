"""The default Brownian tree, and a noise_sampler that draws independently."""

import torch
from k_diffusion.sampling import sample_dpmpp_sde


def model(x, sigma):
    """E[x_0 | x] for data N(0, 1)."""
    return x / (1 + sigma[:, None] ** 2)


torch.manual_seed(0)
for steps in (8, 16, 32):
    sigmas = torch.logspace(1, -1, steps + 1)
    x = torch.randn(30_000, 1) * (1 + sigmas[0] ** 2).sqrt()
    exact = (1 + sigmas[-1] ** 2).sqrt()
    fresh = {"noise_sampler": lambda s, t: torch.randn(30_000, 1)}
    for name, noise in (("the tree", {}), ("fresh noise", fresh)):
        end = sample_dpmpp_sde(model, x, sigmas, disable=True, **noise)
        off = float(end.std() / exact - 1)
        print(f"{steps} steps with {name}: std off by {off:+.1%}")

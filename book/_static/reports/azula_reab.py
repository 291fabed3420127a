"""REABSampler on N(0, 1/4) data: relative error of the end state."""

from types import SimpleNamespace

import torch
from azula.sample import REABSampler


class Denoiser:
    """E[x_0 | x] with alpha = 1 and sigma from 10 to 0.01."""

    def schedule(self, t):
        """The scales alpha and sigma."""
        return torch.ones_like(t), 10 ** (3 * t - 2)

    def __call__(self, x, t):
        """The posterior, of which the mean is used."""
        return SimpleNamespace(mean=x / (1 + 4 * self.schedule(t)[1] ** 2))


denoiser = Denoiser()
exact = ((0.25 + 0.01**2) / (0.25 + 10**2)) ** 0.5
for order in (1, 2, 3):
    errors = []
    for steps in (32, 64, 128):
        options = {"steps": steps, "silent": True, "dtype": torch.float64}
        sampler = REABSampler(denoiser, order=order, **options)
        end = sampler(torch.ones(1, dtype=torch.float64))
        errors.append(f"{float(end / exact - 1):+.1e}")
    print(f"order {order}:", *errors, "at 32, 64, 128 steps")

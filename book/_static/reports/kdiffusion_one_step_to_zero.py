"""One step to sigma 0, as image to image may ask for."""

import torch
from k_diffusion.sampling import sample_dpmpp_2m_sde, sample_dpmpp_3m_sde

for sample in (sample_dpmpp_2m_sde, sample_dpmpp_3m_sde):
    noise = {"noise_sampler": lambda s, t: torch.randn(1, 1)}
    try:
        sigmas = torch.tensor([1.0, 0.0])
        sample(lambda x, sigma: x / 2, torch.ones(1, 1), sigmas, **noise)
        print(f"{sample.__name__}: done")
    except Exception as error:
        print(f"{sample.__name__}: {type(error).__name__}: {error}")

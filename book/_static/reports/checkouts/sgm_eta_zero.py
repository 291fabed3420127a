"""The ancestral samplers of sgm with eta = 0. Run in a checkout of Stability-AI/generative-models."""

import torch
from sgm.modules.diffusionmodules.guiders import IdentityGuider
from sgm.modules.diffusionmodules.sampling import DPMPP2SAncestralSampler, EulerAncestralSampler

for kind in (EulerAncestralSampler, DPMPP2SAncestralSampler):
    for eta in (1.0, 0.0):
        sampler = kind(
            eta=eta,
            discretization_config={"target": "builtins.dict"},
            guider_config={"target": "builtins.dict"},
            device="cpu",
        )
        sampler.discretization = lambda steps, device: torch.tensor([10.0, 5.0, 1.0])
        sampler.guider = IdentityGuider()
        try:
            sampler(lambda x, sigma, c: 0 * x, torch.ones(1, 1, 4, 4), {}, num_steps=2)
            print(f"{kind.__name__}, eta {eta:g}: runs")
        except AttributeError as error:
            print(f"{kind.__name__}, eta {eta:g}: AttributeError: {error}")

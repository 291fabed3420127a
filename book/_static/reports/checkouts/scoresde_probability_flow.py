"""Predictors with probability_flow=True. Run in a checkout of yang-song/score_sde_pytorch."""

import torch
from sampling import get_corrector, get_pc_sampler, get_predictor
from sde_lib import VESDE


class Score(torch.nn.Module):
    """Of data that are all 0."""

    def forward(self, x, sigma):
        """-x / sigma^2."""
        return -x / sigma[:, None, None, None] ** 2


for name in ("reverse_diffusion", "euler_maruyama"):
    sample = get_pc_sampler(
        VESDE(N=100),
        (2, 3, 4, 4),
        get_predictor(name),
        get_corrector("none"),
        inverse_scaler=lambda x: x,
        snr=0.16,
        probability_flow=True,
        continuous=True,
        eps=1e-5,
        device="cpu",
    )
    try:
        sample(Score())
        print(f"{name}: runs")
    except TypeError as error:
        print(f"{name}: TypeError: {error}")

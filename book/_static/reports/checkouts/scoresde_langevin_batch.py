"""One step of the Langevin corrector for a state alone and in a batch.

Run in a checkout of yang-song/score_sde_pytorch.
"""

from unittest import mock

import torch
from sampling import LangevinCorrector
from sde_lib import VESDE

noise = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
x = torch.stack([noise[0], 10 * noise[1]])


def score(x, t):
    """Of N(0, 1)."""
    return -x


corrector = LangevinCorrector(VESDE(), score, snr=0.16, n_steps=1)
t = torch.full((2,), 0.5, dtype=torch.float64)
# The same noise for the same sample.
with mock.patch.object(torch, "randn_like", lambda like: noise[: len(like)].clone()):
    together = corrector.update_fn(x, t)[0][0]
    alone = corrector.update_fn(x[:1], t[:1])[0][0]
print(f"largest difference of the first sample: {float((together - alone).abs().max()):.2f}")

"""Order 3 at eta = 0 on an estimate that is quadratic in -log(sigma)."""

import torch
from k_diffusion.sampling import sample_dpmpp_3m_sde

sigmas = torch.logspace(1, -1, 21, dtype=torch.float64)
states = []
end = sample_dpmpp_3m_sde(
    lambda x, sigma: sigma[:, None].log() ** 2,
    torch.zeros(1, 1, dtype=torch.float64),
    sigmas,
    callback=lambda info: states.append(info["x"]),
    disable=True,
    eta=0.0,
)
states.append(end)
l = -sigmas.log()
for i in (5, 10, 15):
    # The exact step: x_t = sigma_t (x_s / sigma_s + integral of exp(l) D(l) dl).
    square = [(l[j] ** 2 - 2 * l[j] + 2) * l[j].exp() for j in (i, i + 1)]
    line = [(2 * l[i] * (l[j] - 1) - l[i] ** 2) * l[j].exp() for j in (i, i + 1)]
    scaled = states[i] / sigmas[i]
    ends = [sigmas[i + 1] * (scaled + f[1] - f[0]) for f in (square, line)]
    # What D'' adds to the step, over what it must add.
    print(f"step {i}: {float((states[i + 1] - ends[1]) / (ends[0] - ends[1])):.3f}")
